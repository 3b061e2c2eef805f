"""A machine whose time is moved by hand: its clocks, and the callbacks that wait on them.

The one that loops wait on stands still while the machine sleeps, as CLOCK_MONOTONIC does.
Nothing here waits, and nothing depends on how fast the tests run.
"""

import heapq
from itertools import count

US = 1_000_000


class Handle:
    """What `call_later` returns."""

    def __init__(self, due_us, callback):
        self.due_us = due_us
        self._callback = callback

    @property
    def is_armed(self):
        return self._callback is not None

    def cancel(self):
        self._callback = None

    def run(self):
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Machine:
    """A `nerve.clock.Clock` and an event loop's `call_later`; `calls` counts the use of that."""

    def __init__(self, wall_us):
        self._awake_us = 1_000 * US
        self._asleep_us = 0
        self._set_by_us = wall_us - self._awake_us
        self._waiting = []
        self._order = count()
        self.calls = 0

    def monotonic(self):
        return self._awake_us / US

    def boottime(self):
        return (self._awake_us + self._asleep_us) / US

    def now_us(self):
        return self._awake_us + self._asleep_us + self._set_by_us

    def call_later(self, delay_s, callback):
        self.calls += 1
        # Rounded up, as a loop does: a callback is never early.
        handle = Handle(self._awake_us + max(0, -int(-delay_s * US // 1)), callback)
        heapq.heappush(self._waiting, (handle.due_us, next(self._order), handle))
        return handle

    @property
    def armed(self):
        """The callbacks that wait."""
        return [handle for _, _, handle in self._waiting if handle.is_armed]

    def step(self):
        """Go to the next callback and run it; False when there is none."""
        while self._waiting:
            if self._run_next():
                return True
        return False

    def run(self, seconds):
        """Let so much time pass."""
        until_us = self._awake_us + round(seconds * US)
        while self._waiting and self._waiting[0][0] <= until_us:
            self._run_next()
        self._awake_us = max(self._awake_us, until_us)

    def _run_next(self):
        due_us, _, handle = heapq.heappop(self._waiting)
        if not handle.is_armed:
            return False
        self._awake_us = max(self._awake_us, due_us)
        handle.run()
        return True

    def stall(self, seconds):
        """The process gets no turn; the clocks go on."""
        self._awake_us += round(seconds * US)

    def suspend(self, seconds):
        """The machine sleeps."""
        self._asleep_us += round(seconds * US)

    def set_clock(self, by_s):
        """Somebody sets the clock on the wall, forward or back."""
        self._set_by_us += round(by_s * US)

    def lose_all(self):
        """The process that waited is gone."""
        self._waiting.clear()
