"""`nerve query`: SQL on a sense's own database, which nothing can be written through.

Bounded in rows and in time: a query is somebody's guess at night, beside a worker
that is at work on the same file.
"""

import math
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import click

from nerve.cli.numbers import number_option
from nerve.cli.output import (
    emit_json,
    emit_tab_separated,
    emit_table,
    is_terminal,
    json_option,
    say,
)
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import counted
from nerve.errors import DatabaseMissing, Exit, NerveError, NothingHasRun
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 1_000_000
TIME_LIMIT_S = 30.0
STEPS_BETWEEN_LOOKS = 10_000
"""Instructions of SQLite's machine between two looks at the clock; some hundred microseconds."""
_BEGIN_HINT = "begin with SELECT"


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve query disk 'SELECT name, sql FROM sqlite_schema'\n"
    "  nerve query cpu-usage 'SELECT * FROM readings LIMIT 5' --json"
)
@click.argument("sense")
@click.argument("sql")
@number_option(
    "--limit",
    1,
    MAX_LIMIT,
    default=DEFAULT_LIMIT,
    show_default=True,
    help="At most so many rows.",
)
@json_option
@config_options
@click.pass_obj
def query(settings: Settings, sense: str, sql: str, limit: int, as_json: bool) -> Exit:
    """Ask a sense's database in SQL, read-only.

    Prints a table on a terminal, tab-separated values into a pipe.
    """
    loaded = settings.load()
    require_sense(loaded, sense)
    columns, rows = ask(StateDir(loaded.state_dir), sense, sql, limit + 1)
    _show(columns, rows[:limit], as_json=as_json)
    if len(rows) > limit:
        say(f"only the first {counted(limit, 'row')}; more with --limit, or LIMIT and OFFSET")
    return Exit.OK


def ask(
    state: StateDir, sense: str, sql: str, max_rows: int, *, time_limit_s: float = TIME_LIMIT_S
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one reading statement; return the columns and at most `max_rows` rows.

    Raises NothingHasRun without a database, NerveError for a statement that fails,
    takes too long, or does not read.
    """
    try:
        reader = open_reader(state.sense_db(sense))
    except DatabaseMissing as error:
        hint = "it gets one at its first start: nerve run"
        raise NothingHasRun(
            f"{sense} has no database yet", path=state.sense_db(sense), hint=hint
        ) from error
    with closing(reader):
        return _fetch(reader, sql, max_rows, time_limit_s)


def _fetch(
    reader: sqlite3.Connection, sql: str, max_rows: int, time_limit_s: float
) -> tuple[list[str], list[tuple[Any, ...]]]:
    deadline = time.monotonic() + time_limit_s
    reader.text_factory = lambda stored: stored.decode(errors="replace")
    reader.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    try:
        cursor = reader.execute(sql)
        if cursor.description is None:  # nothing but blanks or a comment, or BEGIN
            raise NerveError("the statement asks for nothing", hint=_BEGIN_HINT)
        return _distinct([name for name, *_ in cursor.description]), cursor.fetchmany(max_rows)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            raise _refused(error) from error
        if time.monotonic() <= deadline:  # Ctrl-C, which the progress handler swallowed
            raise KeyboardInterrupt from error
        raise NerveError(f"the query took longer than {time_limit_s:g} s; it was ended") from error


def _refused(error: Exception) -> NerveError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
        return NerveError("only statements that read are let through", hint=_BEGIN_HINT)
    return NerveError(f"SQL: {error}")


def _distinct(columns: Sequence[str]) -> list[str]:
    """Number columns of the same name, so that a JSON object can hold them all."""
    seen: Counter[str] = Counter()
    names = []
    for column in columns:
        seen[column] += 1
        names.append(column if seen[column] == 1 else f"{column}:{seen[column]}")
    return names


def _show(columns: list[str], rows: list[tuple[Any, ...]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            emit_json(dict(zip(columns, map(json_value, row), strict=True)))
        return
    shown = [[cell_of(value) for value in row] for row in rows]
    if is_terminal():
        emit_table(columns, shown, wrap=False)
    else:
        emit_tab_separated(columns, shown)


def json_value(value: Any) -> Any:
    """Return a value for JSON, which has neither bytes nor infinity: they become text."""
    is_json = not isinstance(value, bytes) and not (isinstance(value, float) and math.isinf(value))
    return value if is_json else cell_of(value)


def cell_of(value: Any) -> str:
    """Write a value of SQLite's as text; nothing for NULL."""
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return "" if value is None else str(value)
