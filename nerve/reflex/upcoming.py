"""When a timer ticks next, for a person who asks.

Commands; pure. The schedule itself counts an interval on the monotonic clock; what is said here is
by the wall clock, and so off by what that was set since the schedule began.
"""

from nerve.clock import US_PER_MS
from nerve.reflex.aligned import next_aligned_us
from nerve.reflex.cron import next_us
from nerve.reflex.timers import Timer
from nerve.sense import TriggerKind


def next_tick_us(timer: Timer, now_us: int, began_us: int | None) -> int | None:
    """The first tick strictly after `now_us`, UTC microseconds; None if it cannot be told.

    Args:
        timer: what ticks.
        now_us: UTC microseconds.
        began_us: when the running schedule began, from which an interval without `align`
            counts; None if none runs.
    """
    if timer.kind is TriggerKind.CRON:
        return next_us(timer.cron, timer.timezone, now_us)
    if timer.align:
        return next_aligned_us(timer.interval_ms, timer.phase_ms, timer.timezone, now_us)
    if began_us is None:
        return None
    first_us = began_us + timer.phase_ms * US_PER_MS
    interval_us = timer.interval_ms * US_PER_MS
    return first_us + max(0, (now_us - first_us) // interval_us + 1) * interval_us
