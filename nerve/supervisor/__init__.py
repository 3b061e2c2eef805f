"""The parent: it starts workers, tells them what to run, and records what came of it.

    supervisor   puts it together; the start, the stop, and what follows from a commit
    muster       who has come up, and the gate that waits for them
    ticking      what is due by time; `catching_up` what was missed
    triggers     from a cause to a place in a group's queue
    group        one group: its queue, what it runs, its worker's states
    deadline     ends a compute that runs for too long
    deaths       the end of a worker: what it was, who answers for it, what follows
    child        one worker process: launch, channel, output, kill
    ledger       what came of everything, on its way into the journal
    recorder     the journal's thread: one transaction per turn of the loop
    listening    signals on their way to the senses that listen
    control      what commands ask of it, over its socket
    housekeeping what is old goes to the archive, once a day
    states       the legal states of a worker

No author's code is ever imported here. The hot path is callbacks on the event
loop; nothing in it waits.
"""
