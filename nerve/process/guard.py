"""The fork server as the guard of all workers.

Runs in the fork server, installed by its preload. The fork server lives exactly
as long as the parent holds the other end of its alive pipe; however the parent
dies, the fork server wakes, exits, and its exit handler kills every descendant
until none is left. So no worker needs a thread that watches the parent, and a
worker that holds the GIL in C code is taken as well.

It works because (1) each worker closes its inherited copy of the alive pipe first
of all (`nerve.process.launch`), (2) the fork server is a subreaper, so that a
grandchild that called setsid() stays its descendant, and (3) it ignores the
signals that are sent to whole groups.
"""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import stat
import warnings
from pathlib import Path

from nerve.process.kernel import become_subreaper
from nerve.process.tree import kill_descendants

_TEMPORARY = "pymp-"
"""How multiprocessing names a directory that it has made for its socket."""
_installed_in: int | None = None


def install() -> None:
    """Make this process the guard of its descendants."""
    global _installed_in  # noqa: PLW0603  tells a worker whether its fork server was prepared
    become_subreaper()
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    # It adopts orphans and reaps them too; the standard library finds that worth a warning.
    warnings.filterwarnings("ignore", message="forkserver: waitpid returned unexpected pid")
    _installed_in = os.getpid()
    atexit.register(_kill_all, _installed_in, _listening_at())


def guarded_by(pid: int) -> bool:
    """Whether the process `pid`, from which this one was forked, had installed the guard."""
    return _installed_in == pid


def _kill_all(guard_pid: int, listening_at: str | None) -> None:
    if os.getpid() != guard_pid:  # a forked worker inherits the handler, and must not act on it
        return
    kill_descendants(guard_pid)
    if listening_at is not None:
        _remove_socket(Path(listening_at))
    # Taking the interpreter down in order takes some 200 ms with all that is imported, and frees
    # nothing that the kernel would not.
    os._exit(0)


def _listening_at() -> str | None:
    """Path of the socket on which this process is asked for workers, if that has one.

    The standard library leaves it to the parent to delete it, which may be killed.
    """
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  numbers, not paths
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as found:
                    if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        path = found.getsockname()
                        return path if isinstance(path, str) and path else None
    return None


def _remove_socket(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
    if path.parent.name.startswith(_TEMPORARY):  # with those of earlier fork servers of this parent
        shutil.rmtree(path.parent, ignore_errors=True)
