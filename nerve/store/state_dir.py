"""The state directory: where things lie in it, and who holds it.

The parent creates and locks it; every other process only asks for paths. The lock
is a `flock` on a file, so it ends with the process that holds it, however that
died, and no stale lock ever has to be removed by hand. Its descriptor is not
inherited over exec: workers come from a fork server that was started by exec, so
none of them can keep a dead parent's lock alive.
"""

import errno
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from nerve.errors import AlreadyRunning, StateDeleted
from nerve.store.faults import is_read_only, refused

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
LOCK_ATTEMPTS = 5
LOCK_RETRY_S = 0.02
DIRECTORY_HINT = "state_dir must be a directory, or a path where one can be made"
_MAX_PID_DIGITS = 20
"""What is read of a lock file for the process id, which ends with its line."""
_MAX_LOCK_BYTES = _MAX_PID_DIGITS + 1 + 4_096
"""What is read of it with the path of the configuration, which Linux has no longer."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """One installation's directory.

    Attributes:
        root: the directory itself, best absolute.
    """

    root: Path

    @property
    def lock_path(self) -> Path:
        """The file the parent locks; its process id stands there, and below its configuration."""
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
    def workers(self) -> Path:
        """The directory of the files in which workers say what they do."""
        return self.root / "workers"

    @property
    def fork(self) -> Path:
        """The directory in which the fork server listens."""
        return self.root / "fork"

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
        access is refused, StateReadOnly, StateFull, or StateError where there can be none.
        """
        parts = (self.senses, self.blobs, self.workers, self.fork, self.archive)
        for directory in (self.root, *parts):
            _make_directory(directory)

    def lock(self, config: Path | None = None) -> int:
        """Hold the directory for as long as the returned descriptor stays open.

        `config` is the file by which it is held, for `config_of_holder`. Raises AlreadyRunning,
        with the holder's pid, when another process has it.
        """
        try:
            lock = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise refused(error, self.lock_path, hint=DIRECTORY_HINT) from error
        try:
            self._hold(lock, config)
        except OSError as error:
            os.close(lock)
            raise refused(error, self.lock_path, hint=DIRECTORY_HINT) from error
        except AlreadyRunning:
            os.close(lock)
            raise
        return lock

    def check(self) -> None:
        """Raise StateDeleted if this process does not hold the directory any more.

        Then it was deleted, emptied or replaced, and another nerve could start in it.
        Raises another StateError where that cannot be told.
        """
        holder = self.holder()
        if holder == os.getpid():
            return
        if holder is not None:
            change = f"process {holder} runs nerve there too"
        elif self.lock_path.exists():
            change = "its lock file was replaced"
        else:
            change = "its lock file was deleted"
        raise StateDeleted(
            f"{self.root} cannot be used any more: {change} while this nerve had it",
            path=self.root,
            hint="find out what changes it; look that no second nerve runs there, and start again",
        )

    def _hold(self, lock: int, config: Path | None) -> None:
        if not _acquire(lock):
            pid = _read_pid(lock)
            raise AlreadyRunning(_held(self.root, pid), path=self.root, pid=pid)
        os.ftruncate(lock, 0)
        told = b"%d\n%b" % (os.getpid(), b"" if config is None else os.fsencode(config.absolute()))
        os.pwrite(lock, told, 0)

    def holder(self) -> int | None:
        """Return the pid of the process that holds the directory, or None if none does.

        Raises StateForbidden where the lock file may not be read.
        """
        try:
            lock = os.open(self.lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused(error, self.lock_path) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_pid(lock)
        else:
            return None
        finally:
            os.close(lock)

    def config_of_holder(self) -> Path | None:
        """Return the configuration by which the holder was started; None where that is not told.

        Of a lock file of another program's, too, whatever stands in it.
        """
        try:
            with self.lock_path.open("rb") as lock:
                pid, _, config = lock.read(_MAX_LOCK_BYTES).partition(b"\n")
        except OSError:
            return None
        is_ours = pid.isdigit() and config and b"\0" not in config
        return Path(os.fsdecode(config)) if is_ours else None


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise refused(error, directory, hint=DIRECTORY_HINT) from error
    if is_read_only(directory):
        raise refused(OSError(errno.EROFS, os.strerror(errno.EROFS)), directory)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise refused(PermissionError("it is not ours to write in"), directory)


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
    text, _, _ = os.pread(lock, _MAX_PID_DIGITS, 0).partition(b"\n")
    # Empty for the instant between a first start's lock and its writing the pid.
    return int(text) if text.isdigit() else None


def _held(root: Path, pid: int | None) -> str:
    holder = f"process {pid}" if pid else "another process"
    return f"{root} is in use: {holder} runs nerve there"
