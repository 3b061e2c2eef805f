"""What a sense did at a moment in the past, and whether nerve ran then. Commands; read-only."""

import sqlite3
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from nerve.cli import decisions
from nerve.cli.decisions import Run
from nerve.cli.output import emit_json
from nerve.cli.why.lines import line, record, title
from nerve.cli.wording import local_time
from nerve.clock import rfc3339
from nerve.config import Loaded
from nerve.config.models import SenseConfig
from nerve.store.state_dir import StateDir


@dataclass(frozen=True, slots=True)
class Then:
    """What is recorded about a moment.

    Attributes:
        runs: the decisions that had begun by then, the latest first.
        after: the first one that began later.
        nerve: whether nerve ran, in words.
    """

    sense: str
    at_us: int
    runs: list[Run]
    after: Run | None
    nerve: str


def look(loaded: Loaded, reader: sqlite3.Connection, sense: str, last: int, at_us: int) -> Then:
    """Look; `last` decisions are taken from the record."""
    runs = decisions.latest(reader, sense, last, until_us=at_us)
    after = decisions.first_after(reader, sense, at_us)
    zone = ZoneInfo(loaded.config.timezone)
    return Then(sense, at_us, runs, after, _nerve_then(loaded, reader, at_us, zone))


def as_json(then: Then, _config: SenseConfig, _zone: ZoneInfo) -> None:
    """Show it as an object."""
    emit_json(
        {
            "sense": then.sense,
            "at": rfc3339(then.at_us),
            "nerve": then.nerve,
            "decisions": [run.as_json() for run in then.runs],
            "after": then.after and then.after.as_json(),
        }
    )


def show(then: Then, config: SenseConfig, zone: ZoneInfo) -> None:
    """Show it to a person."""
    runs, after = then.runs, then.after
    title(then.sense, f" at {local_time(then.at_us, zone)} {zone}")
    line("nerve", then.nerve)
    around = [run for run in runs if run.last_us >= then.at_us]
    for run in around:
        span = f"from {local_time(run.first_us, zone)} to {local_time(run.last_us, zone)}"
        line("then", f"{span}: {decisions.with_number(run, config, zone)}")
    before = next((run for run in runs if run.last_us < then.at_us), None)
    if before is not None:
        told = decisions.in_words(before, config, zone)
        line("before", f"{local_time(before.last_us, zone)}: {told}")
    if after is not None:
        told = decisions.in_words(after, config, zone)
        line("after", f"{local_time(after.first_us, zone)}: {told}")
    if not (around or before or after):
        line("then", "nothing is recorded of it")
    record(runs, config, zone)


def _nerve_then(loaded: Loaded, reader: sqlite3.Connection, at_us: int, zone: ZoneInfo) -> str:
    """Say whether nerve ran at a moment."""
    row = reader.execute(
        "SELECT started_us, ended_us, ended FROM boots WHERE started_us <= ?"
        " ORDER BY id DESC LIMIT 1",
        (at_us,),
    ).fetchone()
    if row is None:
        return "had not run yet"
    started_us, ended_us, ended = row
    if ended == "stopped" and ended_us <= at_us:
        return f"did not run: it had been stopped at {local_time(ended_us, zone)}"
    if ended == "stopped" or (ended is None and StateDir(loaded.state_dir).holder() is not None):
        return f"ran, since {local_time(started_us, zone)}"
    # It was killed, and when is not known: only what it had recorded by then.
    (heard_us,) = reader.execute(
        "SELECT max(last_us) FROM decisions WHERE last_us BETWEEN ? AND coalesce(?, last_us)",
        (started_us, ended_us),
    ).fetchone()
    heard_us = max(started_us, heard_us or 0)
    if at_us <= heard_us:
        return f"ran, since {local_time(started_us, zone)}"
    heard = local_time(heard_us, zone)
    return f"had perhaps been killed by then: the last that it recorded is of {heard}"
