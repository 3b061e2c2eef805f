"""Looks after what workers use up, and ends those that use too much.

Parent, on the loop. One timer for all groups. `watch` looks and decides; the sense that was running
answers for it, as for every other death (`inquest`).
"""

import asyncio
from collections.abc import Callable, Mapping

from nerve.clock import Clock
from nerve.config.models import GroupConfig
from nerve.process.kernel import started_at
from nerve.supervisor.group import Group
from nerve.supervisor.inquest import Reason
from nerve.supervisor.states import WorkerState
from nerve.supervisor.watch import BUSY_LOOK_S, Excess, Watch

TICK_S = 0.02
"""How exactly the kernel tells when a process was started, and a little more."""
SOON_S = 0.02
"""Until the next round while a worker is being weighed."""


class Patrol:
    """Makes its rounds until it is told to end."""

    def __init__(
        self,
        groups: Mapping[str, Group],
        limits_of: Callable[[str], GroupConfig],
        *,
        clock: Clock,
    ) -> None:
        """`limits_of(group)` is asked once for each worker."""
        self._groups = groups
        self._limits_of = limits_of
        self._clock = clock
        self._watches: dict[str, tuple[int, Watch]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Make a round, and then one every BUSY_LOOK_S."""
        is_weighing = [self._look_at(group) for group in self._groups.values()]
        delay_s = SOON_S if any(is_weighing) else BUSY_LOOK_S
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.begin)

    def end(self) -> None:
        """Make no more rounds."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_at(self, group: Group) -> bool:
        """Check one group; whether its worker is being weighed."""
        pid = group.worker_pid
        if not pid:
            return False
        known, watch = self._watches.get(group.name, (0, None))
        if watch is None or known != pid:
            watch = Watch(pid, self._limits_of(group.name), self._clock)
            self._watches[group.name] = (pid, watch)
        excess = watch.check(is_busy=group.state is not WorkerState.IDLE)
        if excess is not None:
            told = f"was killed, as it {excess.message},"
            group.kill(Reason(excess.limit), told, is_old=_is_old(excess, group.runs_since))
        return watch.is_weighing


def _is_old(excess: Excess, since: float | None) -> bool:
    """Whether most of the processes that are too many were there before the compute began.

    Those of an earlier sense, which has left them behind. (How much of the memory was there is
    not known: whoever runs when it is too much answers for that.)
    """
    if excess.limit != "processes" or since is None:
        return False
    before = sum(started_at(pid) < since - TICK_S for pid in excess.pids[1:])
    return before > len(excess.pids) // 2
