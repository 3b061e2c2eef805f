"""Whether an error that ended a compute is a fault of the sense's own database.

Worker. A fault of the storage is told from an error of the author's by its origin: it is one where
this sense's own connection raised it, or what it raised led to it.
"""

import sqlite3
from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from nerve.errors import StateError
from nerve.store.faults import explain, is_of_the_file

MAX_CHAIN = 16
"""Links of a chain of exceptions that are looked through."""


class Origin:
    """What the own connection has raised.

    Attributes:
        raised: the last fault of the file since a compute began; None where there was none.
    """

    def __init__(self, path: Path) -> None:
        """`path` is the database's, for the errors."""
        self.raised: sqlite3.Error | None = None
        self._path = path

    def watch(self, raw: sqlite3.Connection, db: sqlalchemy.Connection) -> None:
        """Note what this connection raises from now on."""
        self._raw, self._engine = raw, db.engine
        sqlalchemy.event.listen(db.engine, "handle_error", self._note)

    def fault_behind(self, error: BaseException) -> StateError | None:
        """Return the fault that led to an error; None where none did."""
        if self.raised is None or not _leads_to(error, self.raised):
            return None
        found = explain(self.raised, self._path)
        found.__cause__ = error
        return found

    def _note(self, context: ExceptionContext) -> None:
        if context.engine is not self._engine:
            return  # the event is the dialect's, which all databases share
        error = context.original_exception
        if isinstance(error, sqlite3.Error) and is_of_the_file(error) and not self._attached():
            self.raised = error

    def _attached(self) -> bool:
        """Whether the author has attached other databases, whose faults look like our own."""
        try:
            rows = self._raw.execute("PRAGMA database_list").fetchall()
        except sqlite3.Error:
            return False
        return any(name not in {"main", "temp"} for _, name, _ in rows)


def _leads_to(error: BaseException | None, origin: sqlite3.Error) -> bool:
    """Whether `error` is `origin`, the driver's wrapping of it, or was raised from it."""
    for _ in range(MAX_CHAIN):
        if error is None or error is origin:
            break
        if isinstance(error, DBAPIError) and error.orig is origin:
            return True
        # What is raised while one of the driver's is handled is often its consequence: a
        # savepoint that is gone, because the full disk has ended the whole transaction.
        is_drivers = isinstance(error, DBAPIError | sqlite3.Error)
        error = error.__cause__ or (error.__context__ if is_drivers else None)
    return error is not None
