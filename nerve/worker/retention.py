"""How long a sense's rows are kept: what its module declares, what nerve.yaml says over it.

Worker. Everything is checked when the sense comes up, against the tables that its migrations
have made, so that nothing is found out a week later by rows that should be gone, or should not.
What a plain DELETE by age cannot do rightly is refused. `nerve.worker.pruning` acts on the rules.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from nerve.clock import US_PER_S
from nerve.config.durations import parse_duration
from nerve.config.explain import UNKNOWN_KEY
from nerve.config.names import closest
from nerve.errors import SenseError
from nerve.sense import Retention
from nerve.wire.messages import RetentionRule
from nerve.worker.loader import SettingProblem, SettingsInvalid

KIND = "retention_invalid"
EARLIEST_US = 100_000_000 * US_PER_S
LATEST_US = 10_000_000_000 * US_PER_S
"""From 1973 to 2286. Seconds, milliseconds and nanoseconds of our time are all outside."""
ROWID = "_rowid_"
_UNMADE = "a migration has to make it: nerve db revision SENSE -m TEXT --autogenerate"


def rules(
    declared: Mapping[str, Retention], keep_ms: Mapping[str, int]
) -> tuple[RetentionRule, ...]:
    """Merge what the sense declares with `senses.<name>.retention`.

    Raises SenseError for a declaration that is wrong in itself, SettingsInvalid for a table
    in nerve.yaml that the sense has not declared.
    """
    unknown = tuple(_unknown(table, declared) for table in keep_ms if table not in declared)
    if unknown:
        raise SettingsInvalid(unknown, kind=KIND)
    return tuple(_rule(table, kept, keep_ms.get(table)) for table, kept in declared.items())


def check(raw: sqlite3.Connection, found: tuple[RetentionRule, ...]) -> None:
    """Hold the rules against the tables; raises SenseError for the first that does not fit."""
    for rule in found:
        _check_table(raw, rule)
        _check_column(raw, rule)
        _check_references(raw, rule)


def table_name(rule: RetentionRule) -> str:
    """Name its table for a statement, so that no temporary table of the author's is meant."""
    return f"main.{quoted(rule.table)}"


def quoted(name: str) -> str:
    """Quote a name for a statement."""
    return '"' + name.replace('"', '""') + '"'


def _unknown(table: str, declared: Mapping[str, Retention]) -> SettingProblem:
    meant = closest(table, declared)
    named = ", ".join(declared) or "none"
    hint = f'did you mean "{meant}"?' if meant else f"tables whose rows have a retention: {named}"
    return SettingProblem(("retention", table), UNKNOWN_KEY, hint)


def _rule(table: str, kept: Retention, keep_ms: int | None) -> RetentionRule:
    if not isinstance(kept.column, str):
        raise _invalid(table, "the column is no text", "name a column of the table")
    try:
        default_ms = parse_duration(kept.keep)
    except ValueError as error:
        raise _invalid(table, f"keep is {error}", 'write for example keep="7d"') from None
    if default_ms <= 0:
        raise _invalid(table, "keep must be longer than nothing", 'write for example keep="7d"')
    keep_ms = default_ms if keep_ms is None else keep_ms
    return RetentionRule(table=table, column=kept.column, keep_ms=keep_ms, default_ms=default_ms)


def _check_table(raw: sqlite3.Connection, rule: RetentionRule) -> None:
    tables = {
        name: (kind, without_rowid)
        for name, kind, without_rowid in _rows(
            raw, "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'"
        )
        if not name.startswith(("nerve_", "sqlite_", "alembic_"))
    }
    if rule.table not in tables:
        hint = f'did you mean "{meant}"?' if (meant := closest(rule.table, tables)) else ""
        raise _invalid(
            rule.table,
            "there is no such table",
            hint or _UNMADE,
        )
    if tables[rule.table] != ("table", 0):
        raise _invalid(
            rule.table, "it is a view, virtual, or WITHOUT ROWID", "use an ordinary table"
        )


def _check_column(raw: sqlite3.Connection, rule: RetentionRule) -> None:
    columns = dict(_rows(raw, "SELECT name, type FROM pragma_table_xinfo(?)", rule.table))
    if rule.column not in columns:
        meant = closest(rule.column, columns)
        hint = f'did you mean "{meant}"?' if meant else f"it has: {', '.join(columns)}"
        raise _invalid(rule.table, f"there is no column {rule.column!r}", hint)
    if "INT" not in columns[rule.column].upper():
        kind = columns[rule.column] or "without a type"
        hint = "it needs an INTEGER column with the time of the row in UTC microseconds"
        raise _invalid(rule.table, f"the column {rule.column!r} is {kind}", hint)
    if ROWID in {column.lower() for column in columns}:
        raise _invalid(rule.table, f"a column is called {ROWID}", "rename that column")


def _check_references(raw: sqlite3.Connection, rule: RetentionRule) -> None:
    """Refuse rows that other rows hold on to: the deletion would fail, again and again."""
    query = (
        'SELECT m.name, f."from" FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f'
        " WHERE m.type = 'table' AND f.\"table\" = ? COLLATE NOCASE"
        " AND f.on_delete IN ('NO ACTION', 'RESTRICT')"
    )
    for table, column in _rows(raw, query, rule.table):
        hint = "declare it with ON DELETE CASCADE (or SET NULL), and index it"
        raise _invalid(rule.table, f"{table}.{column} refers to it and would forbid that", hint)


def _invalid(table: str, fact: str, hint: str) -> SenseError:
    return SenseError(f"retention of table {table!r}: {fact}", kind=KIND, hint=hint)


def _rows(raw: sqlite3.Connection, query: str, *values: str) -> list[Any]:
    return raw.execute(query, values).fetchall()
