"""How far each outbox is recorded, and how many signals each sense has given.

Parent, within the journal's transaction. A repeated signal is told by a high-water mark per outbox,
which costs less than a unique index. Marks and counts follow from the rows of `signals`, so they
need not be written with each of them: a batch of signals touches the pages of that table, and
those of `received`, `outcomes` and `decisions` once in SETTLE_EVERY_S. `settled_id` in `meta` says
up to which id the rows are in there. What came after it is counted again by whoever opens the
journal next, so nothing is lost or counted twice wherever a crash falls.
"""

import sqlite3
import time
from collections.abc import Mapping
from typing import NamedTuple

from nerve.store.batch import Pair, SignalEntry
from nerve.store.decisions import Counted
from nerve.store.journal_reading import SETTLED, newest_id, settled_id
from nerve.store.journal_rows import put_meta

SETTLE_EVERY_S = 1.0
"""Who reads the counts beside a running nerve sees them as they were so long ago at most."""
SIGNAL = "signal"
"""The outcome of a compute that gave one."""


class Mark(NamedTuple):
    """Signals of one outbox that are recorded and not settled.

    Attributes:
        seq, signal_id: of the last of them.
        number: how many.
        first_us, last_us: when, UTC microseconds.
    """

    seq: int
    signal_id: int
    number: int
    first_us: int
    last_us: int

    def then(self, later: "Mark") -> "Mark":
        """Add later ones of the same outbox."""
        first_us, last_us = min(self.first_us, later.first_us), max(self.last_us, later.last_us)
        return Mark(later.seq, later.signal_id, self.number + later.number, first_us, last_us)


Marks = dict[Pair, Mark]
"""(sense, epoch) to what is new of that outbox."""
Counts = dict[str, dict[str, Counted]]
"""Sense, then outcome or reason, to how many more there are of it."""


class HighWater:
    """What the journal has of all outboxes."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        """Read it; what a crash has left unsettled is counted again."""
        rows = raw.execute("SELECT sense, epoch, seq FROM received")
        self._seqs: dict[Pair, int] = {(sense, epoch): seq for sense, epoch, seq in rows}
        self._unsettled: Marks = {}
        self._settled_at = -SETTLE_EVERY_S
        self.take(_marks_after(raw, _settled_from(raw)))

    def received(self) -> dict[str, dict[str, int]]:
        """For each sense, by epoch, the last `seq` of its outbox that is recorded."""
        found: dict[str, dict[str, int]] = {}
        for (sense, epoch), seq in list(self._seqs.items()):
            found.setdefault(sense, {})[epoch] = seq
        return found

    def is_known(self, entry: SignalEntry, new: Marks) -> bool:
        """Whether a signal is a repeat of one that is recorded, or among the new ones."""
        key = (entry.sense, entry.epoch)
        mark = new.get(key)
        return entry.seq <= (mark.seq if mark is not None else self._seqs.get(key, 0))

    @property
    def unsettled(self) -> int:
        """Of how many outboxes something is recorded that is not written down."""
        return len(self._unsettled)

    def is_due(self) -> bool:
        """Whether what is not should be now."""
        return time.monotonic() - self._settled_at >= SETTLE_EVERY_S

    def settle(self, raw: sqlite3.Connection, new: Marks, counts: Counts) -> Counts:
        """Write the marks, where there are any, inside the caller's transaction.

        Returns `counts` and how many signals each sense has given, to be counted in the
        same transaction. After the commit: `take` the new ones, then `settled`.
        """
        marks = dict(self._unsettled)
        _add(marks, new)
        raw.executemany(
            "INSERT INTO received (sense, epoch, seq, signal_id) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET seq = excluded.seq, signal_id = excluded.signal_id",
            [(*key, mark.seq, mark.signal_id) for key, mark in marks.items()],
        )
        newest_id = max(mark.signal_id for mark in marks.values())
        raw.execute("UPDATE meta SET value = ? WHERE key = ?", (str(newest_id), SETTLED))
        signals = _counts(marks)
        # First: it is the older word.
        joined = {s: {SIGNAL: counted} | counts.get(s, {}) for s, counted in signals.items()}
        return joined | {s: words for s, words in counts.items() if s not in signals}

    def take(self, new: Marks) -> None:
        """These are recorded."""
        _add(self._unsettled, new)
        self._seqs.update({key: mark.seq for key, mark in new.items()})

    def settled(self) -> None:
        """The transaction of `settle` is committed."""
        self._unsettled = {}
        self._settled_at = time.monotonic()


def note(new: Marks, entry: SignalEntry, signal_id: int) -> None:
    """Add one signal to what is new."""
    mark = Mark(entry.seq, signal_id, 1, entry.at_us, entry.at_us)
    _add(new, {(entry.sense, entry.epoch): mark})


def _add(marks: Marks, later: Marks) -> None:
    for key, mark in later.items():
        before = marks.get(key)
        marks[key] = mark if before is None else before.then(mark)


def _settled_from(raw: sqlite3.Connection) -> int:
    """In a journal where nothing says up to where `received` goes, it goes to the end."""
    settled = settled_id(raw)
    if settled is None:
        settled = newest_id(raw)
        put_meta(raw, {SETTLED: str(settled)})
    return settled


def _counts(marks: Mapping[Pair, Mark]) -> dict[str, Counted]:
    counts: dict[str, Counted] = {}
    for (sense, _), mark in marks.items():
        counted = Counted(mark.number, mark.first_us, mark.last_us)
        before = counts.get(sense)
        counts[sense] = counted if before is None else before.joined(counted)
    return counts


def _marks_after(raw: sqlite3.Connection, signal_id: int) -> Marks:
    rows = raw.execute(
        "SELECT sense, epoch, max(seq), max(id), count(*), min(at_us), max(at_us) FROM signals"
        " WHERE id > ? GROUP BY sense, epoch",
        (signal_id,),
    )
    return {(sense, epoch): Mark(*mark) for sense, epoch, *mark in rows}
