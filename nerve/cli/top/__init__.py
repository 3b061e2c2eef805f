"""`nerve top`: what costs most, live.

    command    the command: draws again and again and listens to keys, or prints one table
    sample     what everything has used up at one moment, and what that makes since another
    tables     samples as lines; pure

CPU and memory are of processes, and so of groups; of a sense it is known how much of the time it
computed, how often, how long, how late, and how often it failed.
"""
