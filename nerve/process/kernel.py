"""The few calls of the Linux kernel that the standard library has no name for.

Every process. Sources: prctl(2); constants from linux/prctl.h.
"""

import ctypes
import os
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that none of them escapes to init.

    Raises OSError when the kernel refuses (before Linux 3.4).
    """
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel SIGKILL this process when the thread that forked it ends.

    The parent may have died before the call; then nobody would send the signal,
    so this process ends itself.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")


def children(pid: int) -> list[int]:
    """Process ids of the direct children, zombies included; empty when `pid` is gone."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:  # it, or one of its threads, has just ended
        pass
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not: it hurts nobody and only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The state follows the name, which stands in parentheses and may hold any byte.
    return stat[stat.rindex(b")") + 2 : stat.rindex(b")") + 3] not in b"ZX"
