"""`nerve db`: the revisions of a sense, and the database they were applied to.

These commands import the sense in this process, as the `alembic` command does,
because its revisions and its metadata are code. `upgrade` holds nerve's lock
meanwhile: a database has one writer, so it refuses to run beside a running nerve.
The others read, or look at what the revisions make of an empty database.
"""

import io
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nerve.cli.boundary import masked
from nerve.cli.output import emit, emit_json, emit_table, json_option, say
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import visible_lines
from nerve.config import Loaded
from nerve.errors import DatabaseMissing, Exit, NerveError
from nerve.store.autogenerate import compare, new_revision
from nerve.store.faults import explain
from nerve.store.migrations import SENSE_SCHEMA, Migrations
from nerve.store.migrations import upgrade as apply
from nerve.store.sqlite import open_owner, open_reader
from nerve.store.state_dir import StateDir
from nerve.worker.loader import load


@dataclass(frozen=True, slots=True)
class _Sense:
    """A sense as these commands see it.

    Attributes:
        migrations: its revisions; the folder may be missing, then there are none.
        metadata: its `sqlalchemy.MetaData`, or None.
    """

    name: str
    state: StateDir
    migrations: Migrations
    metadata: Any


@click.group()
def db() -> None:
    """Migrate a sense's database, or look at its revisions."""


@db.command(
    epilog="\b\nExample:\n  nerve db upgrade disk                    before a start, to see it work"
)
@click.argument("sense")
@config_options
@click.pass_obj
def upgrade(settings: Settings, sense: str) -> None:
    """Apply what is pending, as a start of nerve would. Refuses while nerve runs."""
    with _opened(settings, sense) as loaded:
        applied, head = _upgrade(loaded), loaded.migrations.head()
    for revision in applied:
        emit(revision)
    if not applied:
        say(f"{sense} is up to date: {head or 'it has no revisions'}")


@db.command(epilog="\b\nExample:\n  nerve db current disk")
@click.argument("sense")
@json_option
@config_options
@click.pass_obj
def current(settings: Settings, sense: str, as_json: bool) -> None:
    """Print the revision the database stands at."""
    with _opened(settings, sense) as loaded:
        revision, head = _current(loaded), loaded.migrations.head()
    if as_json:
        emit_json({"sense": sense, "current": revision, "head": head})
    elif revision is not None:
        emit(revision)
    else:
        say(f"{sense} stands before its first revision")


@db.command(epilog="\b\nExample:\n  nerve db history disk                    what a start applies")
@click.argument("sense")
@json_option
@config_options
@click.pass_obj
def history(settings: Settings, sense: str, as_json: bool) -> None:
    """List the revisions, oldest first, and where the database stands."""
    with _opened(settings, sense) as loaded:
        stands_at = _current(loaded)
        rows = [(s.revision, (s.doc or "").split("\n")[0]) for s in loaded.migrations.history()]
    if stands_at is not None and stands_at not in {revision for revision, _ in rows}:
        say(f"the database stands at {stands_at}, which is none of the revisions here")
    if as_json:
        for revision, doc in rows:
            emit_json({"revision": revision, "doc": doc, "current": revision == stands_at})
        return
    marked = [(r, "here" if r == stands_at else "", doc) for r, doc in rows]
    emit_table(("revision", "database", "does"), marked)


@db.command(
    short_help="Tell what the revisions lack to make the metadata.",
    epilog="\b\nExample:\n"
    "  nerve db check disk                      after its metadata has changed",
)
@click.argument("sense")
@json_option
@config_options
@click.pass_obj
def check(settings: Settings, sense: str, as_json: bool) -> Exit:
    """Tell what the revisions lack to make the sense's `metadata`; exit 1 if anything."""
    with _opened(settings, sense) as loaded:
        lacking = compare(loaded.migrations, _metadata(loaded))
    for difference in lacking:
        if as_json:
            emit_json({"sense": sense, "lacking": difference})
        else:
            emit(difference)
    if not lacking:
        say(f"the revisions of {sense} make exactly its metadata")
    return Exit.FOUND if lacking else Exit.OK


@db.command(epilog="\b\nExample:\n  nerve db revision disk -m mounts --autogenerate")
@click.argument("sense")
@click.option("-m", "--message", required=True, help="What it does, in a few words.")
@click.option("--autogenerate", is_flag=True, help="Fill it with what `nerve db check` finds.")
@config_options
@click.pass_obj
def revision(settings: Settings, sense: str, message: str, autogenerate: bool) -> None:
    """Write a new revision file, and print its path."""
    with _opened(settings, sense) as loaded:
        metadata = _metadata(loaded) if autogenerate else None
        loaded.migrations.folder.mkdir(exist_ok=True)
        path = new_revision(loaded.migrations, message, metadata=metadata)
    emit(str(path))
    say("read it before you use it; rows that a table has already need a value in each new column")
    is_held = loaded.state.holder() is not None
    command = "nerve reload" if is_held else f"nerve db upgrade {sense}"
    say(f"it is applied at the next start, or by: {command}")


@contextmanager
def _opened(settings: Settings, name: str) -> Iterator[_Sense]:
    """Load a sense, for work that shows nothing itself.

    What its code and its revisions say meanwhile, in print or in errors, is the author's:
    it goes to stderr, which is talk, and has its secrets masked.
    """
    loaded = settings.load()
    require_sense(loaded, name)
    with masked(loaded.redactor):
        printed = io.StringIO()
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                yield _load(loaded, name)
        finally:
            for line in visible_lines(loaded.redactor.text(printed.getvalue())):
                if line:
                    say(f"{name} printed: {line}")


def _load(loaded: Loaded, name: str) -> _Sense:
    sense = load(name, loaded.config.senses[name], loaded.path.parent)
    if not hasattr(sense.module, "__path__"):
        raise NerveError(
            f"{name} is a single file, and revisions need a folder",
            hint=f"make it a package: {Path(str(sense.module.__file__)).stem}/__init__.py",
        )
    folder = Path(str(sense.module.__file__)).parent / "migrations"
    return _Sense(name, StateDir(loaded.state_dir), Migrations(folder), sense.metadata)


def _upgrade(sense: _Sense) -> list[str]:
    sense.state.create()
    lock = sense.state.lock()
    try:
        with closing(open_owner(sense.state.sense_db(sense.name), full_sync=True)) as raw:
            apply(raw, SENSE_SCHEMA)
            return apply(raw, sense.migrations)
    finally:
        os.close(lock)


def _current(sense: _Sense) -> str | None:
    path = sense.state.sense_db(sense.name)
    try:
        with closing(open_reader(path)) as reader:
            return sense.migrations.current(reader)
    except DatabaseMissing:
        return None
    except sqlite3.Error as error:
        raise explain(error, path) from error


def _metadata(sense: _Sense) -> Any:
    if sense.metadata is None:
        raise NerveError(
            f"{sense.name} has no `metadata` to compare with",
            hint="write in its module: metadata = sqlalchemy.MetaData(), with its tables",
        )
    return sense.metadata
