"""The parent: it starts workers, tells them what to run, and records what came of it.

    supervisor   the loop's events: ticks, messages, commits, deaths
    group        one group: its queue, what it runs, its worker's states and restarts
    child        one worker process: launch, channel, output, kill
    triggers     from a cause to a place in a group's queue
    ledger       what came of everything, on its way into the journal
    recorder     the journal's thread: one transaction per turn of the loop
    control      what commands ask of it, over its socket
    housekeeping what is old goes to the archive, once a day
    states       the legal states of a worker

No author's code is ever imported here. The hot path is callbacks on the event
loop; nothing in it waits.
"""
