"""What an author's tables still lack in migrations, and new revision files.

Commands only. The author's `metadata` is compared with what the migrations make of
an empty database, not with the database in use: so it works while nerve runs, and
for a sense that never ran. nerve's own tables are no part of the comparison.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic.autogenerate import RevisionContext, compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData

from nerve.errors import StateError
from nerve.store.engine import core_connection
from nerve.store.migrations import Migrations, upgrade

OWN_PREFIX = "nerve_"


def compare(migrations: Migrations, metadata: MetaData) -> list[str]:
    """Return what the migrations lack to make these tables, one line each; [] if nothing.

    Raises MigrationFailed if the migrations themselves fail.
    """
    with closing(scratch(migrations)) as raw, _context(raw, migrations, metadata) as context:
        return [_describe(difference) for difference in compare_metadata(context, metadata)]


def new_revision(migrations: Migrations, message: str, *, metadata: MetaData | None = None) -> Path:
    """Write a new revision file after the newest one; return its path.

    With `metadata` its body is what `compare` finds lacking, else it is empty.
    Raises MigrationFailed if the migrations fail, StateError if no file can be written.
    """
    with closing(scratch(migrations)) as raw, _context(raw, migrations, metadata) as context:
        revision = _revision_context(migrations, message)
        fill = revision.run_no_autogenerate if metadata is None else revision.run_autogenerate
        fill(migrations.head() or (), context)
        try:
            (script,) = revision.generate_scripts()
        except OSError as error:
            raise StateError(
                f"cannot write into {migrations.folder}: {error.strerror}",
                path=migrations.folder,
                hint="the sense must lie in a folder that you may write to",
            ) from error
    assert script is not None  # noqa: S101  None is for formats of file names we do not use
    return Path(script.path)


def scratch(migrations: Migrations) -> sqlite3.Connection:
    """Return an empty database in memory, brought to the newest revision."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    try:
        upgrade(raw, migrations)
    except BaseException:
        raw.close()
        raise
    return raw


def options_for(migrations: Migrations, metadata: MetaData | None) -> dict[str, Any]:
    """Return the options with which Alembic compares and writes, as for its `configure`."""
    return {
        "version_table": migrations.version_table,
        "target_metadata": metadata,
        "render_as_batch": True,
        "include_name": _include_name,
        "include_object": _include_object,
    }


def _include_name(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and (name or "").startswith(OWN_PREFIX))


def _include_object(_thing: object, name: str | None, kind: str, *_: object) -> bool:
    return _include_name(name, kind, None)


@contextmanager
def _context(
    raw: sqlite3.Connection, migrations: Migrations, metadata: MetaData | None
) -> Iterator[MigrationContext]:
    connection = core_connection(raw)
    try:
        with EnvironmentContext(Config(), migrations.script) as environment:
            environment.configure(connection, **options_for(migrations, metadata))
            yield environment.get_context()
    finally:
        connection.close()


def _revision_context(migrations: Migrations, message: str) -> RevisionContext:
    arguments: dict[str, Any] = dict.fromkeys(
        ("rev_id", "branch_label", "version_path", "depends_on")
    )
    arguments |= {"message": message, "head": "head", "splice": False, "sql": False}
    return RevisionContext(Config(), migrations.script, arguments)


def _describe(difference: Any) -> str:
    """Put one of Alembic's tuples, or a list of them for one column, into words."""
    if isinstance(difference, list):
        return "; ".join(_describe(one) for one in difference)
    verb, *parts = difference
    named = [part for part in parts if part is not None and not isinstance(part, dict)]
    names = [str(getattr(part, "name", part)) for part in named]
    return " ".join([verb.replace("_", " "), *names])
