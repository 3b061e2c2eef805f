"""The last of a stop: all workers are gone, and the journal is closed behind them.

Parent. The threads of ended workers may still hand over log records, so they come to their end
first. Each wait has its limit (`bounds`); what cannot be recorded in time is counted, and the boot
is then left open, as a crash leaves it: the next start loses nothing by that.
"""

import asyncio
import contextlib
import threading
from dataclasses import dataclass

from nerve.clock import Clock
from nerve.errors import StateError
from nerve.process.launch import end_fork_server
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.bounds import DRAIN_TIMEOUT_S, LAUNCHES_PATIENCE_S
from nerve.supervisor.child import Threads
from nerve.supervisor.control import Control
from nerve.supervisor.housekeeping import Housekeeping
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.lookout import Lookout
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.recovery import clear_slates


@dataclass(frozen=True, slots=True)
class Closing:
    """What is still open once no worker is."""

    state: StateDir
    journal: Journal
    recorder: Recorder
    ledger: Ledger
    control: Control
    housekeeping: Housekeeping
    lookout: Lookout
    threads: Threads
    clock: Clock

    async def run(self) -> None:
        """Close all of it; takes no longer than the limits say."""
        loop = asyncio.get_running_loop()
        drained = await self.recorder.drain(self._drain_timeout_s())
        # Only now: the threads of ended workers may still have handed over log records.
        await self._end_threads()
        self.control.take_no_more()
        drained = drained and await self.recorder.drain(self._drain_timeout_s())
        await loop.run_in_executor(None, self.recorder.close)
        if drained:
            # One that cannot be written is a crash to the next start, which loses nothing.
            with contextlib.suppress(StateError):
                self.journal.end_boot(self.ledger.boot, how="stopped", at_us=self.clock.now_us())
        self.journal.close()
        if self.lookout.lost is None:  # else they are another nerve's by now
            clear_slates(self.state)
        self.control.end()
        self.ledger.tally.unrecorded = self.recorder.waiting_entries + self.recorder.left_out

    def _drain_timeout_s(self) -> float:
        return DRAIN_TIMEOUT_S if self.lookout.lost is None else 0

    async def _end_threads(self) -> None:
        """Wait for what they still do; a launch that does not come to its end is ended."""
        loop = asyncio.get_running_loop()
        starting = loop.run_in_executor(None, self.threads.starting.shutdown)
        done, _ = await asyncio.wait([starting], timeout=LAUNCHES_PATIENCE_S)
        if not done:
            threading.Thread(target=end_fork_server, daemon=True).start()
            await asyncio.wait([starting], timeout=LAUNCHES_PATIENCE_S)
        await loop.run_in_executor(None, self.housekeeping.join)
        self.threads.ending.submit(self.threads.reserve.end)
        for executor in (self.threads.ending, self.threads.sweeping):
            await loop.run_in_executor(None, executor.shutdown)
