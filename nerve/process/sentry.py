"""A second guard, above the fork server, for when that is killed together with the parent.

Imported first of all by the fork server's preload, and acts on the import. The process forks:
the child goes on to become the fork server, and this one, with little loaded, stays above it as
a subreaper and watches two things. When the parent is gone (the alive pipe ends) or the
fork server is, it kills whatever is below it, and ends. So

    the parent dies            fork server and sentry both kill all that is left
    and the fork server too    the sentry does
    and the sentry too         the fork server does
    one of the two alone       the other ends everything as well; the parent starts another pair

For the parent the sentry *is* the fork server: it is the child that it knows, whose end it
waits for, and whose end says that another one is needed.
"""

import os
import select
import signal
import socket
import sys
from multiprocessing import forkserver
from pathlib import Path
from types import FrameType
from typing import Final

from nerve.process.guard import ignore_group_signals, remove_socket
from nerve.process.kernel import become_subreaper, name_process, tell_of_parents_death
from nerve.process.tree import kill_descendants

NAME = "nerve: sentry"
SENTRY_GONE: Final = int(signal.SIGRTMIN) + 6


listening_at: Path | None = None
"""Where this fork server is asked for workers; None in any other process."""


def _split(main: FrameType) -> None:
    """Fork; the child returns, this process watches until there is nothing to watch."""
    global listening_at  # noqa: PLW0603  found here, where the frame is at hand
    # Private names, like all of multiprocessing's that are used; a test fails without them.
    listener, alive = main.f_locals["listener_fd"], main.f_locals["alive_r"]
    with socket.socket(fileno=os.dup(listener)) as found:
        listening_at = Path(found.getsockname())
    become_subreaper()
    sentry = os.getpid()
    server = os.fork()
    if server == 0:
        name_process("nerve: forks")
        # Not SIGKILL: it has to end its workers first. They set this signal back.
        signal.signal(SENTRY_GONE, _end_once)
        tell_of_parents_death(sentry, SENTRY_GONE)
        return
    os.close(listener)  # or whoever asks for a worker would wait for one that is gone
    name_process(NAME)
    ignore_group_signals()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _wait_for_an_end(server, alive)
    kill_descendants(os.getpid())
    remove_socket(listening_at)
    os._exit(0)


def _end_once(*_: object) -> None:
    # The parent adopts this process when the sentry dies, so its death sends the signal again; in
    # the middle of the exit handler that would end the killing.
    signal.signal(SENTRY_GONE, _do_nothing)
    sys.exit(0)


def _do_nothing(*_: object) -> None:
    """Not SIG_IGN, which would leave a signal that is already on its way to the last handler."""


def _wait_for_an_end(server: int, alive: int) -> None:
    watched = select.poll()
    watched.register(alive, select.POLLIN)
    watched.register(os.pidfd_open(server), select.POLLIN)
    watched.poll()  # without a bound: both ends come, and both come by the kernel


def _main_of_fork_server() -> FrameType | None:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  no other way to these descriptors
    while frame is not None and frame.f_code is not forkserver.main.__code__:
        frame = frame.f_back
    return frame


if (_main := _main_of_fork_server()) is not None:
    _split(_main)
