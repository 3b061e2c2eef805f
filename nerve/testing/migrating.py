"""Whether a sense's migrations can be trusted with the rows that there are.

Tests. Each history is walked on databases in memory:

* up from nothing, as at a first start;
* up from each revision, with a row in every table: none may be lost, and no foreign key may point
  nowhere afterwards. The rows are made up by the types of the columns, or the author's own;
* down again, as far as the author has written a `downgrade`: each must leave what the revision
  before it makes, and must be undone by going up again;
* and in the end the tables must be those of the module's `metadata`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script

from nerve.config.models import SenseConfig
from nerve.errors import MigrationFailed
from nerve.store.autogenerate import compare
from nerve.store.migrations import Migrations, upgrade, whole_or_not_at_all
from nerve.testing.tables import Row, RowUnfit, insert, own_tables, quoted
from nerve.worker.loader import load

ROWS_EACH = 2
"""Made up for each table: one more than a mistake with a single row could hide behind."""


class MigrationsAtFault(AssertionError):
    """The migrations of a sense do not do what they should; the message has all that was found."""


def check_migrations(
    name: str, *, project: Path, rows: Mapping[str, Sequence[Row]] | None = None
) -> None:
    """Hold the migrations of a sense against all that is asked of them.

    Args:
        name: of the sense.
        project: the folder of nerve.yaml, which has senses/.
        rows: by table, in place of those that are made up; columns that a revision does not have
            are left out there.

    Raises:
        MigrationsAtFault: with every fault that was found.
        SenseError: when the sense cannot be loaded.
    """
    __tracebackhide__ = True
    sense = load(name, SenseConfig(), project)
    if sense.migrations is None:
        if sense.metadata is not None and sense.metadata.tables:
            tables = ", ".join(sense.metadata.tables)
            raise MigrationsAtFault(f"{name} has no migrations/ that would make {tables}")
        return
    migrations = Migrations(sense.migrations)
    faults: list[str] = []
    try:
        history = migrations.history()
        migrations.head()
        faults += _up_from(migrations, history, -1, rows or {})
        if not faults:  # else no database would come so far
            for at in range(len(history)):
                faults += _up_from(migrations, history, at, rows or {})
            faults += _down(migrations, history, rows or {})
            if sense.metadata is not None:
                faults += [f"the migrations lack: {d}" for d in compare(migrations, sense.metadata)]
    except MigrationFailed as error:
        faults.append(f"{error}; {error.hint}")
    if faults:
        told = "\n".join(f"  {'; '.join(fault.splitlines())}" for fault in faults)
        raise MigrationsAtFault(f"the migrations of {name}:\n{told}")


def _up_from(
    migrations: Migrations,
    history: Sequence[Script],
    at: int,
    given: Mapping[str, Sequence[Row]],
) -> Iterator[str]:
    """Go up from one revision, all tables filled; at -1 from an empty database."""
    revision = history[at].revision if at >= 0 else None
    with _database(migrations, revision) as raw:
        try:
            _fill(raw, given)
        except RowUnfit as error:
            yield f"{revision}: {error}; give some that do: rows={{table: [{{column: value}}]}}"
            return
        before = _counts(raw)
        try:
            upgrade(raw, migrations)
        except MigrationFailed as error:
            yield f"up from {revision or 'nothing'}: {error}"
        else:
            yield from _lost(f"up from {revision} to {history[-1].revision}", before, _counts(raw))


def _down(
    migrations: Migrations, history: Sequence[Script], given: Mapping[str, Sequence[Row]]
) -> Iterator[str]:
    """Undo one revision after the other, the newest first, while they say how."""
    if not history:
        return
    with _database(migrations, history[-1].revision) as raw:
        try:
            _fill(raw, given)
        except RowUnfit:
            return  # which has been told on the way up
        for at in range(len(history) - 1, -1, -1):
            script, earlier = history[at], history[at - 1].revision if at else None
            if not _is_written(script):
                return
            before = _counts(raw)
            try:
                _undo(raw, migrations, script, earlier)
            except Exception as error:  # noqa: BLE001  the author's code
                yield f"the downgrade of {script.revision} failed: {type(error).__name__}: {error}"
                return
            yield from _lost(f"down from {script.revision}", before, _counts(raw))
            with _database(migrations, earlier) as expected:
                yield from _differences(script.revision, earlier, raw, expected)
        upgrade(raw, migrations)


@contextmanager
def _database(migrations: Migrations, revision: str | None) -> Iterator[sqlite3.Connection]:
    """Have a database in memory at a revision, foreign keys on."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.execute("PRAGMA foreign_keys=ON")
        if revision is not None:
            upgrade(raw, migrations, to=revision)
        yield raw


def _undo(
    raw: sqlite3.Connection, migrations: Migrations, script: Script, earlier: str | None
) -> None:
    table = migrations.version_table
    with whole_or_not_at_all(raw) as connection:
        options = {"version_table": table}
        with Operations.context(MigrationContext.configure(connection, opts=options)):
            script.module.downgrade()
        raw.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608  quoted
        if earlier is not None:
            raw.execute(f"INSERT INTO {quoted(table)} VALUES (?)", (earlier,))  # noqa: S608  quoted


def _is_written(script: Script) -> bool:
    """Whether the downgrade does anything; nothing, or a refusal, is as good as none."""
    downgrade = getattr(script.module, "downgrade", None)
    names = () if downgrade is None else downgrade.__code__.co_names
    return bool(names) and "NotImplementedError" not in names


def _fill(raw: sqlite3.Connection, given: Mapping[str, Sequence[Row]]) -> None:
    """Put rows into every table; raises RowUnfit where those that are made up do not fit."""
    raw.execute("PRAGMA foreign_keys=OFF")  # the tables come in no order
    for table in own_tables(raw):
        columns = _columns(raw, table)
        rows: Iterable[Row] = (_made_up(columns, number) for number in range(1, ROWS_EACH + 1))
        if table in given:
            rows = [{c: v for c, v in row.items() if c in columns} for row in given[table]]
        insert(raw.execute, table, rows)
    raw.execute("PRAGMA foreign_keys=ON")
    for child, _, parent, _ in raw.execute("PRAGMA foreign_key_check").fetchall():
        raise RowUnfit(f"rows of {child} point at rows of {parent} that are not there")


def _columns(raw: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the columns that can be written, with their types."""
    found = raw.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return {name: kind.upper() for _, name, kind, _, _, _, hidden in found if not hidden}


def _made_up(columns: Mapping[str, str], number: int) -> dict[str, Any]:
    """Return a row. All numbers in it are one number, so that it points at another one made up."""
    return {name: _value(kind, number) for name, kind in columns.items()}


def _value(kind: str, number: int) -> Any:
    # The order in which SQLite itself tells an affinity from the name of a type.
    if "INT" in kind:
        return number
    if any(word in kind for word in ("CHAR", "CLOB", "TEXT", "JSON")):
        return str(number)
    if "BLOB" in kind or not kind:
        return str(number).encode()
    if "DATETIME" in kind or "TIMESTAMP" in kind:
        return f"2026-01-0{number} 00:00:00.000000"
    if "DATE" in kind:
        return f"2026-01-0{number}"
    return number - 1 if "BOOL" in kind else number


def _counts(raw: sqlite3.Connection) -> dict[str, int]:
    return {
        table: raw.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0]  # noqa: S608  quoted
        for table in own_tables(raw)
    }


def _lost(way: str, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    """Tell the tables that are still there and have fewer rows."""
    for table, count in before.items():
        if table in after and after[table] < count:
            yield f"{way}: {table} had {count} rows and has {after[table]}"


def _differences(
    revision: str, earlier: str | None, found: sqlite3.Connection, expected: sqlite3.Connection
) -> Iterator[str]:
    """Tell what a downgrade has left that was not there before, or has taken too much."""
    before = f"at {earlier}" if earlier else "before it"
    left, wanted = _shape(found), _shape(expected)
    for thing in sorted(left - wanted):
        yield f"the downgrade of {revision} leaves {thing}, which is not there {before}"
    for thing in sorted(wanted - left):
        yield f"the downgrade of {revision} does not bring back {thing}, which is there {before}"


def _shape(raw: sqlite3.Connection) -> set[str]:
    shape = set()
    for table in own_tables(raw):
        shape |= {f"the table {table}"}
        shape |= {f"the column {table}.{column}" for column in _columns(raw, table)}
        shape |= {
            f"the index {name} of {table}"
            for (_, name, _, origin, _) in raw.execute(f"PRAGMA index_list({quoted(table)})")
            if origin == "c"
        }
    return shape
