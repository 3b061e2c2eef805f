"""Reaping what a worker has adopted.

Worker, between computes. A worker is a subreaper: what its children leave behind
becomes its child, and would stay a zombie for ever. What the sense itself has
started and may still ask for its exit code is left to it: taking it away would make
`Popen.wait` report a success that was none.
"""

import gc
import multiprocessing.process
import os
import subprocess
import weakref
from collections.abc import Iterator
from typing import Any

from nerve.process.kernel import children, is_alive

_set_aside: list[weakref.ref[subprocess.Popen[Any]]] = []
"""Handles that the collector no longer shows."""


def set_aside() -> None:
    """Have the collector leave alone what has been loaded: it stays.

    A collection that walked through it, 0.1 s with a thousand senses, would hold up whatever is due
    meanwhile.
    """
    if _something_died() is not None:  # looking through all objects copies 0.2 MB of them
        _set_aside.extend(map(weakref.ref, _handles()))
    gc.freeze()


def reap_orphans() -> int:
    """Reap every dead child that nobody waits for; return how many there were."""
    if not _something_died():
        return 0
    expected = _expected()
    dead = [pid for pid in children(os.getpid()) if not is_alive(pid) and pid not in expected]
    for pid in dead:
        os.waitpid(pid, os.WNOHANG)
    return len(dead)


def _something_died() -> bool | None:
    """Whether a dead child waits to be reaped; None where there is no child at all."""
    # One system call, and the usual answer is no; what follows costs milliseconds.
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return None


def _expected() -> set[int]:
    """Process ids of which somebody in this process holds a handle."""
    aside = (handle for kept in _set_aside if (handle := kept()) is not None)
    popen = {handle.pid for handles in (aside, _handles()) for handle in handles}
    forked = {p.pid for p in multiprocessing.process._children if p.pid}  # type: ignore[attr-defined]  # noqa: SLF001
    return popen | forked


def _handles() -> Iterator[subprocess.Popen[Any]]:
    return (found for found in gc.get_objects() if isinstance(found, subprocess.Popen))
