"""Log rows about what others can make happen as often as they like: one a minute of each kind.

Parent, on the loop.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from nerve.clock import Clock

TELL_EVERY_S = 60.0
"""Of each kind; what comes between is counted in the next row."""

Log = Callable[[str, str, str, dict[str, Any]], None]


class Sparing:
    """Writes rows of one source, now and then."""

    def __init__(self, log: Log, *, source: str, clock: Clock) -> None:
        self._log = log
        self._source = source
        self._clock = clock
        self._told_at: dict[tuple[str, str], float] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()

    def log(self, type_: str, level: str, payload: dict[str, Any], *, about: str = "") -> None:
        """Write a row, with how many of its kind were left out since the last; or count it.

        Rows of a type that are about different things, of which there are few, are of two kinds.
        """
        now, kind = self._clock.monotonic(), (type_, about)
        if now - self._told_at.get(kind, -TELL_EVERY_S) < TELL_EVERY_S:
            self._left_out[kind] += 1
            return
        self._told_at[kind] = now
        if left_out := self._left_out.pop(kind, 0):
            payload = {**payload, "left_out": left_out}
        self._log(self._source, type_, level, payload)
