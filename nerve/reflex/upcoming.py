"""When a timer ticks next, for a person who asks.

Commands; pure. The schedule itself counts an interval on the monotonic clock; what is said here is
by the wall clock, and so off by what that was set since the schedule began.
"""

from nerve.clock import US_PER_MS
from nerve.reflex.timers import Timer, next_wall_us


def next_tick_us(
    timer: Timer, now_us: int, began_us: int | None, last_us: int | None = None
) -> int | None:
    """The first tick strictly after `now_us`, UTC microseconds; None if it cannot be told.

    Args:
        timer: what ticks.
        now_us: UTC microseconds.
        began_us: when the running schedule began, from which an interval without `align`
            counts; None if none runs.
        last_us: the last tick that is recorded of a timer that keeps its position: from there
            it counts instead.
    """
    if timer.is_by_wall_clock:
        return next_wall_us(timer, now_us)
    if began_us is None:
        return None
    first_us = began_us + timer.phase_ms * US_PER_MS
    if timer.keeps_position and last_us is not None:
        first_us = last_us
    interval_us = timer.interval_ms * US_PER_MS
    return first_us + max(0, (now_us - first_us) // interval_us + 1) * interval_us
