"""One look at an installation, as metrics.

Commands; read-only. Three sources, and each may fail without the others: the nerve that runs, asked
over its control socket; logs.db; and the sizes of the files. What cannot be had is left out, and
`nerve_source_up` says so; a nerve that does not run is no fault, and the files tell what they have.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from nerve.cli.cursors import cursors_of, waiting_after
from nerve.cli.journal import has_table, open_journal
from nerve.cli.quarantines import held_in
from nerve.cli.remote import NotRunning, Remote, connect
from nerve.cli.tallies import OUTCOMES
from nerve.cli.wording import visible
from nerve.clock import US_PER_S, Clock
from nerve.config import Loaded
from nerve.errors import MessageInvalid, NerveError, NothingHasRun
from nerve.store.journal_reading import pauses
from nerve.store.state_dir import StateDir
from nerve.supervisor.states import WorkerState
from nerve.wire.control import DoneReply, MeasuresRequest
from nerve.wire.measures import MeasuresPage, Spread


def families_of(loaded: Loaded, clock: Clock, complain: Callable[[str], object]) -> list[Metric]:
    """Look once; `complain` gets a sentence for each source that failed."""
    up = GaugeMetricFamily("nerve_up", "1 where nerve runs and answers, else 0.")
    sources = GaugeMetricFamily(
        "nerve_source_up",
        "1 where a source of these metrics could be read, else 0.",
        labels=["source"],
    )
    found: list[Metric] = [up, sources]
    for name, look in (("nerve", _asked), ("journal", _recorded), ("files", _sized)):
        is_up = True
        try:
            found += look(loaded, clock)
        except (NotRunning, NothingHasRun):
            is_up = False
        except (NerveError, OSError) as error:
            is_up = False
            complain(f"{name}: {error}")
        sources.add_metric([name], is_up)
        if name == "nerve":
            up.add_metric([], is_up)
    return [family for family in found if family.samples]


# --- the nerve that runs ---------------------------------------------------------------------


def _asked(loaded: Loaded, _clock: Clock) -> list[Metric]:
    info = InfoMetricFamily("nerve", "The version that runs.")
    started = GaugeMetricFamily("nerve_start_time_seconds", "When nerve was started, Unix time.")
    state = GaugeMetricFamily(
        "nerve_group_state",
        "1 for the state that a group's worker is in.",
        labels=["group", "state"],
    )
    starts = CounterMetricFamily(
        "nerve_group_worker_starts_total", "Workers started for a group.", labels=["group"]
    )
    queue = GaugeMetricFamily(
        "nerve_group_queue", "Senses of a group that wait for its worker.", labels=["group"]
    )
    durations = HistogramMetricFamily(
        "nerve_compute_duration_seconds",
        "From telling a worker to compute to knowing the outcome.",
        labels=["sense"],
    )
    lateness = HistogramMetricFamily(
        "nerve_start_lateness_seconds",
        "From when a trigger could have run to telling a worker to compute.",
        labels=["sense"],
    )
    with connect(loaded) as remote:
        for page in _pages(remote):
            if not info.samples:
                info.add_metric([], {"version": page.version})
                started.add_metric([], page.started_us / US_PER_S)
            for group in page.groups:
                for name in WorkerState:
                    state.add_metric([group.name, name], name == group.state)
                starts.add_metric([group.name], group.starts)
                queue.add_metric([group.name], group.waiting)
            for sense in page.senses:
                took, late = sense.durations, sense.lateness
                durations.add_metric(
                    [sense.name], _buckets(page.duration_bounds_s, took), took.sum_s
                )
                lateness.add_metric(
                    [sense.name], _buckets(page.lateness_bounds_s, late), late.sum_s
                )
    return [info, started, state, starts, queue, durations, lateness]


def _buckets(bounds_s: Sequence[float], spread: Spread) -> list[tuple[str, float]]:
    """Each counts what the smaller ones count as well; the last is what is beyond all."""
    return list(zip([*map(str, bounds_s), "+Inf"], accumulate(spread.counts), strict=True))


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


def _recorded(loaded: Loaded, clock: Clock) -> list[Metric]:
    with open_journal(loaded) as reader:
        return [
            *_counted(reader),
            *_lagging(loaded, reader, clock.now_us()),
            *_held_back(reader),
        ]


def _counted(reader: sqlite3.Connection) -> list[Metric]:
    computes = CounterMetricFamily(
        "nerve_computes_total",
        "Computes that ended, by their outcome.",
        labels=["sense", "outcome"],
    )
    passed = CounterMetricFamily(
        "nerve_triggers_passed_over_total",
        "Triggers that did not run, by the reason.",
        labels=["sense", "reason"],
    )
    rows = reader.execute("SELECT sense, outcome, count FROM outcomes ORDER BY sense, outcome")
    for sense, word, count in rows:
        (computes if word in OUTCOMES else passed).add_metric([sense, word], count)
    return [computes, passed]


def _lagging(loaded: Loaded, reader: sqlite3.Connection, now_us: int) -> list[Metric]:
    signals = GaugeMetricFamily(
        "nerve_reflex_lag_signals",
        "Signals of a source that a target has not answered.",
        labels=["target", "source"],
    )
    age = GaugeMetricFamily(
        "nerve_reflex_lag_seconds",
        "The age of the oldest of them; 0 for none.",
        labels=["target", "source"],
    )
    answered = {
        one: (one.source, one.position)
        for one in cursors_of(loaded, reader)
        if one.is_declared and not one.is_timer and one.position is not None
    }
    waiting = waiting_after(reader, answered.values())
    for one, place in answered.items():
        found, labels = waiting[place], [one.target, one.source]
        signals.add_metric(labels, found.number)
        since_us = found.since_us if found.since_us is not None else now_us
        age.add_metric(labels, max(0.0, (now_us - since_us) / US_PER_S))
    return [signals, age]


def _held_back(reader: sqlite3.Connection) -> list[Metric]:
    until = GaugeMetricFamily(
        "nerve_sense_quarantine_end_time_seconds",
        "When the quarantine of a sense ends, Unix time; past while it is on trial.",
        labels=["sense"],
    )
    quarantined = GaugeMetricFamily(
        "nerve_senses_quarantined", "Senses in quarantine, or on trial."
    )
    paused = GaugeMetricFamily(
        "nerve_sense_paused", "1 for a sense that is paused.", labels=["sense"]
    )
    held = held_in(reader)
    quarantined.add_metric([], len(held))
    for sense, quarantine in sorted(held.items()):
        until.add_metric([sense], quarantine.until_us / US_PER_S)
    for pause in pauses(reader) if has_table(reader, "paused") else ():
        paused.add_metric([pause.sense], 1)
    return [quarantined, until, paused]


# --- files -----------------------------------------------------------------------------------


def _sized(loaded: Loaded, _clock: Clock) -> list[Metric]:
    size = GaugeMetricFamily(
        "nerve_database_size_bytes", "The size of a database's file.", labels=["database"]
    )
    wal = GaugeMetricFamily(
        "nerve_database_wal_size_bytes", "The size of its write-ahead log.", labels=["database"]
    )
    state = StateDir(loaded.state_dir)
    for path in (state.journal_path, *sorted(state.senses.glob("*.db"))):
        of_file = _size(path)
        if of_file is not None:
            name = visible(str(path.relative_to(state.root)))  # it may be no UTF-8
            size.add_metric([name], of_file)
            wal.add_metric([name], _size(path.with_name(f"{path.name}-wal")) or 0)
    return [size, wal]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
