"""Times of day laid over a time zone, in which some do not exist and some come twice.

Parent and commands; pure. A rule that knows nothing of zones names the next time on a wall
clock; here it gets its moment. There are two ways, for two kinds of rule:

    first_pass   every time that is named gives one moment. A time that the spring change leaves
                 out comes right after the change, one that comes twice the first time.
    every_pass   a moment is due whenever the wall clock shows a time that is named: never for a
                 time that is left out, twice for one that comes twice.

Both give moments in order, so what they leave out of a burst (several left-out times have
one moment) is due once.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nerve.clock import to_datetime

NextLocal = Callable[[datetime], datetime]
"""The first time strictly after another, both without a zone; raises where there is none."""
STRIDE = timedelta(days=7)
"""A zone's offset is looked at so often; no zone changes it and changes it back in less."""
CACHED_ZONES = 64
"""zoneinfo itself holds on to eight, and reads the others from disk again."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def first_pass_us(next_local: NextLocal, timezone: str, after_us: int) -> int:
    """The first moment strictly after `after_us`, UTC microseconds; each time has one."""
    zone, after = _zone(timezone), to_datetime(after_us)
    found = after
    local = _local(after, zone)
    # In the second pass of a repeated hour, times that had their moment are stepped over.
    while found <= after:
        local = next_local(local)
        found = _first_moment(local, zone)
    return _us(found)


def every_pass_us(next_local: NextLocal, timezone: str, after_us: int) -> int:
    """The first moment strictly after `after_us` at which the clock shows what is named."""
    zone, begin = _zone(timezone), to_datetime(after_us)
    local = _local(begin, zone)
    while True:
        found = begin + (next_local(local) - _local(begin, zone))
        change = _next_change(zone, begin, found)
        if change is None:
            return _us(found)
        # From the change on, whose own moment counts, the clock goes on from elsewhere.
        begin, local = change, _local(change, zone) - _TICK


@lru_cache(CACHED_ZONES)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _first_moment(local: datetime, zone: ZoneInfo) -> datetime:
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _local(moment, zone) == local:
        return moment
    # Left out: read with the offset of before it falls after the change, and the reverse.
    return _change(zone, local.replace(tzinfo=zone, fold=1).astimezone(UTC), moment)


def _next_change(zone: ZoneInfo, begin: datetime, until: datetime) -> datetime | None:
    """The first moment after `begin` and up to `until` with another offset than `begin`."""
    offset = begin.astimezone(zone).utcoffset()
    while begin < until:
        stop = min(begin + STRIDE, until)
        if stop.astimezone(zone).utcoffset() != offset:
            return _change(zone, begin, stop)
        begin = stop
    return None


def _change(zone: ZoneInfo, before: datetime, behind: datetime) -> datetime:
    """The second at which the offset changes between two moments."""
    offset = before.astimezone(zone).utcoffset()
    low = before.replace(microsecond=0)
    seconds = (behind - low) // _SECOND
    known = 0  # still the old offset
    while seconds - known > 1:
        middle = (known + seconds) // 2
        if (low + middle * _SECOND).astimezone(zone).utcoffset() == offset:
            known = middle
        else:
            seconds = middle
    return low + seconds * _SECOND


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK
