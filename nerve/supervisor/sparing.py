"""Log rows about what others can make happen as often as they like: one a minute of each type.

Parent, on the loop.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from nerve.clock import Clock

TELL_EVERY_S = 60.0
"""Of each type; what comes between is counted in the next row."""

Log = Callable[[str, str, str, dict[str, Any]], None]


class Sparing:
    """Writes rows of one source, now and then."""

    def __init__(self, log: Log, *, source: str, clock: Clock) -> None:
        self._log = log
        self._source = source
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def log(self, type_: str, level: str, payload: dict[str, Any]) -> None:
        """Write a row, with how many of its type were left out since the last; or count it."""
        now = self._clock.monotonic()
        if now - self._told_at.get(type_, -TELL_EVERY_S) < TELL_EVERY_S:
            self._left_out[type_] += 1
            return
        self._told_at[type_] = now
        if left_out := self._left_out.pop(type_, 0):
            payload = {**payload, "left_out": left_out}
        self._log(self._source, type_, level, payload)
