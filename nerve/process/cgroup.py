"""A cgroup for each worker, where nerve has been given one to divide.

With it a worker and all that descends from it die of one write, however fast they fork
and wherever they hide; without it `tree` does what can be done with signals. Only a
cgroup that is *delegated* is touched: systemd marks one so (`Delegate=yes`) with an
extended attribute, and an unprivileged user who may write in one was given it. Needs
cgroup v2 and `cgroup.kill` (Linux 5.14).

The parent makes and removes the directory; the worker moves itself into it before
any code of an author's runs, so that nothing can be forked outside.

Sources: cgroups(7), https://systemd.io/CGROUP_DELEGATION/.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "nerve-"
_DELEGATION_MARKS = ("user.delegate", "trusted.delegate")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The cgroup of one group's workers.

    Attributes:
        path: its directory in the cgroup file system.
    """

    path: Path

    def create(self) -> None:
        """Make the directory; raises OSError."""
        self.path.mkdir(exist_ok=True)

    def enter(self) -> None:
        """Move this process, and what it forks from now on, into it; raises OSError."""
        (self.path / "cgroup.procs").write_text("0")

    def processes(self) -> list[int]:
        """Process ids of what is in it; none where it cannot be read."""
        try:
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]
        except OSError:
            return []

    def kill(self) -> None:
        """SIGKILL every process in it, all at once."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove the directory; one in which something still dies stays for the next time."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the control groups above a process let it and its kin have; None for no limit."""

    memory_bytes: int | None = None
    processes: int | None = None


def allowance(pid: int) -> Allowance:
    """Read the lowest limits from the process's control group up; cgroup v2 alone tells."""
    try:
        root = _mounted_at()
        path = root / _own(pid).lstrip("/")
    except (OSError, LookupError):
        return Allowance()
    folders = [path, *(above for above in path.parents if above.is_relative_to(root))]
    return Allowance(_lowest(folders, "memory.max"), _lowest(folders, "pids.max"))


def _lowest(folders: Iterable[Path], file: str) -> int | None:
    found: list[int] = []
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):  # not there, or `max`
            found.append(int((folder / file).read_text()))
    return min(found, default=None)


def directory_name(boot: str, group: str, generation: int) -> str:
    """Name of the cgroup of one worker."""
    return f"{_PREFIX}{boot}-{group}-{generation}"


def remove_leftovers(
    boots: AbstractSet[str], is_spared: Callable[[str, list[int]], bool] = lambda *_: False
) -> None:
    """Kill and remove what these runs have left; another nerve may have its own beside them.

    `is_spared(boot, pids)` says whether these processes of a run are to live all the same.
    """
    root = delegated()
    for directory in root.glob(f"{_PREFIX}*") if root else ():
        boot, left = directory.name.removeprefix(_PREFIX).partition("-")[0], Cgroup(directory)
        if boot in boots and not is_spared(boot, left.processes()):
            left.kill()
            left.remove()


def delegated() -> Path | None:
    """The cgroup of this process, if it is ours to divide."""
    try:
        path = _mounted_at() / _own().lstrip("/")
        usable = (path / "cgroup.kill").exists() and os.access(path / "cgroup.procs", os.W_OK)
    except (OSError, LookupError):
        return None
    return path if usable and (os.geteuid() != 0 or _is_marked(path)) else None


def _own(pid: int | str = "self") -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0":
            return path
    raise LookupError("no cgroup v2")


def _mounted_at() -> Path:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return Path(fields.split()[4])
    raise LookupError("no cgroup v2")


def _is_marked(path: Path) -> bool:
    for mark in _DELEGATION_MARKS:
        with contextlib.suppress(OSError):
            if os.getxattr(path, mark) == b"1":
                return True
    return False
