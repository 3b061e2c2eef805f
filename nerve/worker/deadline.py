"""The soft timeout: first of three rings of time.

Worker, main thread. Two things watch one deadline on the monotonic clock:

* SIGALRM raises SoftTimeout in whatever Python runs, and is sent again every
  REARM_MS, because an exception can be swallowed: by `except BaseException`, in a
  `__del__`, in a callback from C.
* a progress handler on every connection handed to the sense ends a running SQL
  statement, which a signal alone cannot: sqlite3 does not return to Python
  before the statement is done. It surfaces as "interrupted"; `fired` tells that
  the deadline was the reason.

Invariant: outside `armed()` nothing is raised, so nerve's own commit is never
torn. Once the deadline has fired, a result that comes all the same is too late.
"""

import signal
import sqlite3
from types import FrameType
from typing import Self

from nerve.clock import MS_PER_S, Clock
from nerve.process.kernel import set_handler
from nerve.sense import SoftTimeout

REARM_MS = 50
PROGRESS_STEPS = 10_000
"""SQLite virtual machine steps between two looks at the clock: well under a millisecond."""


class Deadline:
    """One soft deadline at a time, for the compute that runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed = False
        self._timeout_s = 0.0
        self._at = 0.0
        self.fired = False

    def armed(self, timeout_ms: int) -> Self:
        """Return a context: SoftTimeout is raised in its body once `timeout_ms` have passed.

        The context's value is the deadline, in seconds on the monotonic clock.
        """
        self._timeout_s = timeout_ms / MS_PER_S
        return self

    def __enter__(self) -> float:
        self.fired = False
        self._at = self._clock.monotonic() + self._timeout_s
        self._armed = True
        # Each time: the last sense may have put another handler in its place.
        set_handler(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, self._timeout_s, REARM_MS / MS_PER_S)
        return self._at

    def __exit__(self, *_raised: object) -> None:
        self.disarm()

    def disarm(self) -> None:
        """Raise nothing from here on.

        An alarm may land before the compute begins, or between its end and the first line below,
        and be raised out of it; whoever catches it calls this once more.
        """
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def watch(self, connection: sqlite3.Connection) -> None:
        """End statements on this connection, too, when the deadline has passed."""
        connection.set_progress_handler(self._is_past, PROGRESS_STEPS)

    def _is_past(self) -> bool:
        if self._armed and self._clock.monotonic() >= self._at:
            self.fired = True
            return True
        return False

    def _on_alarm(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self.fired = True
            raise SoftTimeout
