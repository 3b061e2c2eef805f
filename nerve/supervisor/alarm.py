"""One moment to be woken at, which is put off again and again.

Parent, on the loop. Nearly every compute ends long before its hard deadline. A timer of the loop
for each of them would be made, sorted in among all the others, and cancelled, a tenth of what
a compute costs the parent. So there is one timer, which stays where it is while the moment moves
away from it; when it is over, and the moment is still to come, it is set once more.
"""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` at the moment that was set last, and no more until it is set again."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """Inside a running event loop."""
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float) -> None:
        """Ring in so many seconds from now, and not when it was set to before."""
        self._due = self._loop.time() + delay_s
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        over, self._timer = self._timer, None
        if over is not None and over.when() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            self._ring()
