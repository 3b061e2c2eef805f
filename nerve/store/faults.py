"""Which fault of storage it is that the driver or the operating system reports.

Every process; changes nothing. Six faults are told
apart, because each wants something else of the operator: disk full, read-only file
system, no permission, corrupt, locked, deleted; what is left is an I/O error. SQLite has
one code for several of them (a -shm file that cannot be made is "unable to open" on a
read-only file system and "disk I/O error" on a full one), so where the code leaves it
open, the file system is asked, with a file that has no name and is gone at once. Its mount
flags are not enough: ext4 stops writing after an error and is not marked read-only.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerve.errors import (
    DatabaseCorrupt,
    DatabaseDeleted,
    DatabaseError,
    DatabaseLocked,
    DatabaseMissing,
    StateError,
    StateFaulty,
    StateForbidden,
    StateFull,
    StateReadOnly,
)

PROBE_BYTES = 32 * 1024
"""What the file system is asked to take: the size of SQLite's smallest file (-shm)."""

CORRUPT_HINT = (
    "it was left untouched: restore it, or move it and its -wal away to begin anew "
    "(with logs.db the directory archive as well)"
)
LOCKED_HINT = "find the other process with `fuser -v` on the file; it may be an open sqlite3 shell"
READ_ONLY_HINT = "remount it read-write; after a fault of the disk the kernel's log says why it is"
FORBIDDEN_HINT = "look at owner and mode of it and of its directory; run nerve as the owner"
FULL_HINT = "free some space there or in the temporary directory; what was committed is kept"
FAULTY_HINT = "look into the kernel's log for faults of the disk, and at quotas and limits"
DESCRIPTORS_HINT = "something keeps files open: close them, or raise the limit on open files"
DELETED_HINT = "nothing to do: it is written back; to begin anew or to move it, stop nerve first"

NEEDS_NEW_CONNECTION = frozenset({StateReadOnly.fault, StateForbidden.fault})
"""After these a connection may be one that SQLite has opened for reading alone."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_PRIMARY_CODE = 0xFF
_DATABASE_FAULTS: dict[int, tuple[type[DatabaseError], str, str]] = {
    sqlite3.SQLITE_NOTADB: (DatabaseCorrupt, "is no SQLite database", CORRUPT_HINT),
    sqlite3.SQLITE_CORRUPT: (DatabaseCorrupt, "is damaged", CORRUPT_HINT),
    sqlite3.SQLITE_BUSY: (DatabaseLocked, "is locked by another process", LOCKED_HINT),
    sqlite3.SQLITE_LOCKED: (DatabaseLocked, "is locked by another connection", LOCKED_HINT),
}
_REFUSING = frozenset({sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY})
_OWN_CODES = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_BUSY,
    }
)
"""Not SQLITE_LOCKED, a statement in the way of another one of the same connection; not
SQLITE_CANTOPEN: the database is open, so it is about some other file."""


def explain(error: sqlite3.Error, path: Path) -> StateError:
    """Say which of our errors a driver's error on the database at `path` is."""
    code = extended_code(error)
    primary = primary_code(error)
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        fact = f"{path} was deleted or replaced: {error}"
        return DatabaseDeleted(fact, path=path, hint=DELETED_HINT)
    if primary == sqlite3.SQLITE_FULL:
        return _full(error, path)
    if primary == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(error, path)
    if primary in _REFUSING:
        return _read_only(error, path) if is_read_only(path) else _forbidden(error, path)
    if primary == sqlite3.SQLITE_IOERR:
        return _by_file_system(error, path)
    kind, fact, hint = _DATABASE_FAULTS.get(primary, (DatabaseError, "failed", ""))
    if code == sqlite3.SQLITE_CORRUPT_VTAB:  # an index of a search module, not the file
        kind, fact, hint = DatabaseError, "failed", ""
    return kind(f"{path} {fact}: {error}", path=path, hint=hint)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what `explain` says in place of a driver's error on the database at `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


def is_of_the_file(error: sqlite3.Error) -> bool:
    """Tell a fault of the open database's file from a fault of the statement."""
    code = extended_code(error)
    return primary_code(error) in _OWN_CODES and code != sqlite3.SQLITE_CORRUPT_VTAB


def extended_code(error: sqlite3.Error) -> int:
    """SQLite's extended result code; SQLITE_ERROR for an error of the driver's own."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR))


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its detail, e.g. SQLITE_IOERR for SQLITE_IOERR_WRITE."""
    return extended_code(error) & _PRIMARY_CODE


def refused(error: OSError, path: Path, *, hint: str = "") -> StateError:
    """Say which of our errors an operating system's error on a file of ours is.

    `hint` is for an error that is none of the faults of storage.
    """
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError):
        fact = f"no access to {path}: {reason}"
        return StateForbidden(fact, path=path, hint=FORBIDDEN_HINT)
    message = f"cannot use {path}: {reason}"
    if error.errno == errno.EROFS:
        return StateReadOnly(message, path=path, hint=READ_ONLY_HINT)
    if error.errno in _NO_SPACE:
        return StateFull(message, path=path, hint=FULL_HINT)
    if error.errno in _NO_DESCRIPTORS:
        return StateFaulty(message, path=path, hint=DESCRIPTORS_HINT)
    if error.errno in (errno.EIO, errno.EFBIG):
        return StateFaulty(message, path=path, hint=FAULTY_HINT)
    return StateError(message, path=path, hint=hint)


def is_read_only(path: Path) -> bool:
    """Whether the file system that `path` is on, or would be on, takes no writes."""
    found = _file_system(path)
    return found is not None and bool(found.f_flag & os.ST_RDONLY)


def _file_system(path: Path) -> os.statvfs_result | None:
    for place in (path, path.parent):
        try:
            return os.statvfs(place)
        except OSError:
            continue
    return None


def refusal_of(directory: Path) -> OSError | None:
    """Return why a new file in a directory cannot be written, None if it can."""
    try:
        # Never the database itself: closing it would drop SQLite's locks on it.
        descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return error
    try:
        if os.pwrite(descriptor, bytes(PROBE_BYTES), 0) < PROBE_BYTES:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        return error
    finally:
        os.close(descriptor)
    return None


def _by_file_system(error: sqlite3.Error, path: Path, *, opening: bool = False) -> StateError:
    found = refusal_of(path.parent)
    if is_read_only(path) or (found is not None and found.errno == errno.EROFS):
        return _read_only(error, path)
    if found is not None and found.errno in _NO_SPACE:
        return _full(error, path)
    if opening and isinstance(found, PermissionError):  # beside it -wal and -shm are made
        return _forbidden(error, path)
    if found is not None and found.errno in _NO_DESCRIPTORS:
        error.__cause__ = (
            found  # which SQLite does not tell; whoever looks for a limit finds it here
        )
        return refused(found, path)
    fact = f"{path} cannot be read or written: {error}"
    return StateFaulty(fact, path=path, hint=FAULTY_HINT)


def _cannot_open(error: sqlite3.Error, path: Path) -> StateError:
    try:
        path.stat()
    except PermissionError:
        return _forbidden(error, path)
    except OSError:
        return DatabaseMissing(f"there is no database {path}", path=path)
    if not os.access(path, os.R_OK):
        return _forbidden(error, path)
    return _by_file_system(error, path, opening=True)


def _full(error: sqlite3.Error, path: Path) -> StateFull:
    return StateFull(f"{path} has no space left on its disk: {error}", path=path, hint=FULL_HINT)


def _read_only(error: sqlite3.Error, path: Path) -> StateReadOnly:
    fact = f"{path} is on a read-only file system: {error}"
    return StateReadOnly(fact, path=path, hint=READ_ONLY_HINT)


def _forbidden(error: sqlite3.Error, path: Path) -> StateForbidden:
    return StateForbidden(f"no access to {path}: {error}", path=path, hint=FORBIDDEN_HINT)
