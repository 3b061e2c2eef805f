"""Decisions: what runs, when, and what is merged, deferred or cut.

Parent only; pure. Nothing here waits, sends or writes: events and the time go in,
decisions come out, and `nerve.supervisor` acts on them.

    timers     what runs senses by time, as nerve.yaml declares it
    schedule   which timers are due                    (interval, cron)
    cron       the times that an expression names; aligned: those of an interval with `align`
    wallclock  both laid over a time zone, in which some times do not exist and some come twice
    missed     what is made up for of ticks that passed meanwhile; ticks: counting them
    upcoming   when a timer ticks next, for a person who asks

    listeners  which senses a signal concerns, by `where`, and how far each has got
    backlog    what becomes of signals that nobody could hear
    debounce   a reflex that waits until its signals have ceased
    causes     why a trigger runs: what it collects, and the chain that led to it
    flow       whether a trigger runs now, waits, or joins one that waits
"""
