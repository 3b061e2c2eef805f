"""When a worker that died is started again.

Parent; pure. The first death in a while is answered at once; further ones within
DEATHS_WINDOW_S wait, twice as long each time, and the MAX_DEATHS-th ends it. Being
ready in between does not reset the window: a worker that comes up well and dies
at its first compute is no better than one that never comes up. Deaths before
`ready` count whatever lies between them, because a start that hangs takes longer
to be given up than the window is long.
"""

import random
from collections import deque

MAX_DEATHS = 5
DEATHS_WINDOW_S = 60.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 30.0
BEREFT_MAX_S = 5.0
MAX_BEREFT = 10
"""Ends of fork servers that are remembered."""


class Restarts:
    """The recent deaths of one group's workers."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._bereft: deque[float] = deque(maxlen=MAX_BEREFT)
        self._failed_starts = 0

    def bereft_s(self, now: float) -> float:
        """Note that a worker went with its fork server; seconds until the next start."""
        self._bereft.append(now)
        recent = sum(now - death <= DEATHS_WINDOW_S for death in self._bereft)
        return 0.0 if recent == 1 else min(BACKOFF_FIRST_S * 2.0 ** (recent - 2), BEREFT_MAX_S)

    def came_up(self) -> None:
        """A worker was ready: starts no longer fail in a row."""
        self._failed_starts = 0

    def delay_s(self, now: float, *, was_ready: bool) -> float | None:
        """Note a death at `now`, in seconds on the monotonic clock.

        Returns how many seconds to wait before the next start, or None for: no more.
        """
        self._deaths.append(now)
        self._failed_starts = 0 if was_ready else self._failed_starts + 1
        recent = self.recent(now)
        if recent >= MAX_DEATHS:
            return None
        if recent == 1:
            return 0.0
        longest = min(BACKOFF_FIRST_S * 2.0 ** (recent - 2), BACKOFF_MAX_S)
        # A share of chance, so that groups which died together do not start together.
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  guards nothing

    def recent(self, now: float) -> int:
        """How many deaths count: those of the window, or all in a row before `ready`."""
        in_window = sum(now - death <= DEATHS_WINDOW_S for death in self._deaths)
        return max(in_window, self._failed_starts)
