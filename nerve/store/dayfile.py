"""Archived days: where they lie, and what stands in a line.

Any process reads; the parent alone writes. A file holds the rows of one table and one
UTC day, one JSON object a line, ids ascending; keys are the table's columns, and payload
and cause are JSON values. A row that was damaged in its table is kept: the value is null
there, and its text stands under `raw`. Which files count is what the journal's table
`archives` says, read in one snapshot with the tables: a row is then in a file that is
named, or in its table, or for a moment in both.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, NoReturn

from nerve.clock import to_datetime

LOGS = "logs"
SIGNALS = "signals"
COLUMNS = {
    LOGS: ("id", "at_us", "source", "type", "level", "ref", "payload"),
    SIGNALS: ("id", "sense", "at_us", "epoch", "seq", "payload", "cause"),
}
"""The keys of a line, in their order; `id` stands first."""
RAW = "raw"
"""The key of what could not be kept as it should be: column to text, bytes as surrogate escapes."""
COMPRESSED = ".gz"
CHANGES = "archive_changes"
"""The key in `meta` of how often the table `archives` has changed."""


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """A row of the table `archives`.

    Attributes:
        kind: the table whose rows it holds, LOGS or SIGNALS.
        day: the UTC day, e.g. `2026-10-01`.
        file: the path below the archive's directory.
        first_id, last_id: the range of ids; those of two days may overlap.
        rows: how many.
        bytes, sha256: of the file as it lies there.
    """

    kind: str
    day: str
    file: str
    first_id: int
    last_id: int
    rows: int
    bytes: int
    sha256: str


def utc_day(at_us: int) -> str:
    """Return the UTC day of a recorded time; raises ValueError or OverflowError for no time."""
    return f"{to_datetime(at_us):%Y-%m-%d}"


def file_name(kind: str, day: str, *, compressed: bool) -> str:
    """Return the path of a day's file below the archive's directory."""
    return f"{kind}/{day}.jsonl{COMPRESSED if compressed else ''}"


def archived_days(reader: sqlite3.Connection) -> list[ArchivedDay]:
    """Return all archived days; none in a journal of a revision that had no archive."""
    try:
        rows = reader.execute(
            "SELECT kind, day, file, first_id, last_id, rows, bytes, sha256 FROM archives"
        ).fetchall()
    except sqlite3.OperationalError as error:
        # A missing table has the code of every faulty statement, and no other that can occur.
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return []
    # A reader of damaged rows has texts as bytes.
    return [ArchivedDay(*(_text(value) for value in row)) for row in rows]


def changes_of_archive(reader: sqlite3.Connection) -> int:
    """Return a number that grows with each change of what `archived_days` returns."""
    found = reader.execute("SELECT value FROM meta WHERE key = ?", (CHANGES,)).fetchone()
    return int(found[0]) if found else 0


def row_of(line: bytes) -> dict[str, Any]:
    """Return the columns of a line by name, RAW among them if the row was damaged.

    Raises ValueError or RecursionError if it is no line of a day's file.
    """
    row = json.loads(line, parse_constant=refuse_constant)
    if not isinstance(row, dict) or type(row.get("id")) is not int:
        raise ValueError("not a row")
    return row


def refuse_constant(constant: str) -> NoReturn:
    """Raise ValueError, because NaN and its like are no JSON."""
    raise ValueError(f"{constant} is not JSON")


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
