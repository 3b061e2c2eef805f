"""The one tree of errors, and the exit codes they end in.

Every process. An error carries its facts as fields (where, what) and a `hint`:
what the operator can do now. Functions raise or return; nobody logs an error
and goes on. What catches everything are the named boundaries alone: the
worker's executor and entry, the supervisor's message handling, the command line.
"""

from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of the command line; from 64 on those of BSD sysexits.h, and 128 plus a signal."""

    OK = 0
    FOUND = 1
    USAGE = 2
    NOTHING_RUNNING = 69
    INTERNAL = 70
    CANNOT_CREATE = 73
    INPUT_OUTPUT = 74
    ALREADY_RUNNING = 75
    NO_PERMISSION = 77
    CONFIGURATION = 78
    INTERRUPTED = 130


class NerveError(Exception):
    """Anything nerve can explain.

    Attributes:
        hint: what to do about it, one sentence without a full stop; may be empty.
        exit_code: what the command line ends with when this reaches it.
    """

    exit_code: Exit = Exit.FOUND

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PackageMissing(NerveError):
    """What was asked for needs a package that is not installed; the hint says which extra."""

    exit_code = Exit.USAGE


class ConfigurationInvalid(NerveError):
    """The configuration has faults; `nerve.config` raises a subclass that lists all of them."""

    exit_code = Exit.CONFIGURATION


class StateError(NerveError):
    """The state directory or a file in it cannot be used.

    Attributes:
        path: the file or directory in question.
        fault: which fault of storage it is, a stable word that the log has as well:
            `disk_full`, `read_only`, `forbidden`, `corrupt`, `locked`, `deleted` or
            `io_error`; empty for anything else.
    """

    exit_code = Exit.CANNOT_CREATE
    fault = ""

    def __init__(self, message: str, *, path: Path, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class StateForbidden(StateError):
    """The operating system refused access to a file or directory of ours."""

    exit_code = Exit.NO_PERMISSION
    fault = "forbidden"


class StateReadOnly(StateError):
    """The file system is mounted read-only, or the kernel made it so after a fault."""

    fault = "read_only"


class StateFull(StateError):
    """No space is left on the disk, or none within a quota."""

    exit_code = Exit.INPUT_OUTPUT
    fault = "disk_full"


class StateFaulty(StateError):
    """A read or write failed for a reason that is none of the others."""

    exit_code = Exit.INPUT_OUTPUT
    fault = "io_error"


class StateDeleted(StateError):
    """The state directory was deleted or replaced while nerve ran in it."""

    exit_code = Exit.INPUT_OUTPUT
    fault = "deleted"


class NothingHasRun(StateError):
    """The command reads what a run of nerve leaves behind, and there is nothing yet."""

    exit_code = Exit.NOTHING_RUNNING


class AlreadyRunning(StateError):
    """Another parent holds the state directory.

    Attributes:
        pid: its process id, or None where the lock file does not tell.
    """

    exit_code = Exit.ALREADY_RUNNING

    def __init__(self, message: str, *, path: Path, pid: int | None) -> None:
        super().__init__(message, path=path, hint="stop that one first, or use another state_dir")
        self.pid = pid


class DatabaseError(StateError):
    """A database of ours cannot be used."""


class DatabaseMissing(DatabaseError):
    """There is no such database file."""


class DatabaseCorrupt(DatabaseError):
    """The file is there and is no sound SQLite database; it was left untouched."""

    fault = "corrupt"


class DatabaseLocked(DatabaseError):
    """Another process held the database's write lock for longer than the busy timeout."""

    fault = "locked"


class DatabaseDeleted(DatabaseError):
    """The file was deleted or replaced while nerve had it open, and was not put back."""

    exit_code = Exit.INPUT_OUTPUT
    fault = "deleted"


class DatabaseNewer(DatabaseError):
    """The database was written by a newer version of the code; it was left untouched.

    Attributes:
        revision: the revision in the file that the code does not know.
    """

    def __init__(self, message: str, *, path: Path, revision: str, hint: str = "") -> None:
        super().__init__(message, path=path, hint=hint)
        self.revision = revision


class MigrationFailed(DatabaseError):
    """A migration cannot be read, or raised; the database is as it was before.

    Attributes:
        revision: the revision that failed, None where none had begun.
    """

    def __init__(
        self, message: str, *, path: Path, revision: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.revision = revision


class SenseError(NerveError):
    """A sense broke a rule of its contract.

    Attributes:
        kind: a stable word for the way it failed, e.g. `import_raised`.
    """

    def __init__(self, message: str, *, kind: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class PeerError(SenseError):
    """A peer's database was asked for that cannot be given: unknown, own, or not there yet."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, kind="peer", hint=hint)


class WireError(NerveError):
    """What came over a channel is no frame or no message of ours."""


class FrameTooLarge(WireError):
    """A frame announces more bytes than the limit.

    Attributes:
        size: bytes announced.
        limit: bytes allowed.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a frame of {size:,} bytes is over the limit of {limit:,} bytes")
        self.size = size
        self.limit = limit


class MessageInvalid(WireError):
    """A frame does not hold a valid message."""
