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
import signal
import warnings
from pathlib import Path

from nerve.process.kernel import become_subreaper
from nerve.process.tree import kill_descendants

_installed_in: int | None = None


def install(listening_at: Path | None) -> None:
    """Make this process the guard of its descendants, and of the socket it listens on."""
    global _installed_in  # noqa: PLW0603  tells a worker whether its fork server was prepared
    become_subreaper()
    ignore_group_signals()
    # It adopts orphans and reaps them too; the standard library finds that worth a warning.
    warnings.filterwarnings("ignore", message="forkserver: waitpid returned unexpected pid")
    _installed_in = os.getpid()
    atexit.register(_kill_all, _installed_in, listening_at)


def ignore_group_signals() -> None:
    """Take no notice of what is sent to whole groups: the parent decides when it is over."""
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)


def guarded_by(pid: int) -> bool:
    """Whether the process `pid`, from which this one was forked, had installed the guard."""
    return _installed_in == pid


def _kill_all(guard_pid: int, listening_at: Path | None) -> None:
    if os.getpid() != guard_pid:  # a forked worker inherits the handler, and must not act on it
        return
    kill_descendants(guard_pid)
    if listening_at is not None:
        remove_socket(listening_at)
    # Taking the interpreter down in order takes some 200 ms with all that is imported, and frees
    # nothing that the kernel would not.
    os._exit(0)


def remove_socket(path: Path) -> None:
    """Delete the socket on which the fork server was asked for workers.

    The standard library leaves that to the parent, which may have been killed.
    """
    with contextlib.suppress(OSError):
        path.unlink()
