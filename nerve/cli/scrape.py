"""One look at an installation, as metrics.

Commands; read-only. Three sources, and each may fail without the others: the nerve that runs, asked
over its control socket; logs.db; and the sizes of the files. What cannot be had is left out, and
`nerve_source_up` says so; a nerve that does not run is no fault, and the files tell what they have.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from nerve.cli.cursors import cursors_of, waiting_after
from nerve.cli.exposition import Family
from nerve.cli.journal import has_table, open_journal
from nerve.cli.quarantines import held_in
from nerve.cli.remote import NotRunning, Remote, connect
from nerve.cli.tallies import OUTCOMES
from nerve.clock import US_PER_S, Clock
from nerve.config import Loaded
from nerve.errors import MessageInvalid, NerveError, NothingHasRun
from nerve.store.journal_reading import pauses
from nerve.store.state_dir import StateDir
from nerve.supervisor.states import WorkerState
from nerve.wire.control import DoneReply, MeasuresRequest
from nerve.wire.measures import MeasuresPage


def families_of(loaded: Loaded, clock: Clock, complain: Callable[[str], object]) -> list[Family]:
    """Look once; `complain` gets a sentence for each source that failed."""
    up = Family("nerve_up", "gauge", "1 where nerve runs and answers, else 0.")
    sources = Family(
        "nerve_source_up", "gauge", "1 where a source of these metrics could be read, else 0."
    )
    found = [up, sources]
    for name, look in (("nerve", _asked), ("journal", _recorded), ("files", _sized)):
        is_up = True
        try:
            found += look(loaded, clock)
        except (NotRunning, NothingHasRun):
            is_up = False
        except (NerveError, OSError) as error:
            is_up = False
            complain(f"{name}: {error}")
        sources.add(is_up, source=name)
        if name == "nerve":
            up.add(is_up)
    return found


# --- the nerve that runs ---------------------------------------------------------------------


def _asked(loaded: Loaded, _clock: Clock) -> list[Family]:
    info = Family("nerve_info", "gauge", "The version that runs.")
    started = Family("nerve_start_time_seconds", "gauge", "When nerve was started, Unix time.")
    state = Family("nerve_group_state", "gauge", "1 for the state that a group's worker is in.")
    starts = Family("nerve_group_worker_starts_total", "counter", "Workers started for a group.")
    queue = Family("nerve_group_queue", "gauge", "Senses of a group that wait for its worker.")
    durations = Family(
        "nerve_compute_duration_seconds",
        "histogram",
        "From telling a worker to compute to knowing the outcome.",
    )
    lateness = Family(
        "nerve_start_lateness_seconds",
        "histogram",
        "From when a trigger could have run to telling a worker to compute.",
    )
    with connect(loaded) as remote:
        for page in _pages(remote):
            if not info.samples:
                info.add(1, version=page.version)
                started.add(page.started_us / US_PER_S)
            for group in page.groups:
                for name in WorkerState:
                    state.add(name == group.state, group=group.name, state=name)
                starts.add(group.starts, group=group.name)
                queue.add(group.waiting, group=group.name)
            for sense in page.senses:
                took, late = sense.durations, sense.lateness
                durations.add_histogram(
                    page.duration_bounds_s, took.counts, took.sum_s, sense=sense.name
                )
                lateness.add_histogram(
                    page.lateness_bounds_s, late.counts, late.sum_s, sense=sense.name
                )
    return [info, started, state, starts, queue, durations, lateness]


def _pages(remote: Remote) -> Iterator[MeasuresPage]:
    after = ""
    while True:
        reply = remote.ask(MeasuresRequest(after=after))
        if not isinstance(reply, DoneReply):
            raise MessageInvalid("it answers something else than measures")
        try:
            page = MeasuresPage.model_validate(reply.facts)
        except ValueError as error:
            raise MessageInvalid("its measures cannot be understood") from error
        yield page
        if not page.more or not page.senses:
            return
        after = page.senses[-1].name


# --- logs.db ---------------------------------------------------------------------------------


def _recorded(loaded: Loaded, clock: Clock) -> list[Family]:
    with open_journal(loaded) as reader:
        return [
            *_counted(reader),
            *_lagging(loaded, reader, clock.now_us()),
            *_held_back(reader),
        ]


def _counted(reader: sqlite3.Connection) -> list[Family]:
    computes = Family("nerve_computes_total", "counter", "Computes that ended, by their outcome.")
    passed = Family(
        "nerve_triggers_passed_over_total", "counter", "Triggers that did not run, by the reason."
    )
    rows = reader.execute("SELECT sense, outcome, count FROM outcomes ORDER BY sense, outcome")
    for sense, word, count in rows:
        if word in OUTCOMES:
            computes.add(count, sense=sense, outcome=word)
        else:
            passed.add(count, sense=sense, reason=word)
    return [computes, passed]


def _lagging(loaded: Loaded, reader: sqlite3.Connection, now_us: int) -> list[Family]:
    signals = Family(
        "nerve_reflex_lag_signals", "gauge", "Signals of a source that a target has not answered."
    )
    age = Family("nerve_reflex_lag_seconds", "gauge", "The age of the oldest of them; 0 for none.")
    answered = {
        one: (one.source, one.position)
        for one in cursors_of(loaded, reader)
        if one.is_declared and not one.is_timer and one.position is not None
    }
    waiting = waiting_after(reader, answered.values())
    for one, place in answered.items():
        found, labels = waiting[place], {"target": one.target, "source": one.source}
        signals.add(found.number, **labels)
        since_us = found.since_us if found.since_us is not None else now_us
        age.add(max(0.0, (now_us - since_us) / US_PER_S), **labels)
    return [signals, age]


def _held_back(reader: sqlite3.Connection) -> list[Family]:
    until = Family(
        "nerve_sense_quarantine_end_time_seconds",
        "gauge",
        "When the quarantine of a sense ends, Unix time; past while it is on trial.",
    )
    quarantined = Family("nerve_senses_quarantined", "gauge", "Senses in quarantine, or on trial.")
    paused = Family("nerve_sense_paused", "gauge", "1 for a sense that is paused.")
    held = held_in(reader)
    quarantined.add(len(held))
    for sense, quarantine in sorted(held.items()):
        until.add(quarantine.until_us / US_PER_S, sense=sense)
    for pause in pauses(reader) if has_table(reader, "paused") else ():
        paused.add(1, sense=pause.sense)
    return [quarantined, until, paused]


# --- files -----------------------------------------------------------------------------------


def _sized(loaded: Loaded, _clock: Clock) -> list[Family]:
    size = Family("nerve_database_size_bytes", "gauge", "The size of a database's file.")
    wal = Family("nerve_database_wal_size_bytes", "gauge", "The size of its write-ahead log.")
    state = StateDir(loaded.state_dir)
    for path in (state.journal_path, *sorted(state.senses.glob("*.db"))):
        of_file = _size(path)
        if of_file is not None:
            name = str(path.relative_to(state.root))
            size.add(of_file, database=name)
            wal.add(_size(path.with_name(f"{path.name}-wal")) or 0, database=name)
    return [size, wal]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
