"""The ticks of an interval with `align`.

Parent and commands; pure. Where the interval divides a day, they are its multiples counted from
local midnight, on the wall clock: 6h ticks at 00:00, 06:00, 12:00 and 18:00 on a day of 23 or
25 hours too. Any other interval is counted from 1970-01-01T00:00Z, and no change of
a clock concerns it.
"""

from datetime import datetime, timedelta
from functools import partial

from nerve.clock import US_PER_MS, US_PER_S
from nerve.reflex.wallclock import every_pass_us, first_pass_us

US_PER_DAY = 86_400 * US_PER_S
MAX_REPEATED_US = 3_600 * US_PER_S
"""An interval up to here ticks in both passes of an hour that comes twice, or it would pause."""


def next_aligned_us(interval_ms: int, phase_ms: int, timezone: str, after_us: int) -> int:
    """The first tick strictly after `after_us`, UTC microseconds.

    `phase_ms` is how much later than the multiple it comes, for `jitter`.
    """
    interval_us, phase_us = interval_ms * US_PER_MS, phase_ms * US_PER_MS
    from_us = after_us - phase_us
    if US_PER_DAY % interval_us:
        return (from_us // interval_us + 1) * interval_us + phase_us
    following = partial(_next_multiple, timedelta(microseconds=interval_us))
    found_us = first_pass_us(following, timezone, from_us)
    if interval_us <= MAX_REPEATED_US:
        found_us = min(found_us, every_pass_us(following, timezone, from_us))
    return found_us + phase_us


def _next_multiple(interval: timedelta, local: datetime) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((local - midnight) // interval + 1) * interval
