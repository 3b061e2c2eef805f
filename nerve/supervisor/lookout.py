"""A look now and then at what no event tells of: the state directory, the clocks, the socket.

Parent, on the loop. A state directory that was deleted, or is another one by now, is lost: another
nerve could start there, and what this one writes nobody would find. So it stops, and writes
nothing there any more.
"""

import asyncio
import os
from collections.abc import Callable

from nerve.clock import Clock
from nerve.errors import StateDeleted, StateError
from nerve.process.launch import reap_adopted
from nerve.store.state_dir import StateDir
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.timekeeping import Reading, compare

STATE_CHECK_EVERY_S = 5.0
"""One stat of the lock file, and one look at the clocks."""
INIT = 1
"""The process id to which orphans fall; in a container it may be ours."""


class Lookout:
    """Looks.

    Attributes:
        lost: why the state directory is not ours any more; None while it is.
    """

    def __init__(
        self,
        state: StateDir,
        ledger: Ledger,
        *,
        clock: Clock,
        lose: Callable[[StateDeleted], None],
        look: Callable[[], None],
    ) -> None:
        """`lose` is called once, when the state directory is lost; `look` each time until then."""
        self.lost: StateDeleted | None = None
        self._state = state
        self._ledger = ledger
        self._clock = clock
        self._lose = lose
        self._look = look
        self._looked_at: Reading | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Look now, and from now on."""
        self.look_at_state()
        self._look_at_clock()
        if self.lost is None:  # else another nerve may listen there
            self._look()
        if os.getpid() == INIT:
            reap_adopted()
        self._timer = asyncio.get_running_loop().call_later(STATE_CHECK_EVERY_S, self.begin)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def look_at_state(self) -> None:
        """Look whether the state directory is still the one that is locked."""
        try:
            self._state.check()
        except StateDeleted as error:
            if self.lost is None:
                self.lost = error
                self._lose(error)
        except StateError:
            return  # out of reach is not gone; whoever uses it says what is the matter

    def _look_at_clock(self) -> None:
        """Say what happened to time: whatever ran late or again meanwhile did so because of it."""
        clock = self._clock
        now = Reading(clock.monotonic(), clock.boottime(), clock.now_us())
        if self._looked_at is not None:
            for found in compare(self._looked_at, now, STATE_CHECK_EVERY_S):
                self._ledger.log("nerve", found.type, found.level, found.payload)
        self._looked_at = now
