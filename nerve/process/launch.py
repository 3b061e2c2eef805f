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
import shutil
import socket
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from nerve.process.kernel import children, is_alive
from nerve.process.tree import MAX_ROUNDS, kill_tree, wait_for_end

START_METHOD = "forkserver"
MAX_SOCKET_FOLDER_BYTES = 85
"""A socket's path holds 107 bytes (unix(7)), and its name here takes 20."""
_ELSEWHERE = "nerve-fork-"
"""How a directory is called that stands in for one whose path is too long."""
SHUT_DOWN_TIMEOUT_S = 3.0
STRAYS_PATIENCE_S = 5.0
"""For a launch that is under way, before strays are looked for another time."""

_starting = threading.Lock()
"""One start at a time: they swap `__main__`, and the standard library's own lists."""
_living: set[int] = set()
"""Workers that were started and are not known to be gone; added to under `_starting`."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A started worker, as the parent holds it.

    Attributes:
        process: the standard library's handle; its `sentinel` is readable at the exit.
        channel: the parent's end of the socketpair.
        stdout, stderr: read ends of the pipes the worker's output goes to.
        server_pid: the sentry of the fork server it is a child of, as `fork_server_pid` has it.
    """

    process: ForkServerProcess
    channel: socket.socket
    stdout: int
    stderr: int
    server_pid: int

    @property
    def pid(self) -> int:
        """Process id of the worker, which is its session and process group too."""
        assert self.process.pid is not None  # noqa: S101  it was started
        return self.process.pid


def prepare(preload: Sequence[str], folder: Path | None = None) -> None:
    """Choose what the fork server imports, and start it with the environment of this moment.

    It listens on a socket in `folder`, which nobody else uses; what an earlier run has left there
    is removed. Without one, in a directory of the standard library's, which a parent that is killed
    leaves behind.

    Name installed modules only. An ImportError in them is silent before Python 3.15:
    workers report whether it worked.
    """
    if folder is not None:
        _config()["tempdir"] = str(_short(folder))
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
    if folder := _config().pop("tempdir", None):
        _clear(Path(folder))


def fork_server_pid() -> int | None:
    """Process id of the fork server's sentry, which may have died; None before `prepare`."""
    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001
    return pid


def _config() -> dict[str, Any]:
    """What multiprocessing keeps for this process; where its sockets go, among others."""
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001
    return config


def _short(folder: Path) -> Path:
    """A directory whose path leaves room for a socket's name: `folder`, or one it points to."""
    _clear(folder)
    if len(os.fsencode(folder)) <= MAX_SOCKET_FOLDER_BYTES:
        return folder
    made = Path(tempfile.mkdtemp(prefix=_ELSEWHERE))
    (folder / made.name).symlink_to(made)
    return made


def _clear(folder: Path) -> None:
    """Remove the sockets of fork servers that were killed, and directories pointed to."""
    server: Any = forkserver._forkserver  # noqa: SLF001
    for path in folder.glob("listener-*"):
        if str(path) != server._forkserver_address or server._forkserver_pid is None:  # noqa: SLF001
            path.unlink(missing_ok=True)
    for link in folder.glob(f"{_ELSEWHERE}*"):
        shutil.rmtree(link.resolve(), ignore_errors=True)
        link.unlink(missing_ok=True)
    if folder.name.startswith(_ELSEWHERE):
        shutil.rmtree(folder, ignore_errors=True)


def end_strays() -> int:
    """Kill what dead workers have left behind; return how many processes that were.

    A child of a worker that called setsid() outlives it, and is the fork server's then, as every
    worker is. So whatever stands below the fork server and is no worker is a stray. Blocks while
    a worker is being started, which would look like one.
    """
    if not _starting.acquire(timeout=STRAYS_PATIENCE_S):
        return 0  # the next death, or the end, looks again
    try:
        return _end_all(lambda: [pid for server in _servers() for pid in children(server)])
    finally:
        _starting.release()


def _servers() -> list[int]:
    """The fork server itself, below the sentry that the standard library takes for it."""
    return children(fork_server_pid() or 0)


def is_gone(pid: int) -> None:
    """A worker has ended: what bears this process id from now on is something else."""
    _living.discard(pid)  # in one step, so without the lock, which a launch may hold for long


def end_fork_server() -> None:
    """Kill a fork server that does not answer, with all below it; the next start makes another.

    Whoever waits in `launch` for its answer gets an OSError or EOFError.
    """
    server = fork_server_pid()
    if server is not None:
        kill_tree(server)


def end_adopted() -> int:
    """Kill what this process has adopted, after the death of a fork server; return how many.

    All that is below it but the resource tracker, which ends by itself and has to be last, and
    the fork server that may have followed.
    """
    if not _starting.acquire(timeout=STRAYS_PATIENCE_S):
        return 0
    try:
        tracker = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]  # noqa: SLF001
        own = {tracker, fork_server_pid()}
        return _end_all(lambda: [pid for pid in children(os.getpid()) if pid not in own])
    finally:
        _starting.release()


def reap_adopted() -> None:
    """Reap what has ended and was never started here: process 1 of a container inherits such.

    Not the fork server, nor the resource tracker: the standard library waits for those itself.
    """
    tracker = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]  # noqa: SLF001
    own = {tracker, fork_server_pid()}
    for pid in children(os.getpid()):
        if pid not in own and not is_alive(pid):
            with contextlib.suppress(ChildProcessError):  # whoever waits for it was quicker
                os.waitpid(pid, os.WNOHANG)


def _end_all(found: Callable[[], list[int]]) -> int:
    """Kill all that are found and are no workers, until no more are."""
    killed = 0
    seen: set[int] = set()  # one that is slow to die is found again, and is one all the same
    for _ in range(MAX_ROUNDS):
        strays = [pid for pid in found() if pid not in _living]
        for pid in strays:
            killed += is_alive(pid) and pid not in seen
            seen.add(pid)
            killed += kill_tree(pid)
            with contextlib.suppress(ChildProcessError):  # the fork server's, which reaps it
                os.waitpid(pid, os.WNOHANG)
        if not any(map(is_alive, strays)):
            break
    return killed


def _ends(pid: int, timeout_s: float) -> bool:
    """Wait for a child, and reap it; False when that takes longer."""
    has_ended = wait_for_end([pid], timeout_s)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return has_ended


def launch(name: str, entry: str, *arguments: Any) -> Launched:
    """Start a worker and return as soon as it is forked.

    Args:
        name: of the process, for debuggers.
        entry: what to run there, as `package.module:function`.
        arguments: what to call it with, after its end of the channel.

    Raises:
        OSError, EOFError: the fork server is gone or cannot fork.
    """
    ours, theirs, (stdout, stdout_w), (stderr, stderr_w) = _pipes()
    outputs = (stdout_w, stderr_w)
    own = (entry, theirs, _Descriptor(stdout_w), _Descriptor(stderr_w))
    # Not daemonic: a daemon of multiprocessing may not have children, and a sense may want some.
    process = ForkServerProcess(target=_enter, args=(*own, *arguments), name=name, daemon=False)
    try:
        with _starting, _blank_main():
            _start(process)
            # Or the next start would poll this one from another thread, and whoever comes second
            # reads an end of file for an exit code.
            multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # noqa: SLF001
            assert process.pid is not None  # noqa: S101  it was started
            _living.add(process.pid)
            server_pid = fork_server_pid() or 0
    except BaseException:
        ours.close()
        os.close(stdout)
        os.close(stderr)
        raise
    finally:
        theirs.close()
        for descriptor in outputs:
            os.close(descriptor)
    return Launched(process, ours, stdout, stderr, server_pid)


def _pipes() -> tuple[socket.socket, socket.socket, tuple[int, int], tuple[int, int]]:
    """The channel and both outputs; none is left open where one cannot be had."""
    with contextlib.ExitStack() as undo:
        ours, theirs = socket.socketpair()
        undo.callback(ours.close)
        undo.callback(theirs.close)
        stdout = os.pipe()
        for descriptor in stdout:
            undo.callback(os.close, descriptor)
        stderr = os.pipe()
        undo.pop_all()
    return ours, theirs, stdout, stderr


def _start(process: ForkServerProcess) -> None:
    """Start a process; once more, where the fork server has just died or dies over it."""
    try:
        process.start()
    except (ConnectionError, EOFError, FileNotFoundError):
        # Its sentry lives on for some milliseconds, and is taken for a server that listens.
        # It is not reaped here: that is how the standard library learns that it needs another.
        if (sentry := fork_server_pid()) is not None:
            wait_for_end([sentry], SHUT_DOWN_TIMEOUT_S)
        process.start()


class _Descriptor:
    """A file descriptor that is duplicated into the worker when the arguments are pickled."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _detach, (reduction.DupFd(self.descriptor),)


def _detach(duplicate: Any) -> int:
    return int(duplicate.detach())


def _enter(entry: str, channel: socket.socket, stdout: int, stderr: int, *arguments: Any) -> None:
    # First of all: while any copy of this pipe is open, the fork server thinks the parent lives.
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]  # noqa: SLF001
    # Shared with the parent and all workers: garbage in it would be told on the terminal. A sense
    # that needs a tracker gets one of its own.
    tracker: Any = resource_tracker._resource_tracker  # noqa: SLF001
    os.close(tracker._fd)  # noqa: SLF001
    tracker._fd = tracker._pid = None  # noqa: SLF001
    for source, target in ((stdout, 1), (stderr, 2)):
        os.dup2(source, target)
        os.close(source)
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(channel, *arguments)


@contextlib.contextmanager
def _blank_main() -> Iterator[None]:
    """Hide `__main__` while starting, or each worker would run the parent's main script again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
