"""`nerve why`: why a sense ran, or did not, and what it will do next.

Read-only, with or without a running parent.

    command    the command, about now or about a moment in the past
    looks      what is known now: the record of its triggers, the running nerve's word, what holds
               it back, and the configuration with the clock for what comes next
    hindrances what of that keeps it from running, a sentence each; pure
    present    all of it, for a person and for `--json`
    past       the same record about a moment in the past
    lines      what both draw with
"""
