"""Rows into databases, and rows out of them, by the names of tables and columns.

Commands and tests. Names come from authors, so they are quoted; what nerve and Alembic keep in a
sense's database for themselves is left out.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerve.errors import NerveError
from nerve.store.faults import explain
from nerve.store.sqlite import open_reader

Row = Mapping[str, Any]
_OWN_TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'alembic_version'"
    " AND name NOT GLOB 'nerve_*' AND name NOT GLOB 'sqlite_*' ORDER BY name"
)


class RowUnfit(NerveError):
    """A row that a test has made up does not fit its table."""


@dataclass(frozen=True, slots=True)
class Added:
    """What came into a table.

    Attributes:
        rows: the first of them, by column.
        count: of all of them.
        total: of the rows that the table has now.
    """

    rows: list[dict[str, Any]]
    count: int
    total: int


def quoted(name: str) -> str:
    """Quote a name for a statement."""
    return '"' + name.replace('"', '""') + '"'


def own_tables(raw: sqlite3.Connection) -> list[str]:
    """Return the names of the sense's own tables."""
    return [name for (name,) in raw.execute(_OWN_TABLES).fetchall()]


def rows_of(raw: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table; raises RowUnfit where there is no such table."""
    if table not in (names := own_tables(raw)):
        raise RowUnfit(f"there is no table {table!r}; there are: {', '.join(names) or 'none'}")
    return _dicts(raw.execute(f"SELECT * FROM {quoted(table)}"))  # noqa: S608  quoted


def read_rows(path: Path, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table of a sense's database, as they are committed."""
    with closing(open_reader(path)) as raw:
        return rows_of(raw, table)


def ask(path: Path, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a sense's database."""
    with closing(open_reader(path)) as raw:
        return raw.execute(sql, values).fetchall()


def insert(
    execute: Callable[[str, tuple[Any, ...]], object], table: str, rows: Iterable[Row]
) -> None:
    """Put rows into a table; raises RowUnfit for the first that does not fit."""
    for number, row in enumerate(rows, 1):
        columns = ", ".join(map(quoted, row))
        marks = ", ".join("?" * len(row))
        values = f"({columns}) VALUES ({marks})" if row else "DEFAULT VALUES"
        try:
            execute(f"INSERT INTO {quoted(table)} {values}", tuple(row.values()))
        except (sqlite3.Error, ValueError) as error:
            raise RowUnfit(f"row {number} does not fit into {table}: {error}") from error


def make_plain_table(raw: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """Make a table of whatever columns the rows have; raises RowUnfit for a table without rows."""
    columns = dict.fromkeys(column for row in rows for column in row)
    if not columns:
        raise RowUnfit(f"the table {table} has no row that would tell its columns")
    raw.execute(f"CREATE TABLE {quoted(table)} ({', '.join(map(quoted, columns))})")


class Additions:
    """What comes into the tables of one database between two looks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: dict[str, int] = {}

    def look(self, limit: int) -> dict[str, Added]:
        """Return by table what came since the last look, at most `limit` rows of each in full."""
        with closing(open_reader(self._path)) as raw:
            try:
                return {table: self._look(raw, table, limit) for table in own_tables(raw)}
            except sqlite3.Error as error:
                raise explain(error, self._path) from error

    def _look(self, raw: sqlite3.Connection, table: str, limit: int) -> Added:
        name = quoted(table)
        (total,) = raw.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608  quoted
        try:
            newer = f"FROM {name} WHERE _rowid_ > ?"
            after = (self._newest.get(table, -(2**63)),)
            found = raw.execute(f"SELECT * {newer} ORDER BY _rowid_ LIMIT {limit}", after)
            rows = _dicts(found)
            counted = raw.execute(f"SELECT count(*), max(_rowid_) {newer}", after)
            count, newest = counted.fetchone()
        except sqlite3.OperationalError:  # WITHOUT ROWID: which are new cannot be told
            return Added([], 0, total)
        self._newest[table] = after[0] if newest is None else newest
        return Added(rows, count, total)


def _dicts(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
