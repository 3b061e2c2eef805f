"""A Unix socket in the file system that is nobody else's, from its first instant on.

The parent listens, commands connect. The kernel asks for the right to write on a socket's file
before it connects anybody, and gives the file the mode that the process's umask leaves: between
`bind` and `chmod` others could come in, and to change the umask would change that of all threads.
So the socket is bound in a fresh directory that is 0700, gets its mode there, and is renamed to
its place, over what an earlier process has left. That works whatever mode the directory around
has. Who connects all the same is asked for its credentials by `peer_of`.

An address holds 107 bytes. All paths lead through a descriptor of the directory
(`/proc/self/fd/N/NAME`), so that the state directory may lie as deep as it likes.
"""

import contextlib
import errno
import os
import socket
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nerve.clock import US_PER_S

MODE = 0o600
CRADLE_MODE = 0o700
CRADLE_SUFFIX = ".new"
"""Of the directory in which a socket is made, beside its place."""
BACKLOG = 128
"""Connections that wait for the parent to accept them; the next `connect` waits."""
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as it was when it connected or began to listen.

    Attributes:
        pid: 0 where it has none that we could see, such as in another container.
    """

    pid: int
    uid: int


class Listening:
    """A socket that listens at a path, until `close`."""

    def __init__(self, path: Path) -> None:
        """Listen; non-blocking. Raises OSError where that cannot be done."""
        self._name = path.name
        self._directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._refuse_other_files()
            with self._cradle() as cradle:
                address = _address(cradle, self._name)
                self.socket.bind(address)
                Path(address).chmod(MODE)
                self.socket.listen(BACKLOG)
                os.rename(self._name, self._name, src_dir_fd=cradle, dst_dir_fd=self._directory)
            self._identity = self._found()
        except BaseException:
            self._release()
            raise

    def is_ours(self) -> bool:
        """Whether the path leads here still; False when the file was deleted or replaced."""
        with contextlib.suppress(OSError):
            return self._found() == self._identity
        return False

    def close(self) -> None:
        """Listen no more, and remove the file if it is still ours."""
        if self.is_ours():
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._directory)
        self._release()

    def _release(self) -> None:
        self.socket.close()
        os.close(self._directory)

    def _found(self) -> tuple[int, int, int]:
        # The time too: a number is given to the next file as soon as it is free.
        found = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        return found.st_dev, found.st_ino, found.st_ctime_ns

    def _refuse_other_files(self) -> None:
        """Leave alone what is no socket: no nerve has put it there."""
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            if not stat.S_ISSOCK(found.st_mode):
                raise FileExistsError(f"{self._name} is there and is no socket")

    @contextlib.contextmanager
    def _cradle(self) -> Iterator[int]:
        """Make a fresh directory that is ours alone; gone at the end, empty or not."""
        name = self._name + CRADLE_SUFFIX
        self._clear_cradle(name)  # of a start that was killed
        os.mkdir(name, CRADLE_MODE, dir_fd=self._directory)
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        cradle = os.open(name, flags, dir_fd=self._directory)
        try:
            _require_ours(cradle, name)
            Path(f"/proc/self/fd/{cradle}").chmod(CRADLE_MODE)  # a umask may have left us less
            yield cradle
        finally:
            os.close(cradle)
            self._clear_cradle(name)

    def _clear_cradle(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(f"{name}/{self._name}", dir_fd=self._directory)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self._directory)


def reach(path: Path, timeout_s: float) -> socket.socket:
    """Connect to the socket at a path; raises OSError, TimeoutError among them.

    No operation of the socket that is returned waits for longer than the timeout.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Not settimeout() before: where many connect at once it would not wait at all.
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout_s))
            try:
                connected.connect(_address(directory, path.name))
            except BlockingIOError:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            connected.settimeout(timeout_s)
        except BaseException:
            connected.close()
            raise
    finally:
        os.close(directory)
    return connected


def peer_of(connected: socket.socket) -> Peer:
    """Return who is at the other end; raises OSError."""
    size = _CREDENTIALS.size
    pid, uid, _ = _CREDENTIALS.unpack(
        connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return Peer(pid, uid)


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * US_PER_S))


def _require_ours(directory: int, name: str) -> None:
    """Refuse a directory that took the place of the one just made, where others may write."""
    found = os.fstat(directory)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{name} is not ours alone")


def _address(directory: int, name: str) -> str:
    return f"/proc/self/fd/{directory}/{name}"
