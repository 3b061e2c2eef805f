"""What the files have of each sense, in one look at the journal. Commands; read-only."""

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nerve.cli.journal import has_table, open_journal
from nerve.cli.tallies import FAILURES, OUTCOMES
from nerve.config.whereabouts import Located
from nerve.errors import NothingHasRun
from nerve.store.batch import Pair, Pause, Quarantine
from nerve.store.journal_reading import (
    cursors_in,
    newest_id,
    pauses,
    quarantines,
    signal_ids_after,
)

MAX_COUNTED_IDS = 100_000
"""The newest entries among which signals that wait are counted, some 20 ms; before them there may
be more."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How the computes of a sense ended.

    Attributes:
        last: the outcome of the latest.
        last_us: when that was.
        runs, failures: of all that are recorded.
        since_us: since when it has ended so each time, as far as that is told.
        times: how often in a row.
        detail: what more there is to say of a failure; may be empty.
    """

    last: str
    last_us: int
    runs: int = 0
    failures: int = 0
    since_us: int | None = None
    times: int = 1
    detail: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the latest came to no good end."""
        return self.last in FAILURES


@dataclass(frozen=True, slots=True)
class Lag:
    """Signals of a source that a sense has not answered.

    Attributes:
        number: how many.
        since_us: when the oldest of them was given.
        is_more: whether there may be older ones, that were not counted.
    """

    source: str
    number: int
    since_us: int
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Boot:
    """The last run of nerve; `ended` is None while it runs, or when it was killed."""

    pid: int
    version: str
    started_us: int
    ended_us: int | None
    ended: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """All of it; the mappings are by sense."""

    ran: Mapping[str, Ran] = field(default_factory=dict)
    paused: Mapping[str, Pause] = field(default_factory=dict)
    quarantined: Mapping[str, Quarantine] = field(default_factory=dict)
    lags: Mapping[str, list[Lag]] = field(default_factory=dict)
    boot: Boot | None = None


def recorded(located: Located, pairs: Iterable[Pair]) -> Recorded:
    """Read the journal at one moment; of nothing where nothing has run yet.

    Args:
        located: whose.
        pairs: (target, source) of each reflex on signals.

    Raises DatabaseError and its kin, StateForbidden.
    """
    try:
        with open_journal(located) as reader:
            reader.execute("BEGIN")
            return Recorded(
                _ran(reader),
                {p.sense: p for p in (pauses(reader) if has_table(reader, "paused") else ())},
                _quarantined(reader),
                _lags(reader, pairs),
                _boot(reader),
            )
    except NothingHasRun:
        return Recorded()


def _ran(reader: sqlite3.Connection) -> dict[str, Ran]:
    found: dict[str, Ran] = {}
    rows = reader.execute(
        "SELECT sense, outcome, count, last_at_us FROM outcomes"
        " WHERE outcome IN (SELECT value FROM json_each(?)) ORDER BY last_at_us DESC",
        (json.dumps(sorted(OUTCOMES)),),
    )
    for sense, outcome, count, last_us in rows:
        ran = found.get(sense) or Ran(outcome, last_us)
        failures = count if outcome in FAILURES else 0
        found[sense] = replace(ran, runs=ran.runs + count, failures=ran.failures + failures)
    failed = [sense for sense, ran in found.items() if ran.has_failed]
    for sense, times, since_us, detail in _failing(reader, failed):
        found[sense] = replace(found[sense], times=times, since_us=since_us, detail=detail)
    return found


def _failing(
    reader: sqlite3.Connection, senses: Sequence[str]
) -> Iterator[tuple[str, int, int, str]]:
    """For each of these senses the last run of failures: how many, since when, the last detail."""
    if not senses or not has_table(reader, "decisions"):
        return
    rows = reader.execute(
        "SELECT sense, count, first_us, detail, max(last_us) FROM decisions"
        " WHERE sense IN (SELECT value FROM json_each(?))"
        " AND decision IN (SELECT value FROM json_each(?)) GROUP BY sense",
        (json.dumps(senses), json.dumps(sorted(FAILURES))),
    )
    for sense, times, since_us, detail, _ in rows:
        yield sense, times, since_us, detail


def _quarantined(reader: sqlite3.Connection) -> dict[str, Quarantine]:
    stored = quarantines(reader) if has_table(reader, "quarantine") else []
    return {found.sense: found for found in stored}


def _lags(reader: sqlite3.Connection, pairs: Iterable[Pair]) -> dict[str, list[Lag]]:
    """Count the signals behind the journal's cursors, among the newest MAX_COUNTED_IDS entries."""
    cursors = cursors_in(reader)
    floor = newest_id(reader) - MAX_COUNTED_IDS
    known = {pair: cursors[pair] for pair in pairs if pair in cursors}
    ids = signal_ids_after(reader, [(source, max(at, floor)) for (_, source), at in known.items()])
    found: dict[str, list[Lag]] = {}
    for (target, source), position in known.items():
        waiting = ids[source][bisect_right(ids[source], position) :]
        if waiting:
            since_us = _time_of(reader, waiting[0])
            lag = Lag(source, len(waiting), since_us, is_more=position < floor)
            found.setdefault(target, []).append(lag)
    return found


def _boot(reader: sqlite3.Connection) -> Boot | None:
    row = reader.execute(
        "SELECT pid, version, started_us, ended_us, ended FROM boots ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return Boot(*row) if row else None


def _time_of(reader: sqlite3.Connection, signal_id: int) -> int:
    (at_us,) = reader.execute("SELECT at_us FROM signals WHERE id = ?", (signal_id,)).fetchone()
    return int(at_us)
