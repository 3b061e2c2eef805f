"""Decisions: what runs, when, and what is merged, deferred or cut.

Parent only; pure. Nothing here waits, sends or writes: events and the time go in,
decisions come out, and `nerve.supervisor` acts on them.

    schedule   which timers are due                    (interval, cron)
    cron       the times that an expression names; aligned: those of an interval with `align`
    wallclock  both laid over a time zone, in which some times do not exist and some come twice
    upcoming   when a timer ticks next, for a person who asks
    listeners  which senses a signal concerns, and how far each has got
    flow       whether a trigger runs now, waits, or joins one that waits
"""
