"""Decisions: what runs, when, and what is merged, deferred or cut.

Parent only; pure. Nothing here waits, sends or writes: events and the time go in,
decisions come out, and `nerve.supervisor` acts on them.

    schedule   which timers are due                    (interval, cron)
    listeners  which senses a signal concerns, and how far each has got
    flow       whether a trigger runs now, waits, or joins one that waits
"""
