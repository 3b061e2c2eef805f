"""What is known of a sense now: each place is looked at once, and nothing is said.

Commands; read-only. Four places are asked: the record of what became of its triggers, the nerve
that runs for what it does with the sense at this moment, what holds it back (a pause, a
quarantine, a fault at its start), and the configuration with the clock for what comes next.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from nerve.cli import decisions, pause, quarantines
from nerve.cli.causes import cause_of, conditions_of
from nerve.cli.cursors import cursor_of, waiting_after
from nerve.cli.decisions import Run
from nerve.cli.live import Told, told_of
from nerve.cli.upcoming import next_of, running
from nerve.config import Loaded
from nerve.config.models import SenseReflex
from nerve.errors import StateError
from nerve.store.batch import Pause, Quarantine
from nerve.store.journal_reading import cursors_in
from nerve.store.state_dir import StateDir

MAX_SINCE = len(decisions.REASONS)
"""Runs of reasons shown since the last outcome."""
UNAVAILABLE = "sense.unavailable"
_TROUBLES = (UNAVAILABLE, "sense.resting", "group.fatal", "worker.boot_timeout")


@dataclass(frozen=True, slots=True)
class Next:
    """What will run a sense.

    Attributes:
        at_us: when; None where that is not known, or signals decide.
        cause: in words, as `nerve list reflexes` has it.
    """

    cause: str
    at_us: int | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of a sense or its group, as the log has it; `payload` is JSON."""

    at_us: int
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a sense now.

    Attributes:
        now_us: when that was.
        runs: the latest decisions about its triggers.
        ran: its latest outcome; None where none is recorded.
        since: the reasons for which triggers did not run since then.
        told: the running nerve's word; None where none runs, or answers.
        holder: the process of a nerve that runs here and tells nothing.
        trouble: the last one in this run of nerve, where the sense has not run since.
        lags: (source, signals of it that it has not answered), where there are any.
        coming: what will run it.
        faults: of databases that could not be asked.
    """

    sense: str
    now_us: int
    runs: list[Run]
    ran: Run | None
    since: list[Run]
    told: Told | None
    holder: int | None
    paused: Pause | None
    quarantine: Quarantine | None
    trouble: Trouble | None
    lags: list[tuple[str, int]]
    coming: list[Next]
    faults: list[StateError]


def look(loaded: Loaded, reader: sqlite3.Connection, sense: str, last: int, now_us: int) -> Known:
    """Look everywhere; `last` decisions are taken from the record."""
    ran, told = decisions.last_outcome(reader, sense), told_of(loaded, sense)
    since_us, faults = ran.last_us if ran else 0, list[StateError]()
    return Known(
        sense,
        now_us,
        runs=decisions.latest(reader, sense, last),
        ran=ran,
        since=decisions.latest(reader, sense, MAX_SINCE, ran=False, since_us=since_us),
        told=told,
        holder=StateDir(loaded.state_dir).holder() if told is None else None,
        paused=pause.paused_in(loaded).get(sense),
        quarantine=quarantines.held_in(reader).get(sense),
        trouble=_trouble(reader, sense, loaded.config.senses[sense].group, ran),
        lags=list(_lags(loaded, reader, sense, faults)),
        coming=list(_coming(loaded, sense, now_us, told)),
        faults=faults,
    )


def reflexes_of(loaded: Loaded, sense: str) -> list[SenseReflex]:
    """Those that run a sense."""
    reflexes = [r for r in loaded.config.reflexes if isinstance(r, SenseReflex)]
    return [reflex for reflex in reflexes if sense in reflex.sense]


def _trouble(reader: sqlite3.Connection, sense: str, group: str, ran: Run | None) -> Trouble | None:
    marks = ", ".join("?" * len(_TROUBLES))
    row = reader.execute(
        f"SELECT at_us, type, payload FROM logs WHERE source IN (?, ?) AND type IN ({marks})"  # noqa: S608  marks
        " AND at_us >= (SELECT coalesce(max(started_us), 0) FROM boots) ORDER BY id DESC LIMIT 1",
        (sense, group, *_TROUBLES),
    ).fetchone()
    is_over = row is None or (ran is not None and ran.last_us > row[0])
    return None if is_over else Trouble(*row)


def _lags(
    loaded: Loaded, reader: sqlite3.Connection, sense: str, faults: list[StateError]
) -> Iterator[tuple[str, int]]:
    for reflex in reflexes_of(loaded, sense):
        for source in reflex.on or ():
            try:
                position = cursor_of(loaded, reader, (sense, source)).position
            except StateError as error:  # of its own database: perhaps just what is asked about
                faults.append(error)
                position = cursors_in(reader).get((sense, source))
            if position is None:
                continue
            waiting = waiting_after(reader, [(source, position)])[source, position]
            if waiting.number:
                yield source, waiting.number


def _coming(loaded: Loaded, sense: str, now_us: int, told: Told | None) -> Iterator[Next]:
    schedule, mine = running(loaded), reflexes_of(loaded, sense)
    # Of several timers the nerve that runs tells the next tick, and not whose it is.
    has_one_timer = sum(not reflex.on for reflex in mine) == 1
    for reflex in mine:
        alone = reflex.model_copy(update={"sense": (sense,)})
        cause = ", ".join(filter(None, (cause_of(reflex), conditions_of(reflex))))
        if reflex.on:
            yield Next(f"with a signal, {cause}", None)
        elif told is not None and has_one_timer:
            yield Next(cause, told.sense.next_us)
        else:
            yield Next(cause, next_of(alone, loaded.config, now_us, schedule))
