"""The ordinary `alembic` command, on the database of one sense.

    alembic -x sense=cpu-usage history | current | upgrade head | downgrade -1
    alembic -x sense=cpu-usage check | revision [--autogenerate] -m "what it does"

A person runs it, in the folder of pyproject.toml; the senses are those of
nerve.yaml there, or of the file that NERVE_CONFIG names. Commands that write hold
nerve's lock meanwhile, because a database has one writer: they refuse to run beside
a running nerve. `check` and `revision` look at what the migrations make of an empty
database, `history` and `current` read.

Alembic lets this file choose the folder of revisions because pyproject.toml sets
`revision_environment`; its commands `heads`, `branches` and `show` never come here
and know no revisions.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from nerve.config import Loaded, find_config, load_config
from nerve.errors import DatabaseMissing, NerveError
from nerve.store.autogenerate import options_for, scratch
from nerve.store.engine import core_connection
from nerve.store.migrations import Migrations, whole_or_not_at_all
from nerve.store.sqlite import open_owner, open_reader
from nerve.store.state_dir import StateDir
from nerve.worker.loader import load

WRITING = ("upgrade", "downgrade", "stamp", "ensure_version")
COMPARING = ("check", "revision")


def run() -> None:
    """Do what the command asks for, on the sense it names; raises CommandError."""
    try:
        loaded = load_config(find_config(None, os.environ, Path.cwd()), environ=os.environ)
    except NerveError as error:
        raise CommandError(said(error)) from error
    name = named_sense(loaded)
    try:
        with_sense(loaded, name)
    except NerveError as error:
        # What a sense's code raised may hold a secret.
        raise CommandError(loaded.redactor.text(said(error))) from error


def named_sense(loaded: Loaded) -> str:
    """Return the sense of `-x sense=NAME`; raises CommandError."""
    given = context.get_x_argument(as_dictionary=True)
    known = ", ".join(sorted(loaded.config.senses)) or "none"
    rule = f"say which sense with -x sense=NAME; those of {loaded.path} are: {known}"
    if unknown := sorted(given.keys() - {"sense"}):
        raise CommandError(f"there is no -x {unknown[0]}=...; {rule}")
    name = given.get("sense")
    if name is None:
        raise CommandError(rule)
    if name not in loaded.config.senses:
        raise CommandError(f"there is no sense {name!r}; {rule}")
    return str(name)


def with_sense(loaded: Loaded, name: str) -> None:
    """Let Alembic run on one sense's revisions and database; raises NerveError."""
    sense = load(name, loaded.config.senses[name], loaded.path.parent)
    migrations = Migrations(Path(str(sense.module.__file__)).parent / "migrations")
    # Before Alembic first looks: it reads them once.
    context.script.version_locations = [str(migrations.folder)]
    with connected(StateDir(loaded.state_dir), name, migrations) as (connection, writes):
        options = options_for(migrations, sense.metadata)
        context.configure(connection, **options, dont_mutate=not writes)
        context.run_migrations()


@contextmanager
def connected(
    state_dir: StateDir, name: str, migrations: Migrations
) -> Iterator[tuple[Connection, bool]]:
    """Yield the connection that this command needs, and whether it may write."""
    options = context.config.cmd_opts
    command = options.cmd[0].__name__ if options else ""
    if command in WRITING:
        with writing(state_dir, name) as connection:
            yield connection, True
    else:
        raw = scratch(migrations) if command in COMPARING else reading(state_dir, name)
        with closing(raw), core_connection(raw, writes=False) as connection:
            yield connection, False


@contextmanager
def writing(state_dir: StateDir, name: str) -> Iterator[Connection]:
    """Yield a connection inside a transaction that is committed whole, nerve shut out."""
    state_dir.create()
    lock = state_dir.lock()
    try:
        with (
            closing(open_owner(state_dir.sense_db(name), full_sync=True)) as raw,
            whole_or_not_at_all(raw) as connection,
        ):
            yield connection
    finally:
        os.close(lock)


def reading(state_dir: StateDir, name: str) -> sqlite3.Connection:
    """Open the sense's database to read; an empty one where it has none yet."""
    try:
        return open_reader(state_dir.sense_db(name))
    except DatabaseMissing:
        return sqlite3.connect(":memory:", isolation_level=None)


def said(error: NerveError) -> str:
    """Put an error and its hint into one text."""
    return f"{error}. {error.hint}" if error.hint else str(error)


if context.is_offline_mode():
    raise CommandError("--sql is not supported: a batch rewrite needs the database it rewrites")
run()
