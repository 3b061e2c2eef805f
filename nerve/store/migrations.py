"""Migrations: a database is brought to a revision whole, or stays where it was.

Workers and commands; the parent comes here only when logs.db is new or behind.
Alembic's own ways with SQLite leave the tables of a half-failed upgrade behind, and
a batch rewrite of a parent table deletes its child rows through ON DELETE. So:

    foreign_keys=OFF                    has no effect inside a transaction
    BEGIN IMMEDIATE                     a second process waits here
        read the version again          and then finds nothing left to do
        every pending revision
        foreign_key_check
    COMMIT                              rows, tables and version row at once
    foreign_keys=ON

A revision that tries to end the transaction itself is refused. A database whose
revision the folder does not know is newer than the code and stays untouched.
"""

import os
import re
import sqlite3
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from nerve.errors import DatabaseNewer, MigrationFailed
from nerve.store.engine import core_connection
from nerve.store.faults import explain
from nerve.store.schema import (
    JOURNAL_FOLDER,
    JOURNAL_HEAD,
    SCHEMA_FOLDER,
    SENSE_FOLDER,
    SENSE_HEAD,
    VERSION_TABLE,
    current_revisions,
)
from nerve.store.sqlite import database_path

AUTHORS_VERSION_TABLE = "alembic_version"


_REVISION = re.compile(
    r"""^revision(?:\s*:\s*\w+)?\s*=\s*["']([^"'\\]+)["']\s*(?:#.*)?$""", re.MULTILINE
)
_DOWN_REVISION = re.compile(
    r"""^down_revision(?:[^=\n]*)=\s*(None|["'][^"'\\]+["'])\s*(?:#.*)?$""", re.MULTILINE
)

_NOT_NULL = re.compile(r"NOT NULL constraint failed: _alembic_tmp_(\w+\.\w+)")
"""How SQLite refuses rows that a rewrite of their table carries over."""


class Migrations:
    """A folder of revisions, and the table that notes which of them a database has.

    Attributes:
        folder: revisions lie directly in it; it may be missing, then there are none.
        version_table: name of the table; one database can hold several such histories.
        known_head: the head where the code knows it; one SELECT then replaces reading files.
    """

    def __init__(
        self,
        folder: Path,
        version_table: str = AUTHORS_VERSION_TABLE,
        *,
        known_head: str | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.version_table = version_table
        self.known_head = known_head

    @cached_property
    def script(self) -> ScriptDirectory:
        """Alembic's view of the folder, with nerve's template for new revisions."""
        return ScriptDirectory(
            SCHEMA_FOLDER,
            version_locations=[self.folder],
            messaging_opts={"quiet": True},  # standard output is for what was asked for
        )

    def history(self) -> tuple[Script, ...]:
        """Return all revisions, oldest first; raises MigrationFailed if they cannot be read."""
        try:
            with warnings.catch_warnings():
                # Alembic warns of what an error is raised for here.
                warnings.filterwarnings("ignore", "Revision .* is not present")
                return tuple(self.script.walk_revisions())[::-1]
        except (Exception, SystemExit) as error:  # a revision is the author's code
            raise self._unreadable(error) from error

    def head(self) -> str | None:
        """Return the newest revision, None if there is none.

        Raises MigrationFailed if there are several, or if they cannot be read.
        """
        self.history()
        heads = self.script.get_heads()
        if len(heads) > 1:
            raise MigrationFailed(
                f"{self.folder} has several heads: {', '.join(sorted(heads))}",
                path=self.folder,
                hint="make one of them the down_revision of the other, or merge them",
            )
        return heads[0] if heads else None

    def current(self, raw: sqlite3.Connection) -> str | None:
        """Return the revision a database stands at, None before the first.

        Raises MigrationFailed if it stands on several branches at once.
        """
        found = current_revisions(raw, self.version_table)
        if len(found) > 1:
            fact = f"the database stands on several branches: {', '.join(sorted(found))}"
            hint = "merge them with the alembic command, then upgrade to the merge"
            raise MigrationFailed(fact, path=database_path(raw), hint=hint)
        return found[0] if found else None

    def require_known(self, raw: sqlite3.Connection) -> None:
        """Raise DatabaseNewer if the database stands at a revision that is not here."""
        current = self.current(raw)
        if current is not None and current not in {script.revision for script in self.history()}:
            path = database_path(raw)
            raise DatabaseNewer(
                f"{path} stands at revision {current}, which {self.folder} does not have",
                path=path,
                revision=current,
                hint="a newer version wrote it: install that one, or restore an older database",
            )

    def _unreadable(self, error: BaseException) -> MigrationFailed:
        file = _file_at_fault(error, self.folder)
        if isinstance(error, KeyError) and file is None:  # Alembic's own, for a broken chain
            file = _file_after(str(error.args[0]), self.folder)
            path = file or self.folder
            return MigrationFailed(
                f"down_revision {error} in {path} names a revision that is not there",
                path=path,
                hint="name the revision that comes before it, or None for the first",
            )
        return MigrationFailed(
            f"the revisions in {file or self.folder} cannot be read: {_reason(error)}",
            path=file or self.folder,
            hint="each file needs `revision` and `down_revision`, and must import cleanly",
        )


SENSE_SCHEMA = Migrations(SENSE_FOLDER, VERSION_TABLE, known_head=SENSE_HEAD)
JOURNAL_SCHEMA = Migrations(JOURNAL_FOLDER, VERSION_TABLE, known_head=JOURNAL_HEAD)


def upgrade(raw: sqlite3.Connection, migrations: Migrations, *, to: str = "head") -> list[str]:
    """Apply every revision up to `to`; return those applied, oldest first.

    The owner's connection, outside a transaction. Raises DatabaseNewer,
    MigrationFailed, DatabaseLocked or another DatabaseError; the database is then as
    it was, and the next start can try again.
    """
    if to == "head" and _is_at_head(raw, migrations):
        return []
    try:
        return _upgrade(raw, migrations, to)
    except sqlite3.Error as error:
        raise explain(error, database_path(raw)) from error
    except DBAPIError as error:  # SQLAlchemy's wrapping of the same, around COMMIT
        raise explain(cast("sqlite3.Error", error.orig), database_path(raw)) from error


def _is_at_head(raw: sqlite3.Connection, migrations: Migrations) -> bool:
    """Whether nothing is to be done, as far as can be told without running author's code.

    Alembic imports every revision file to tell, half a millisecond for each of them at every
    start. What most of them say can be read as text.
    """
    head = migrations.known_head or plain_head(migrations.folder)
    return head is not None and current_revisions(raw, migrations.version_table) == [head]


def plain_head(folder: Path) -> str | None:
    """Read the newest revision out of files that name each other in plain text.

    None where one of them does not, where they branch, or where there are none.
    """
    revisions: dict[str, str | None] = {}
    for file in _python_files(folder):
        with open(file, errors="replace") as opened:  # noqa: PTH123  as said below
            text = opened.read()
        own, previous = _REVISION.findall(text), _DOWN_REVISION.findall(text)
        if len(own) != 1 or len(previous) != 1:
            return None
        revisions[own[0]] = previous[0].strip("\"'") if previous[0] != "None" else None
    heads = revisions.keys() - set(revisions.values())
    roots = [revision for revision, previous in revisions.items() if previous is None]
    return next(iter(heads)) if len(heads) == len(roots) == 1 else None


def _file_after(revision: str, folder: Path) -> Path | None:
    """Return the file that says it comes after a revision, if it says so in plain text."""
    for file in map(Path, _python_files(folder)):
        said = _DOWN_REVISION.findall(file.read_text(errors="replace"))
        if revision in [one.strip("\"'") for one in said]:
            return file
    return None


def _python_files(folder: Path) -> list[str]:
    # Not Path.glob, which makes a worker's own copy of 0.3 MB of what it runs.
    try:
        with os.scandir(folder) as found:
            return [file.path for file in found if file.name.endswith(".py")]
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def whole_or_not_at_all(raw: sqlite3.Connection) -> Iterator[Connection]:
    """Hold the one transaction of an upgrade, foreign keys off inside and checked at its end.

    Raises sqlite3.Error if it cannot begin, DBAPIError if it cannot commit,
    MigrationFailed for a foreign key that points nowhere.
    """
    raw.execute("PRAGMA foreign_keys=OFF")
    connection = core_connection(raw)
    try:
        with connection.begin():
            with _uninterrupted(raw):
                yield connection
            _check_foreign_keys(raw)
    finally:
        connection.close()
        raw.execute("PRAGMA foreign_keys=ON")


def _upgrade(raw: sqlite3.Connection, migrations: Migrations, to: str) -> list[str]:
    target = migrations.head() if to == "head" else to
    migrations.require_known(raw)
    if migrations.current(raw) == target:
        return []
    applied: list[str] = []
    with whole_or_not_at_all(raw) as connection:
        # Once more: another process may have been here while this one waited.
        migrations.require_known(raw)
        _run(connection, migrations, target, applied)
    return applied


def _run(
    connection: Connection, migrations: Migrations, target: str | None, applied: list[str]
) -> None:
    def pending(heads: Any, _context: MigrationContext) -> Iterable[RevisionStep]:
        # Alembic's own commands call it so; there is no public name for it.
        for step in migrations.script._upgrade_revs(cast("str", target), heads):  # noqa: SLF001
            applied.append(step.to_revisions[0])
            yield step

    options = {"fn": pending, "version_table": migrations.version_table}
    context = MigrationContext.configure(connection, opts=options)
    try:
        with Operations.context(context):
            context.run_migrations()
    except (Exception, SystemExit) as error:  # a revision is the author's code
        revision = applied[-1] if applied else target
        raise MigrationFailed(
            f"revision {revision} of {migrations.folder} failed: {_reason(error)}",
            path=_file_at_fault(error, migrations.folder) or migrations.folder,
            revision=revision,
            hint=_hint(error),
        ) from error


@contextmanager
def _uninterrupted(raw: sqlite3.Connection) -> Iterator[None]:
    """Refuse COMMIT and ROLLBACK inside, `executescript` included, which begins with one."""
    raw.set_authorizer(_no_end_of_transaction)
    try:
        yield
    finally:
        raw.set_authorizer(None)


def _no_end_of_transaction(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK


def _check_foreign_keys(raw: sqlite3.Connection) -> None:
    broken = raw.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        child, _row, parent, _key = broken
        raise MigrationFailed(
            f"after the upgrade rows of {child} point at rows of {parent} that are not there",
            path=database_path(raw),
            hint="the database is as it was; let the revision mend the rows as well",
        )


def _reason(error: BaseException) -> str:
    if isinstance(error, DBAPIError):
        error.code = ""  # leaves out the address of a page about errors of this kind
    return str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"


def _hint(error: BaseException) -> str:
    empty = _NOT_NULL.search(str(error)) if isinstance(error, DBAPIError) else None
    if empty is None:
        return "the database is as it was; mend the revision, and the next start tries again"
    return (
        f"the rows that are there have no value for {empty[1]}: give the new column a"
        " server_default, or add it nullable and fill it first; the database is as it was"
    )


def _file_at_fault(error: BaseException, folder: Path) -> Path | None:
    """Return the last file of `folder` that the error passed through."""
    files = [Path(error.filename)] if isinstance(error, SyntaxError) and error.filename else []
    trace = error.__traceback__
    while trace is not None:
        files.append(Path(trace.tb_frame.f_code.co_filename))
        trace = trace.tb_next
    return next((file for file in reversed(files) if file.parent == folder.resolve()), None)
