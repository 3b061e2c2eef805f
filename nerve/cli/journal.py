"""Opening an installation's journal for reading, or saying why there is none to read.

Commands; read-only, with or without a running parent. What is missing because nothing
has run, what lies in a wrong place, and what another version has written are
three things for the person who asks.
"""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from nerve.config import Located
from nerve.errors import DatabaseError, DatabaseMissing, NothingHasRun, StateError
from nerve.store.faults import explain
from nerve.store.schema import JOURNAL_HEAD, VERSION_TABLE, current_revisions
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir

READABLE = frozenset({"0001", "0002", "0003", "0004", JOURNAL_HEAD})
"""Revisions that have what commands read, but for tables that the older ones lack."""


@contextmanager
def open_journal(located: Located) -> Iterator[sqlite3.Connection]:
    """Open logs.db for reading.

    Raises NothingHasRun where there is none yet, DatabaseCorrupt and its kin.
    """
    path = StateDir(located.state_dir).journal_path
    _refuse_misplaced(located.state_dir, path)
    try:
        reader = open_reader(path)
    except DatabaseMissing as error:
        raise _nothing_has_run(located) from error
    with closing(reader):
        try:
            _require_schema(reader, located)
            yield reader
        except sqlite3.Error as error:
            raise explain(error, path) from error


def _refuse_misplaced(state_dir: Path, journal: Path) -> None:
    """Tell a file where a directory should be, and the reverse, from what is not there."""
    if _mode(state_dir) not in (None, stat.S_IFDIR):
        hint = "state_dir must be a directory; name another, or move the file away"
        raise StateError(f"{state_dir} is not a directory", path=state_dir, hint=hint)
    if _mode(journal) not in (None, stat.S_IFREG):
        raise StateError(f"{journal} is not a file", path=journal, hint="move it away")


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:  # missing, or out of reach: who opens it will tell
        return None


def _require_schema(reader: sqlite3.Connection, located: Located) -> None:
    found = current_revisions(reader, VERSION_TABLE)
    if not found:  # a first start was killed before it had made the tables
        raise _nothing_has_run(located)
    if len(found) > 1 or not READABLE.issuperset(found):
        path = StateDir(located.state_dir).journal_path
        raise DatabaseError(
            f"{path} stands at revision {', '.join(found)}, this nerve reads {JOURNAL_HEAD}",
            path=path,
            hint="use the version of nerve that runs there; `nerve run` migrates an older file",
        )


def _nothing_has_run(located: Located) -> NothingHasRun:
    return NothingHasRun(
        f"nothing has run here yet: there is no journal in {located.state_dir}",
        path=located.state_dir,
        hint="start it with: nerve run",
    )


def has_table(reader: sqlite3.Connection, name: str) -> bool:
    """Whether a journal has a table: one that an earlier version has written may not."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return reader.execute(query, (name,)).fetchone() is not None
