"""Time, passed in.

Every process. Durations and deadlines are taken on the monotonic clock, in
integer milliseconds or float seconds as the name says; what is recorded is UTC,
in integer microseconds since the epoch. Decisions get a `Clock` or a plain
number handed in, so that a test can move time instead of waiting for it.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

US_PER_S = 1_000_000
US_PER_MS = 1_000
MS_PER_S = 1_000


class Clock(Protocol):
    """The clocks a process has."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps; only differences mean anything."""
        ...

    def boottime(self) -> float:
        """Seconds like `monotonic`, and the time suspended counts as well."""
        ...

    def now_us(self) -> int:
        """Microseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; counts no time spent suspended."""
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds since the machine was started; counts time spent suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now_us(self) -> int:
        """Microseconds since 1970-01-01T00:00:00Z; steps when the machine's clock is set."""
        return time.time_ns() // 1_000


def to_datetime(at_us: int) -> datetime:
    """Turn recorded microseconds into an aware UTC datetime."""
    # Not fromtimestamp(at_us / 1e6): a double has no room for today's microseconds.
    seconds, micros = divmod(at_us, US_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def rfc3339(at_us: int) -> str:
    """Write recorded microseconds as RFC 3339 in UTC, always with six decimals."""
    return to_datetime(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
