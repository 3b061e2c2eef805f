"""Starting a worker through the fork server.

`launch` runs in the parent and blocks for some milliseconds (the fork, and at the
first call the fork server's imports), so the supervisor calls it in a thread.
`_enter` is the first code of ours in the new process. The entry point is named by
text: the parent must not import what workers run.

The multiprocessing module's private names that are needed are used here and
nowhere else, and tests fail when one disappears.
"""

import contextlib
import importlib
import multiprocessing
import os
import socket
import sys
import threading
import time
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.context import ForkServerProcess
from typing import Any

from nerve.process.kernel import children
from nerve.process.tree import kill_tree

START_METHOD = "forkserver"
SHUT_DOWN_TIMEOUT_S = 3.0
SHUT_DOWN_POLL_S = 0.002

_starting = threading.Lock()
"""One start at a time: they swap `__main__`, and the standard library's own lists."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A started worker, as the parent holds it.

    Attributes:
        process: the standard library's handle; its `sentinel` is readable at the exit.
        channel: the parent's end of the socketpair.
        stdout, stderr: read ends of the pipes the worker's output goes to.
    """

    process: ForkServerProcess
    channel: socket.socket
    stdout: int
    stderr: int

    @property
    def pid(self) -> int:
        """Process id of the worker, which is its session and process group too."""
        assert self.process.pid is not None  # noqa: S101  it was started
        return self.process.pid


def prepare(preload: Sequence[str]) -> None:
    """Choose what the fork server imports, and start it with the environment of this moment.

    Name installed modules only. An ImportError in them is silent before Python 3.15:
    workers report whether it worked.
    """
    multiprocessing.set_start_method(START_METHOD, force=True)
    multiprocessing.set_forkserver_preload(list(preload))
    forkserver.ensure_running()


def shut_down() -> None:
    """End the fork server, and with it whatever should be left below it; waits for it.

    Does what the standard library's `ForkServer._stop` does, which waits without a bound.
    """
    server: Any = forkserver._forkserver  # noqa: SLF001
    pid, alive = server._forkserver_pid, server._forkserver_alive_fd  # noqa: SLF001
    if pid is None:
        return
    server._forkserver_pid = server._forkserver_alive_fd = None  # noqa: SLF001
    os.close(alive)
    if not _ends(pid, SHUT_DOWN_TIMEOUT_S):
        kill_tree(pid)
        _ends(pid, SHUT_DOWN_TIMEOUT_S)


def end_adopted() -> int:
    """Kill what this process has adopted, after the death of a fork server; return how many.

    All that is below it but the resource tracker, which ends by itself and has to be last.
    """
    tracker = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]  # noqa: SLF001
    adopted = [pid for pid in children(os.getpid()) if pid != tracker]
    for pid in adopted:
        kill_tree(pid)
        _ends(pid, SHUT_DOWN_TIMEOUT_S)
    return len(adopted)


def _ends(pid: int, timeout_s: float) -> bool:
    give_up = time.monotonic() + timeout_s
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > give_up:
                return False
            time.sleep(SHUT_DOWN_POLL_S)
    return True


def launch(name: str, entry: str, spec: bytes, *, log_queue: Any = None) -> Launched:
    """Start a worker and return as soon as it is forked.

    Args:
        name: of the process, for `ps` and debuggers.
        entry: what to run there, as `package.module:function`; it is called with
            `(spec, socket, log_queue)`.
        spec: passed through as it is.
        log_queue: a multiprocessing queue for log records, or None.

    Raises:
        OSError, EOFError: the fork server is gone or cannot fork.
    """
    ours, theirs = socket.socketpair()
    stdout, stdout_w = os.pipe()
    stderr, stderr_w = os.pipe()
    outputs = (stdout_w, stderr_w)
    arguments = (entry, spec, theirs, _Descriptor(stdout_w), _Descriptor(stderr_w), log_queue)
    # Not daemonic: a daemon of multiprocessing may not have children, and a sense may want some.
    process = ForkServerProcess(target=_enter, args=arguments, name=name, daemon=False)
    try:
        with _starting, _blank_main():
            process.start()
            # Or the next start would poll this one from another thread, and whoever comes second
            # reads an end of file for an exit code.
            multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # noqa: SLF001
    except BaseException:
        ours.close()
        os.close(stdout)
        os.close(stderr)
        raise
    finally:
        theirs.close()
        for descriptor in outputs:
            os.close(descriptor)
    return Launched(process, ours, stdout, stderr)


class _Descriptor:
    """A file descriptor that is duplicated into the worker when the arguments are pickled."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _detach, (reduction.DupFd(self.descriptor),)


def _detach(duplicate: Any) -> int:
    return int(duplicate.detach())


def _enter(
    entry: str, spec: bytes, channel: socket.socket, stdout: int, stderr: int, log_queue: Any
) -> None:
    # First of all: while any copy of this pipe is open, the fork server thinks the parent lives.
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]  # noqa: SLF001
    for source, target in ((stdout, 1), (stderr, 2)):
        os.dup2(source, target)
        os.close(source)
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(spec, channel, log_queue)


@contextlib.contextmanager
def _blank_main() -> Iterator[None]:
    """Hide `__main__` while starting, or each worker would run the parent's main script again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
