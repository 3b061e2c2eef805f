"""SQLAlchemy over connections that nerve has opened itself.

Workers, and commands that migrate or compare; the parent does not import it. SQLite
is asked for a transaction by the `begin` event, because the driver would start one
too late (not before a SELECT or DDL) and in the wrong mode. When a transaction
ends, every cursor that was opened in it is closed: a sense that keeps half-read
rows in a variable would otherwise hold its snapshot, and the WAL of that database
could never start over.
"""

import sqlite3
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool, Pool, StaticPool

_URL = make_url("sqlite://")


def core_connection(raw: sqlite3.Connection, *, writes: bool = True) -> Connection:
    """Wrap one raw connection for as long as it lives.

    Args:
        raw: from `open_owner`, or with `writes=False` from `open_reader`. It stays the
            caller's to close; closing the result rolls back and leaves it open.
        writes: begin with BEGIN IMMEDIATE, so that a lock is waited for at the start.

    A BEGIN that fails raises the driver's own `sqlite3.Error`.
    """
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    return _engine(lambda: raw, StaticPool, begin).connect()


def reader_engine(open_raw: Callable[[], sqlite3.Connection]) -> Engine:
    """Make an engine whose connections are opened by `open_raw` and closed by `close()`."""
    return _engine(open_raw, NullPool, "BEGIN")


def _engine(creator: Callable[[], sqlite3.Connection], pool: type[Pool], begin: str) -> Engine:
    engine = Engine(pool(cast("Any", creator), dialect=_dialect()), _dialect(), _URL)
    _begin_with(engine, begin)
    _close_cursors_at_the_end(engine)
    return engine


@cache
def _dialect() -> Dialect:
    """One for all databases of this process, which has asked a first one what SQLite can do.

    `create_engine` makes a dialect for each, 1 ms in a worker; what it does beyond that is
    to find the driver and to watch for the first connection.
    """
    engine = create_engine("sqlite://")
    engine.connect().close()
    engine.dispose()
    return engine.dialect


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # On the driver's connection: exec_driver_sql would cost 25 us more.
        connection.connection.driver_connection.execute(statement)  # type: ignore[union-attr]


def _close_cursors_at_the_end(engine: Engine) -> None:
    opened: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    @event.listens_for(engine, "after_cursor_execute")
    def remember(_connection: Connection, cursor: sqlite3.Cursor, *_: Any) -> None:
        opened.add(cursor)

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def close(_connection: Connection) -> None:
        while opened:
            opened.pop().close()
