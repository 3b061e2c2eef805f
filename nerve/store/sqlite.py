"""SQLite connections: an owner that writes, readers that cannot.

Every process. A database has one owner in one process (a sense's worker, or the
parent for the journal) and any number of readers. That is more than tidiness:
SQLite up to 3.51.2 can corrupt a WAL when two connections write or checkpoint at
the same instant. So a reader's connection is held to reading three times over: the
file is opened read-only; nothing can be attached, because a read-only connection
may attach another file for writing; and an authorizer lets only reading statements
through, because `PRAGMA wal_checkpoint(TRUNCATE)` on a read-only connection cuts the
owner's WAL off, and `PRAGMA query_only=0` undoes the pragma.

A file that is no sound database is refused and left as it is, byte for byte.
Statements begin no transaction of their own accord (`isolation_level=None`): who
writes says BEGIN IMMEDIATE, because a deferred transaction that turns from reading
to writing fails at once, whatever the busy timeout.
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from nerve.errors import DatabaseCorrupt, DatabaseError, StateError
from nerve.store.faults import explain, is_read_only, refused

BUSY_TIMEOUT_MS = 5_000
"""How long a statement waits for another connection's lock; keep it below a soft timeout."""
JOURNAL_SIZE_LIMIT_BYTES = 8 * 1024 * 1024
"""What is left of a WAL file that had to grow, after the next checkpoint."""
FILE_MODE = 0o600
NEW_DATABASE = "PRAGMA auto_vacuum=INCREMENTAL"
"""Before WAL and the first table. Later it has no effect, but takes the write lock."""

_NO_SPARE_PAGES = 2
"""The largest cache for which SQLite sets none aside."""

_READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    }
)
_READING_PRAGMAS = frozenset(
    {
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "encoding",
        "foreign_key_check",
        "foreign_key_list",
        "freelist_count",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "page_count",
        "page_size",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
_ASKING_PRAGMAS = frozenset({"journal_mode", "query_only", "read_uncommitted", "user_version"})
"""These are set by giving them a value, so they pass without one only."""


def open_owner(
    path: Path,
    *,
    full_sync: bool,
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    any_thread: bool = False,
) -> sqlite3.Connection:
    """Open a database for its one writer, and create it if there is none.

    Args:
        path: the file; its directory must exist.
        full_sync: sync every commit to the disk. Without it a power loss may take the
            last commits; the death of a process takes none either way.
        busy_timeout_ms: how long a statement waits for a lock.
        any_thread: let other threads than this one use the connection, one at a time.

    Raises StateError: DatabaseCorrupt, DatabaseLocked, StateForbidden, StateReadOnly,
    StateFull, StateFaulty, or DatabaseError for the rest.
    """
    # The reader is kept until the owner has opened: what the one has found in a WAL that was left
    # behind, the other need not look for again.
    with _read_first(path, busy_timeout_ms):
        try:
            _create_private(path)
            _refuse_unwritable(path)
            raw = sqlite3.connect(
                path.absolute(),
                timeout=busy_timeout_ms / 1_000,
                isolation_level=None,
                check_same_thread=not any_thread,
            )
        except sqlite3.Error as error:
            raise explain(error, path) from error
        with _closed_on_failure(raw, path):
            _prepare_owner(raw, path, full_sync=full_sync)
    return raw


def give_back_spare_pages(raw: sqlite3.Connection) -> None:
    """Let go of the twenty pages that SQLite sets aside with the first that a connection reads.

    For one of many connections in a process whose databases have few pages: 50 KB less for each.
    Outside a transaction. Its cache grows as before, a page at a time.
    """
    (size,) = raw.execute("PRAGMA cache_size").fetchone()
    raw.execute(f"PRAGMA cache_size={_NO_SPARE_PAGES}")
    raw.execute("PRAGMA shrink_memory")
    # As long as it holds one, it sets none aside.
    raw.execute("SELECT 1 FROM sqlite_schema").fetchone()
    raw.execute(f"PRAGMA cache_size={size}")


def open_reader(
    path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, immutable: bool = False
) -> sqlite3.Connection:
    """Open a database that someone else owns; nothing can be written through it.

    With `immutable` the file alone is read, and none is made beside it: only where it has no
    WAL and nobody writes.

    Raises StateError: DatabaseMissing, DatabaseCorrupt, DatabaseLocked, StateForbidden,
    StateReadOnly, StateFull, StateFaulty, or DatabaseError for the rest.
    """
    uri = read_only_uri(path) + ("&immutable=1" if immutable else "")
    try:
        raw = sqlite3.connect(uri, uri=True, timeout=busy_timeout_ms / 1_000, isolation_level=None)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    with _closed_on_failure(raw, path):
        raw.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        raw.execute("PRAGMA query_only=ON")
        raw.set_authorizer(_only_reading)
        raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return raw


def read_only_uri(path: Path) -> str:
    """Return what SQLite opens for reading alone."""
    # Quoted, because `?`, `#` and `%` mean something in a URI and nothing in a path.
    return "file://" + quote(os.fsencode(path.absolute())) + "?mode=ro"


def database_path(raw: sqlite3.Connection) -> Path:
    """Return the file behind a connection, `:memory:` if there is none."""
    (_, _, file) = raw.execute("PRAGMA database_list").fetchone()
    return Path(file or ":memory:")


@contextlib.contextmanager
def _read_first(path: Path, busy_timeout_ms: int) -> Iterator[None]:
    """Read an existing file's schema through a connection that can change nothing.

    The owner's own would: closed as the last one, it folds the WAL that a crash has
    left behind into the file, sound or not.
    """
    reader = None
    try:
        # An empty file is what a start leaves that was killed before its first page.
        if path.stat().st_size:
            reader = open_reader(path, busy_timeout_ms=busy_timeout_ms)
    except DatabaseCorrupt:
        raise
    except (OSError, StateError):
        # E.g. missing, or with a journal that only a writer may play back. The owner will tell.
        pass
    try:
        yield
    finally:
        if reader is not None:
            reader.close()


def _create_private(path: Path) -> None:
    # Only ever a new file: closing a descriptor of a database that this process has
    # open drops SQLite's locks on it.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        return
    except OSError as error:  # here, because its number tells more than SQLite's code
        raise refused(error, path, hint="its directory must exist") from error


def _refuse_unwritable(path: Path) -> None:
    # SQLite would open it for reading instead, say nothing, and never write through this
    # connection, not even when the file can be written again.
    if not os.access(path, os.W_OK):
        number = errno.EROFS if is_read_only(path) else errno.EACCES
        raise refused(OSError(number, os.strerror(number)), path)


def _prepare_owner(raw: sqlite3.Connection, path: Path, *, full_sync: bool) -> None:
    if raw.execute("PRAGMA page_count").fetchone() == (0,):
        raw.execute(NEW_DATABASE)
    (mode,) = raw.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        hint = "put state_dir on a local disk; network file systems have no shared memory"
        raise DatabaseError(f"{path} refuses WAL and stays in {mode}", path=path, hint=hint)
    raw.execute(f"PRAGMA synchronous={'FULL' if full_sync else 'NORMAL'}")
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute(f"PRAGMA journal_size_limit={JOURNAL_SIZE_LIMIT_BYTES}")


def _only_reading(
    action: int, subject: str | None, value: str | None, _database: str | None, _by: str | None
) -> int:
    if action in _READING:
        return sqlite3.SQLITE_OK
    # Asked for when a table-valued function such as json_each comes into use. A statement
    # that really updates it is refused, because the file is read-only.
    if action == sqlite3.SQLITE_UPDATE and subject == "sqlite_master":
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and subject is not None:
        asked = subject in _ASKING_PRAGMAS and value is None
        if asked or subject in _READING_PRAGMAS:
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


@contextlib.contextmanager
def _closed_on_failure(raw: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raw.close()
        raise explain(error, path) from error
    except BaseException:
        raw.close()
        raise
