"""A clock that stands still until a test moves it.

The test's own process. Both clocks of a machine are here, because they part in life: the wall
clock is set, the monotonic one is not.
"""

from datetime import UTC, datetime, timedelta

from nerve.clock import US_PER_S, to_datetime

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""Where it stands at first: always the same moment, so that a test passes on every day."""
MONOTONIC_START_S = 5_000.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class StoppedClock:
    """Implements `nerve.clock.Clock`."""

    def __init__(self, now: datetime = START) -> None:
        self._monotonic_s = MONOTONIC_START_S
        self._now_us = _microseconds(now)

    @property
    def now(self) -> datetime:
        """What it shows, aware, UTC."""
        return to_datetime(self._now_us)

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._monotonic_s += seconds
        self.step(seconds)

    def step(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as somebody who corrects it; no time passes."""
        self._now_us += round(seconds * US_PER_S)

    def move_to(self, now: datetime) -> None:
        """Show this time; what that is later has passed on both clocks, what is earlier is set."""
        seconds = (_microseconds(now) - self._now_us) / US_PER_S
        self._monotonic_s += max(0.0, seconds)
        self._now_us = _microseconds(now)

    def monotonic(self) -> float:
        """Seconds since some fixed point."""
        return self._monotonic_s

    def boottime(self) -> float:
        """Seconds since some fixed point; this machine is never suspended."""
        return self._monotonic_s

    def now_us(self) -> int:
        """Microseconds since 1970-01-01T00:00:00Z."""
        return self._now_us


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; write datetime(..., tzinfo=UTC)")
    return (moment - _EPOCH) // _MICROSECOND
