"""Moments as people give them on a command line. Pure."""

from datetime import datetime, tzinfo

from nerve.clock import US_PER_MS, US_PER_S
from nerve.config.durations import parse_duration

FORMS = "write 10m or 1h30m (ago), 2026-11-21, 2026-11-21 14:03 or 2026-11-21T13:03:22Z"


def parse_moment(text: str, *, now_us: int, zone: tzinfo) -> int:
    """Turn a duration ago, or a date with or without a time, into UTC microseconds.

    A time without an offset is a time of `zone`. Raises ValueError.
    """
    try:
        return now_us - parse_duration(text) * US_PER_MS
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        # Not timestamp(): a double has no room for today's microseconds.
        return int(moment.replace(microsecond=0).timestamp()) * US_PER_S + moment.microsecond
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a time: {text[:40]!r}; {FORMS}") from error
