"""The end of a fork server, once all who went with it are known.

Parent, on the loop. Each group notices by itself that its worker is gone, one after the other; only
when all have, or had time enough, is it told once, and does `bereavement` say whom it is held
against.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from nerve.clock import Clock
from nerve.supervisor.bereavement import APART_S, Bereavements
from nerve.supervisor.conduct import MAX_STRIKES
from nerve.supervisor.group import Group
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.warden import Warden

BEREAVEMENT_S = 5.0
"""After the end of a fork server is first noticed, for all its workers to be missed."""
MAX_BEREFT_TOLD = 10
"""Ended fork servers that are remembered."""


@dataclass(slots=True)
class _Bereft:
    """What is known so far of one end.

    Attributes:
        missed: groups whose worker has not been noticed to be gone yet.
        running: senses that ran then.
    """

    missed: set[str]
    running: set[str] = field(default_factory=set)


class Bereaved:
    """All ends of fork servers, by their process id."""

    def __init__(
        self, groups: Mapping[str, Group], ledger: Ledger, warden: Warden, *, clock: Clock
    ) -> None:
        self._groups = groups
        self._ledger = ledger
        self._warden = warden
        self._clock = clock
        self._bereavements = Bereavements()
        self._open: dict[int, _Bereft] = {}
        self._told: deque[int] = deque(maxlen=MAX_BEREFT_TOLD)

    def note(self, name: str, pid: int, running: str | None) -> None:
        """The worker of a group went with fork server `pid`, while a sense ran or none did."""
        if pid in self._told:
            return  # a straggler; what follows from it has been decided
        if pid not in self._open:
            missed = {group.name for group in self._groups.values() if group.worker_pid}
            self._open[pid] = _Bereft(missed)
            asyncio.get_running_loop().call_later(BEREAVEMENT_S, self._tell, pid)
        bereft = self._open[pid]
        bereft.missed.discard(name)
        if running is not None:
            bereft.running.add(running)
        if not bereft.missed:
            self._tell(pid)

    def _tell(self, pid: int) -> None:
        if pid not in self._open:
            return
        running = self._open.pop(pid).running
        ran = ", ".join(sorted(running)) or "none"
        message = f"the fork server (process {pid}) ended, and all workers with it; running: {ran}"
        payload = {"message": message, "pid": pid, "running": sorted(running)}
        self._ledger.log("nerve", "forkserver.died", "error", payload)
        self._told.append(pid)
        suspicion = self._bereavements.note(running, self._clock.monotonic())
        times = f"each of {MAX_STRIKES} times that the fork server ended"
        if suspicion.guilty is not None:
            self._warden.quarantine(suspicion.guilty, f"it alone was running {times}")
        for sense in sorted(suspicion.apart):
            self._warden.set_apart(sense, APART_S, f"it was among those running {times}")
