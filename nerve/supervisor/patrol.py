"""Looks after what workers use up, and ends those that use too much.

Parent, on the loop. One timer for all groups. `watch` looks and decides; the sense that was running
answers for it, as for every other death (`inquest`).
"""

import asyncio
from collections.abc import Callable, Mapping

from nerve.clock import Clock
from nerve.config.models import GroupConfig
from nerve.supervisor.group import Group
from nerve.supervisor.inquest import Reason
from nerve.supervisor.states import WorkerState
from nerve.supervisor.watch import BUSY_LOOK_S, Watch

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
            group.kill(Reason(excess.limit), f"was killed, as it {excess.message},")
        return watch.is_weighing
