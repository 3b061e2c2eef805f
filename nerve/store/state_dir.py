"""The state directory: where things lie in it, and who holds it.

The parent creates and locks it; every other process only asks for paths. The lock
is a `flock` on a file, so it ends with the process that holds it, however that
died, and no stale lock ever has to be removed by hand. Its descriptor is not
inherited over exec: workers come from a fork server that was started by exec, so
none of them can keep a dead parent's lock alive.
"""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from nerve.errors import AlreadyRunning, StateError, StateForbidden

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
LOCK_ATTEMPTS = 5
LOCK_RETRY_S = 0.02
_MAX_PID_DIGITS = 20


@dataclass(frozen=True, slots=True)
class StateDir:
    """One installation's directory.

    Attributes:
        root: the directory itself, best absolute.
    """

    root: Path

    @property
    def lock_path(self) -> Path:
        """The file the parent locks and writes its process id into."""
        return self.root / "lock"

    @property
    def socket_path(self) -> Path:
        """The control socket."""
        return self.root / "nerve.sock"

    @property
    def journal_path(self) -> Path:
        """The database of signals, logs and positions, written by the parent alone."""
        return self.root / "logs.db"

    @property
    def senses(self) -> Path:
        """The directory of the senses' databases."""
        return self.root / "senses"

    @property
    def blobs(self) -> Path:
        """The directory of content-addressed files."""
        return self.root / "blobs"

    @property
    def archive(self) -> Path:
        """The directory of what has left the journal."""
        return self.root / "archive"

    def sense_db(self, name: str) -> Path:
        """Path of the database of the sense of that name."""
        return self.senses / f"{name}.db"

    def create(self) -> None:
        """Make the directories that are missing, for their owner alone.

        What exists keeps its mode: it is the operator's. Raises StateForbidden where
        access is refused, StateError where there can be no directory.
        """
        for directory in (self.root, self.senses, self.blobs, self.archive):
            _make_directory(directory)

    def lock(self) -> int:
        """Hold the directory for as long as the returned descriptor stays open.

        Raises AlreadyRunning, with the holder's pid, when another process has it.
        """
        try:
            lock = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            acquired = _acquire(lock)
        except OSError as error:
            raise _refused(error, self.lock_path) from error
        if not acquired:
            pid = _read_pid(lock)
            os.close(lock)
            raise AlreadyRunning(_held(self.root, pid), path=self.root, pid=pid)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    def holder(self) -> int | None:
        """Return the pid of the process that holds the directory, or None if none does.

        Raises StateForbidden where the lock file may not be read.
        """
        try:
            lock = os.open(self.lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused(error, self.lock_path) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_pid(lock)
        else:
            return None
        finally:
            os.close(lock)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(error, directory) from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise _refused(PermissionError("it is not ours to write in"), directory)


def _acquire(lock: int) -> bool:
    # `holder()` takes the lock for an instant: one refusal does not mean a second parent.
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            time.sleep(LOCK_RETRY_S)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _read_pid(lock: int) -> int | None:
    text = os.pread(lock, _MAX_PID_DIGITS, 0)
    # Empty for the instant between a first start's lock and its writing the pid.
    return int(text) if text.isdigit() else None


def _held(root: Path, pid: int | None) -> str:
    holder = f"process {pid}" if pid else "another process"
    return f"{root} is in use: {holder} runs nerve there"


def _refused(error: OSError, path: Path) -> StateError:
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError):
        return StateForbidden(
            f"no access to {path}: {reason}",
            path=path,
            hint="run nerve as the owner of the state directory, or give it another state_dir",
        )
    return StateError(
        f"cannot use {path}: {reason}",
        path=path,
        hint="state_dir must be a directory, or a path where one can be made",
    )
