"""Moments and wall clock times for the tests of schedules."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

US = 1_000_000
MINUTE_US = 60 * US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(*when):
    """A moment given in UTC."""
    return (datetime(*when, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def local_us(zone, text, *, second_pass=False):
    """A moment given as a wall clock shows it."""
    shown = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=int(second_pass))
    return (shown.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def shown(zone, at_us):
    """What a wall clock shows, with the offset, e.g. `2026-03-29 03:00+02:00`."""
    moment = EPOCH + timedelta(microseconds=at_us)
    return moment.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes")


def between(following, after_us, until_us):
    """All that `following(after_us)` gives up to a moment."""
    found = []
    while (after_us := following(after_us)) <= until_us:
        found.append(after_us)
    return found
