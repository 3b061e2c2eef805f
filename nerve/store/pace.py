"""How much of a long piece of work is done at a time, so that nobody waits long for a turn.

Any process, for whoever deletes a lot from a database that others want as well. No figure would
fit every disk, row and free list, so each step is as large as the time of the last one allows.
"""

from nerve.clock import Clock

FIRST_BATCH = 100


class Pace:
    """How many rows or pages a step takes on."""

    def __init__(
        self, clock: Clock, most: int, target_s: float, *, first: int = FIRST_BATCH
    ) -> None:
        """Take on `first` and then `most` at most, and what should take `target_s` seconds."""
        self._clock = clock
        self._most = most
        self._target_s = target_s
        self._began_s = 0.0
        self.size = min(first, most)

    def begin(self) -> None:
        """A step begins."""
        self._began_s = self._clock.monotonic()

    def end(self) -> None:
        """It has ended; the next one is as large as its time allows."""
        took_s = self._clock.monotonic() - self._began_s
        if took_s > self._target_s:
            self.size = max(1, self.size // 2)
        elif took_s < self._target_s / 2:
            self.size = min(self._most, self.size * 2)

    def slow_down(self) -> bool:
        """After an interruption; False when it cannot be slower."""
        was, self.size = self.size, max(1, self.size // 4)
        return was > 1
