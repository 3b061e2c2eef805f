"""Whether an owner's database still stands where it was opened, and what to do if not.

Workers and the parent, each for its own databases. A file that is deleted while it is open
takes every write without a word, and all of it is gone with the process. So its owner
compares path and file before each transaction (one stat, 3 us). Where nothing stands any
more the open connection still holds everything, and it is written back whole. Where
another file stands it is somebody's, perhaps another nerve's, and never overwritten.

The copy goes to a name of its own first and gets the path by `link`, which refuses a file
that has come meanwhile. It equals the old file page by page, so a -wal of the old one that
is still there brings nothing back that the copy does not hold.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from nerve.errors import DatabaseDeleted, StateError
from nerve.store.faults import DELETED_HINT, explain, refused
from nerve.store.sqlite import FILE_MODE, read_only_uri

COPY_PAGES = 1_000
"""Pages copied between two looks at whether it goes on."""


class Place:
    """The path of one open database, and which file was opened there."""

    def __init__(self, path: Path) -> None:
        """Note what stands at `path` now; raises StateError where that cannot be told."""
        self._path = path
        self._text = os.fspath(path)
        self._opened = self._found()

    def is_held(self) -> bool:
        """Whether the file still stands at its path; False where nothing does.

        Raises DatabaseDeleted where another file stands there, StateForbidden or
        StateError where it cannot be told.
        """
        found = self._found()
        if found is None or found == self._opened:
            return found is not None
        raise DatabaseDeleted(
            f"{self._path} was replaced by another file while nerve had it open",
            path=self._path,
            hint="move that file away and nerve writes its own back; or stop nerve to use that one",
        )

    def require(self) -> None:
        """Raise DatabaseDeleted unless the file still stands at its path."""
        if not self.is_held():
            fact = f"{self._path} was deleted while nerve had it open"
            raise DatabaseDeleted(fact, path=self._path, hint=DELETED_HINT)

    def put_back(self, raw: sqlite3.Connection) -> None:
        """Write all that the open connection holds to the path, where nothing stands.

        Outside a transaction. Afterwards, and also if it raises, close the connection and open
        the path anew; in this order, because closing drops the locks of what was opened before.
        Raises DatabaseDeleted where it cannot be done; it may be tried again.
        """
        copy = self._path.with_name(f".{self._path.name}.unfinished")
        try:
            _copy(raw, copy)
            self._path.hardlink_to(copy)
            self._opened = self._found()
            _sync(self._path.parent)
        except (OSError, sqlite3.Error) as error:
            raise self._not_put_back(error) from error
        finally:
            with contextlib.suppress(OSError):
                copy.unlink()

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._text)  # noqa: PTH116  Path.stat takes twice as long
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused(error, self._path) from error
        return found.st_dev, found.st_ino

    def _not_put_back(self, error: OSError | sqlite3.Error) -> DatabaseDeleted:
        why = _reason(error, self._path)
        return DatabaseDeleted(
            f"{self._path} was deleted while nerve had it open, and cannot be written back: {why}",
            path=self._path,
            hint="make that possible, it is tried again; what it held is lost when nerve stops",
        )


def close_untouched(raw: sqlite3.Connection, path: Path) -> None:
    """Close an owner's connection without the checkpoint that closing the last one makes.

    For a damaged database: what is in its -wal may be all that is sound, and is left for whoever
    repairs it.
    """
    # A second connection makes the first one not the last, and can itself write nothing.
    with contextlib.closing(sqlite3.connect(read_only_uri(path), uri=True)) as other:
        with contextlib.suppress(sqlite3.Error):
            other.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        raw.close()


def _copy(raw: sqlite3.Connection, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
        raw.backup(target, pages=COPY_PAGES, progress=_go_on)
    _sync(copy)


def _go_on(status: int, _remaining: int, _total: int) -> None:
    # The driver would try for ever.
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("the database is locked")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError | sqlite3.Error, path: Path) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    explained: StateError = explain(error, path)
    return f"{explained.fault.replace('_', ' ')}, {error}" if explained.fault else str(error)
