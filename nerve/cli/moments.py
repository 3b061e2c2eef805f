"""Moments as people give them on a command line. Pure."""

from datetime import datetime, time, timedelta, tzinfo

from nerve.clock import US_PER_MS, US_PER_S, to_datetime
from nerve.config.durations import parse_duration

FORMS = "write 10m or 1h30m (ago), 03:15, 2026-11-21, 2026-11-21 14:03 or 2026-11-21T13:03:22Z"


def parse_moment(text: str, *, now_us: int, zone: tzinfo) -> int:
    """Turn a duration ago, or a date with or without a time, into UTC microseconds.

    A time without an offset is a time of `zone`, and one without a date the last that was.
    Raises ValueError.
    """
    try:
        return now_us - parse_duration(text) * US_PER_MS
    except ValueError:
        pass
    try:
        moment = _last_at(text, now_us, zone) or datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        # Not timestamp(): a double has no room for today's microseconds.
        return int(moment.replace(microsecond=0).timestamp()) * US_PER_S + moment.microsecond
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a time: {text[:40]!r}; {FORMS}") from error


def _last_at(text: str, now_us: int, zone: tzinfo) -> datetime | None:
    """Return when a clock of the zone showed this last; None where it is no time of day.

    Of a zone of its own where it has an offset.
    """
    if text[2:3] != ":":
        return None
    shown = time.fromisoformat(text)
    zone = shown.tzinfo or zone
    now = to_datetime(now_us).astimezone(zone)
    moment = datetime.combine(now.date(), shown, zone)
    return moment if moment <= now else moment - timedelta(days=1)
