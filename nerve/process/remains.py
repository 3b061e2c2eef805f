"""What a run of nerve may leave behind that was killed together with its fork server.

The next parent, at its start, before it starts any worker. When only one of the two dies
nothing is left: the fork server kills all that is below it when the parent dies, and the
parent does when the fork server dies. Who was a worker stands on the slates, with its start
time; what workers have started bears the run's random name in its environment. So no
process is touched that merely got the same number; nor is one of a nerve that runs on, where the
state directory is a copy of that one's.
"""

import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nerve.process.kernel import environment_has, has_open, is_alive, processes
from nerve.process.slate import Line, Owner, Phase, read_line, read_owner
from nerve.process.tree import is_below, kill_tree, wait_for_end

BOOT_VARIABLE: Final = "NERVE_BOOT"
"""In the environment of everything that a worker starts: the run of nerve it belongs to."""
GONE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """A slate of an earlier run.

    Attributes:
        group: whose worker it was.
        line: what it did last.
    """

    group: str
    owner: Owner
    line: Line | None

    @property
    def was_running(self) -> str | None:
        """The sense that ran, or was loaded or migrated, when the slate was last written."""
        idle = self.line is None or self.line.phase in {Phase.IDLE, Phase.STARTING}
        return None if idle or self.line is None else self.line.sense


def read_slates(folder: Path) -> list[Found]:
    """Read what earlier workers have left written; what cannot be read is left out."""
    owners = ((path, read_owner(path)) for path in sorted(folder.iterdir()))
    return [Found(path.name, owner, read_line(path)) for path, owner in owners if owner]


def alive(slates: Iterable[Found], boots: AbstractSet[str]) -> list[int]:
    """What still runs of the workers on `slates` and of the runs `boots`: process ids."""
    workers = [found.owner.pid for found in slates if found.owner.is_alive]
    started = [
        pid
        for pid in (processes() if boots else [])
        if pid != os.getpid() and environment_has(pid, BOOT_VARIABLE, boots)
    ]
    return [pid for pid in dict.fromkeys([*workers, *started]) if is_alive(pid)]


def of_others(pids: Iterable[int], parents: AbstractSet[int], journal: Path) -> set[int]:
    """Which of these belong to a nerve that runs on, with another state directory.

    This one is a copy of it then, slates and names of runs included. A parent that has this
    `journal` open has lost its lock, and two of them must not write: its workers are left over.

    Args:
        parents: process ids of the parents of their runs. A process that merely got such a
            number has nothing of that run below it.
    """
    elsewhere = {parent for parent in parents if not has_open(parent, journal)}
    return {pid for pid in pids if is_below(pid, elsewhere)}


def end(pids: Iterable[int]) -> None:
    """Kill processes and all below them; wait until they are gone, GONE_TIMEOUT_S at most."""
    ended = list(pids)
    for pid in ended:
        kill_tree(pid)
    wait_for_end(ended, GONE_TIMEOUT_S)
