"""`nerve archive`: what is old goes to the archive now.

While nerve runs its parent archives by itself, daily, and alone writes logs.db, so it is asked to
do that now, or joins in what it does already. While none runs this command takes the state
directory's lock, and does in this process what the parent has done by another.
"""

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import partial
from typing import Any

import click

from nerve.cli.asking import ask, running
from nerve.cli.journal import open_journal
from nerve.cli.output import emit, emit_json, emit_table, json_option, say, say_hanging, say_hint
from nerve.cli.ownership import entry_of, owned_journal
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import counted, visible
from nerve.clock import SystemClock, rfc3339
from nerve.config import Loaded
from nerve.config.sizes import show_size
from nerve.errors import Exit, StateError
from nerve.reflex.listeners import routes_of
from nerve.store.archive import Archive, archived_up_to
from nerve.store.batch import Batch
from nerve.store.dayfile import LOGS, SIGNALS
from nerve.store.daywriter import write_days
from nerve.store.due import Due, due_at, selections
from nerve.store.faults import explained
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir
from nerve.supervisor import archiving
from nerve.supervisor.archiving import Outcome, Row
from nerve.wire.control import ArchiveRequest


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve archive --dry-run                  what is due; also while nerve runs\n"
    "  nerve archive                            e.g. after retention got shorter\n"
    "\nExit codes: 0 all that is due is there, 1 a day could not be archived."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go to the archive.")
@json_option
@config_options
@click.pass_obj
def archive(settings: Settings, dry_run: bool, as_json: bool) -> Exit:
    """Move old log rows and signals to the archive.

    A running nerve does so by itself, daily, and is asked to do it now. How old is old stands
    under `retention` in nerve.yaml.
    """
    if dry_run:
        _show_due(settings.load(), as_json=as_json)
        return Exit.OK
    if (remote := running(settings.whereabouts())) is not None:
        with remote:
            told: dict[str, Any] = dict(ask(remote, ArchiveRequest()).facts)
    else:
        loaded = settings.load()
        with open_journal(loaded):
            pass  # where nothing has run, nothing is made by asking
        with owned_journal(loaded) as journal:
            told = archiving.as_object(_archive(loaded, journal))
    _show(told, as_json=as_json)
    return Exit.FOUND if told["refused"] else Exit.OK


def _due(loaded: Loaded, reader: sqlite3.Connection, now_us: int) -> Due:
    pairs = [route.pair for route in routes_of(loaded.config)]
    return due_at(reader, loaded.config.retention, pairs, now_us)


def _archive(loaded: Loaded, journal: Journal) -> Outcome:
    """Do a whole run; the log tells of it, also where it fails."""
    state, retention = StateDir(loaded.state_dir), loaded.config.retention
    state.create()
    now_us, began, outcome = SystemClock().now_us(), time.monotonic(), Outcome()
    tell = partial(_log, loaded, journal)
    try:
        with explained(state.journal_path), closing(open_reader(state.journal_path)) as reader:
            due = _due(loaded, reader, now_us)
            days = write_days(reader, state.archive, due, compressed=retention.compress == "gzip")
            shelf = Archive(state.archive, journal.perform, reader, SystemClock(), alone=True)
            archiving.archive(shelf, days, due, retention, now_us, outcome, tell)
    except Exception as error:
        with suppress(StateError):  # what came first is to be told
            tell([*archiving.rows_of(outcome, retention), archiving.failed(error)])
        raise
    ended = archiving.finished(outcome, due, time.monotonic() - began)
    tell([*archiving.rows_of(outcome, retention), ended])
    return outcome


def _log(loaded: Loaded, journal: Journal, rows: Iterable[Row]) -> None:
    journal.commit(Batch([entry_of(loaded, *row) for row in rows]))


def _show_due(loaded: Loaded, *, as_json: bool) -> None:
    with open_journal(loaded) as reader:
        now_us = SystemClock().now_us()
        due = _due(loaded, reader, now_us)
        found = selections(reader, due)
        watermark = archived_up_to(reader)
    rows = []
    for kind in (LOGS, SIGNALS):
        days = [selection for selection in found if selection.kind == kind]
        counts = {"days": len(days), "rows": sum(day.rows for day in days)}
        before = rfc3339(due.before_us[kind])
        if as_json:
            span = {"before": before, "archived_up_to": watermark}
            emit_json({"kind": kind, "dry_run": True, **counts, **span})
        rows.append((kind, f"{counts['days']:,}", f"{counts['rows']:,}", before))
    if not as_json:
        emit_table(("KIND", "DAYS", "ROWS", "OLDER THAN"), rows)


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit_json(told)
        return
    rows = [
        (kind, f"{moved['days']:,}", f"{moved['rows']:,}", show_size(moved["bytes"]))
        for kind, moved in ((kind, told[kind]) for kind in (LOGS, SIGNALS))
    ]
    emit_table(("KIND", "DAYS", "ROWS", "FILES"), rows)
    before, after = told["journal_bytes_before"], told["journal_bytes"]
    emit(f"logs.db: {show_size(before)} before, {show_size(after)} now")
    if told["deleted"]["days"]:
        days, size = counted(told["deleted"]["days"], "archived day"), told["deleted"]["bytes"]
        emit(f"deleted: {days} older than retention.archived, {show_size(size)}")
    if told["unanswered"]:
        number = counted(told["unanswered"], "signal")
        say(f"{number} left logs.db unanswered; see `nerve logs --type archive.unanswered`")
    for day in told["refused"]:
        say_hanging("", visible(day["message"]))
        say_hint(day["hint"])
