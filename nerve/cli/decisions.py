"""What became of a sense's triggers, from the journal's table `decisions`, and in words.

Commands; read-only. A row is a run of the same decision; a journal from before there were
any has none.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from nerve.cli.journal import has_table
from nerve.cli.wording import counted, local_time, local_times, visible
from nerve.clock import rfc3339
from nerve.config.durations import format_duration
from nerve.config.models import SenseConfig

OUTCOMES = {
    "signal": "it gave a signal",
    "no_signal": "it had nothing to tell",
    "error": "it failed",
    "soft_timeout": "it was interrupted at its timeout",
    "killed": "its worker was killed over it",
    "crashed": "its worker died over it",
}
"""How a trigger that was accepted ends."""
REASONS = {
    "throttled": "came within its throttle of {throttle} and waited for the end of that",
    "debounced": "waited until the signals had ceased",
    "coalesced": "joined one that waited already",
    "filtered": "did not satisfy the where of the reflex",
    "where_failed": "left the where of the reflex without an answer",
    "resting": "waited, because it rests after its worker had died over it",
    "quarantined": "waited, because it is in quarantine",
    "paused": "came while it was paused",
    "unavailable": "came while it could not be run",
    "missed": "passed while nobody could answer",
    "loop": "led back to it in a circle, and ended there",
    "stopped": "ended unanswered, because nerve stopped",
}
"""Why a trigger did not run, or not at once: what it did, of one and of many."""
_COLUMNS = "decision, count, first_us, last_us, detail"


@dataclass(frozen=True, slots=True)
class Run:
    """The same decision, again and again.

    Attributes:
        first_us, last_us: UTC microseconds.
        detail: what more there is to say of the last of them; may be empty.
    """

    decision: str
    count: int
    first_us: int
    last_us: int
    detail: str

    @property
    def is_outcome(self) -> bool:
        """Whether the sense was run."""
        return self.decision in OUTCOMES

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "decision": self.decision,
            "ran": self.is_outcome,
            "count": self.count,
            "first_at": rfc3339(self.first_us),
            "last_at": rfc3339(self.last_us),
            "detail": self.detail,
        }


def latest(
    reader: sqlite3.Connection,
    sense: str,
    limit: int,
    *,
    until_us: int | None = None,
    since_us: int = 0,
    ran: bool | None = None,
) -> list[Run]:
    """Return the newest runs of a sense, the latest first.

    Args:
        reader: the journal.
        sense: its name.
        limit: how many at the most.
        until_us: only those that had begun by then.
        since_us: only those whose last decision is not before that.
        ran: only outcomes, or only reasons.
    """
    if not has_table(reader, "decisions"):
        return []
    words = ", ".join(f"'{word}'" for word in OUTCOMES)  # of our own, so they may stand there
    chosen = {None: "", True: f"AND decision IN ({words})", False: f"AND decision NOT IN ({words})"}
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM decisions WHERE sense = ? {chosen[ran]}"  # noqa: S608  our own text
        " AND first_us <= coalesce(?, first_us) AND last_us >= ?"
        " ORDER BY last_us DESC, id DESC LIMIT ?",
        (sense, until_us, since_us, limit),
    )
    return [Run(*row) for row in rows]


def last_outcome(reader: sqlite3.Connection, sense: str) -> Run | None:
    """Return how a sense's last run ended; of one long ago only the time is left."""
    for run in latest(reader, sense, 1, ran=True):
        return run
    words = ", ".join(f"'{word}'" for word in OUTCOMES)
    row = reader.execute(
        f"SELECT outcome, 1, last_at_us, last_at_us, '' FROM outcomes"  # noqa: S608  our own words
        f" WHERE sense = ? AND outcome IN ({words}) ORDER BY last_at_us DESC LIMIT 1",
        (sense,),
    ).fetchone()
    return Run(*row) if row else None


def first_after(reader: sqlite3.Connection, sense: str, at_us: int) -> Run | None:
    """Return the first run that begins after a time."""
    if not has_table(reader, "decisions"):
        return None
    row = reader.execute(
        f"SELECT {_COLUMNS} FROM decisions WHERE sense = ? AND first_us > ?"  # noqa: S608  our own columns
        " ORDER BY first_us LIMIT 1",
        (sense, at_us),
    ).fetchone()
    return Run(*row) if row else None


def together(runs: Sequence[Run]) -> list[list[Run]]:
    """Put runs of the same word together, the latest first; restarts of nerve lie between them."""
    same: dict[str, list[Run]] = {}
    for run in runs:
        same.setdefault(run.decision, []).append(run)
    return list(same.values())


def all_in_words(runs: Sequence[Run], config: SenseConfig, zone: tzinfo) -> str:
    """Say such runs in one sentence; where details differ, that of the last is with its time."""
    newest, at = runs[0], f"the last at {local_time(runs[0].last_us, zone)}"
    whole = replace(newest, count=sum(run.count for run in runs))
    if all(run.detail == newest.detail for run in runs):
        return f"{with_number(whole, config, zone)} ({at})"
    said = f": {_detail(newest, zone)}" if newest.detail else ""
    return f"{with_number(replace(whole, detail=''), config, zone)} ({at}{said})"


def in_words(run: Run, config: SenseConfig, zone: tzinfo) -> str:
    """Say what became of it, e.g. `it failed: no such host` or `joined one that waited already`."""
    throttle = format_duration(config.throttle_ms or 0)
    told = OUTCOMES.get(run.decision) or REASONS.get(run.decision) or visible(run.decision)
    detail = f": {_detail(run, zone)}" if run.detail else ""
    return told.format(throttle=throttle) + detail


def with_number(run: Run, config: SenseConfig, zone: tzinfo) -> str:
    """Say it with how often, e.g. `3 triggers joined one that waited already`."""
    if run.is_outcome:
        return f"{in_words(run, config, zone)}, {counted(run.count, 'time')}"
    return f"{counted(run.count, 'trigger')} {in_words(run, config, zone)}"


def _detail(run: Run, zone: tzinfo) -> str:
    """Of a failure it is the author's, and shown as it is."""
    return visible(run.detail if run.is_outcome else local_times(run.detail, zone))
