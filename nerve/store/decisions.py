"""What became of every trigger, at a cost that does not grow with their number.

Parent, within the journal's transaction; commands read it. Two tables hold it:

    outcomes    for each sense and word how often, for ever, and when last
    decisions   when: a row is a *run* of the same word, with its first and last time

A word is an outcome of a trigger that was accepted, or the reason why one was not. A run
goes on while nothing else becomes of the sense's triggers, or for RUN_SPAN_US if something
does in between; so a sense that always does the same has one row, and one that
does this and that has a row an hour for each. Runs in the database of an earlier
parent are not continued, and old ones are trimmed with the log (`trim`).
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nerve.clock import US_PER_S

RUN_SPAN_US = 3600 * US_PER_S
"""How long a run goes on that is mixed with others."""
MAX_GAP_US = 12 * 3600 * US_PER_S
"""Between two decisions of one run; far below the least retention, so no run is trimmed that
could still go on."""
TRIM_IDS = 5_000
"""Rows looked at by one `trim`; a fresh page cache reads so many in a few ms."""

Key = tuple[str, str]
"""(sense, word)."""


class Counted(NamedTuple):
    """Some decisions of one word about one sense.

    Attributes:
        first_us, last_us: when, UTC microseconds.
        detail: what more there is to say of the last of them; may be empty.
    """

    number: int
    first_us: int
    last_us: int
    detail: str = ""

    def with_later(self, number: int, at_us: int, detail: str) -> "Counted":
        """Add more of them, of one later moment; earlier by the clock if that was set back."""
        first_us, last_us = min(self.first_us, at_us), max(self.last_us, at_us)
        return Counted(self.number + number, first_us, last_us, detail or self.detail)

    def joined(self, other: "Counted") -> "Counted":
        """Add others, of the same time."""
        first_us, last_us = min(self.first_us, other.first_us), max(self.last_us, other.last_us)
        return Counted(self.number + other.number, first_us, last_us, self.detail or other.detail)


class Run(NamedTuple):
    """A row of `decisions` that may go on."""

    id: int
    first_us: int
    last_us: int


@dataclass(slots=True)
class Changes:
    """What a transaction changes in `Runs`, once it is committed."""

    runs: dict[Key, Run] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)


class Runs:
    """The runs that this parent has begun."""

    def __init__(self) -> None:
        self._runs: dict[Key, Run] = {}
        self._latest: dict[str, str] = {}

    def write(
        self, raw: sqlite3.Connection, counts: Mapping[str, Mapping[str, Counted]]
    ) -> Changes:
        """Write counts inside the caller's transaction; `adopt` what it returns after that.

        They are by sense and word, those of a sense in the order in which they began.
        """
        changes = Changes()
        if not counts:
            return changes
        flat = [
            ((sense, word), counted)
            for sense, words in counts.items()
            for word, counted in words.items()
        ]
        raw.executemany(
            "INSERT INTO outcomes (sense, outcome, count, last_at_us) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET count = count + excluded.count,"
            " last_at_us = excluded.last_at_us",
            [(*key, counted.number, counted.last_us) for key, counted in flat],
        )
        for key, counted in flat:
            changes.runs[key] = self._go_on(raw, key, counted, changes)
            changes.latest[key[0]] = key[1]
        return changes

    def adopt(self, changes: Changes) -> None:
        """The transaction of `write` is committed."""
        self._runs.update(changes.runs)
        self._latest.update(changes.latest)

    def _go_on(self, raw: sqlite3.Connection, key: Key, counted: Counted, changes: Changes) -> Run:
        sense, word = key
        run = self._runs.get(key)
        is_alone = changes.latest.get(sense, self._latest.get(sense)) == word
        if run is not None and _goes_on(run, counted, is_alone=is_alone):
            updated = raw.execute(
                "UPDATE decisions SET count = count + ?, last_us = ?,"
                " detail = CASE WHEN ? = '' THEN detail ELSE ? END WHERE id = ?",
                (counted.number, counted.last_us, counted.detail, counted.detail, run.id),
            )
            if updated.rowcount:  # else it was trimmed by a clock that was ahead
                return Run(run.id, run.first_us, counted.last_us)
        cursor = raw.execute(
            "INSERT INTO decisions (sense, decision, count, first_us, last_us, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (sense, word, counted.number, counted.first_us, counted.last_us, counted.detail),
        )
        assert cursor.lastrowid is not None  # noqa: S101  an INSERT has one
        return Run(cursor.lastrowid, counted.first_us, counted.last_us)


def trim(raw: sqlite3.Connection, after_id: int, before_us: int) -> int | None:
    """Delete runs that ended before a time, of the next TRIM_IDS ids after one.

    Returns the last id looked at, to go on after; None where no row has a higher one.
    """
    (oldest,) = raw.execute("SELECT coalesce(min(id), 1) FROM decisions").fetchone()
    after_id = max(after_id, oldest - 1)
    last_id = after_id + TRIM_IDS
    raw.execute(
        "DELETE FROM decisions WHERE id > ? AND id <= ? AND last_us < ?",
        (after_id, last_id, before_us),
    )
    (newest,) = raw.execute("SELECT coalesce(max(id), 0) FROM decisions").fetchone()
    return last_id if last_id < newest else None


def _goes_on(run: Run, counted: Counted, *, is_alone: bool) -> bool:
    gap_us = counted.first_us - run.last_us
    if not 0 <= gap_us < MAX_GAP_US:  # a clock that was set back begins another
        return False
    return is_alone or counted.last_us - run.first_us < RUN_SPAN_US
