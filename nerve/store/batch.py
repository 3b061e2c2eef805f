"""What is written into the journal: signals, log rows, and what moves with them.

Every process of the parent's side; values only. Everything that belongs together comes as one
`Batch`, and is one transaction of `nerve.store.journal`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nerve.store.decisions import Counted

Pair = tuple[str, str]
"""(target, source) of a cursor, (sense, epoch) of an outbox."""


class SignalEntry(NamedTuple):
    """A signal to be stored; `payload` and `cause` are JSON text."""

    sense: str
    epoch: str
    seq: int
    at_us: int
    payload: str
    cause: str


class LogEntry(NamedTuple):
    """A log row to be stored; `payload` is JSON text.

    Attributes:
        source: the sense, group or part of nerve that it is about.
        type: a stable word, e.g. `worker.died`.
        level: `debug`, `info`, `warning` or `error`.
        ref: what it refers to, e.g. `boot:3f2a91c0/17`, a trigger; or None.
    """

    at_us: int
    source: str
    type: str
    level: str
    ref: str | None
    payload: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A sense that is not run for a while.

    Attributes:
        times: how many quarantines it has had, this one included, since it last did well for long.
        since_us, until_us: from when to when, in UTC microseconds.
        reason: one line for the operator.
    """

    sense: str
    times: int
    since_us: int
    until_us: int
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A sense that a person has told not to run.

    Attributes:
        since_us: UTC microseconds.
        reason: what the person said of it; may be empty.
    """

    sense: str
    since_us: int
    reason: str


@dataclass(slots=True)
class Batch:
    """What is committed together.

    Attributes:
        entries: in the order in which they get their ids.
        cursors: (target, source) to the last signal whose consequence is recorded.
        forgotten: cursors that stand for nothing any more; deleted before `cursors` are put.
        counts: sense, then outcome or reason, to how many more there are of it.
        quarantines: sense to its quarantine, or None where that is over.
        paused: sense to its pause, or None where that is over.
        meta: facts about the installation, by their names.
    """

    entries: list[SignalEntry | LogEntry] = field(default_factory=list)
    cursors: dict[Pair, int] = field(default_factory=dict)
    counts: dict[str, dict[str, Counted]] = field(default_factory=dict)
    forgotten: set[Pair] = field(default_factory=set)
    quarantines: dict[str, Quarantine | None] = field(default_factory=dict)
    paused: dict[str, Pause | None] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)

    def count(
        self, sense: str, outcome: str, at_us: int, number: int = 1, detail: str = ""
    ) -> None:
        """Count `number` more of an outcome or a reason of a sense."""
        words = self.counts.setdefault(sense, {})
        before = words.get(outcome)
        if before is None:
            words[outcome] = Counted(number, at_us, at_us, detail)
        else:
            words[outcome] = before.with_later(number, at_us, detail)

    def leave_counts(self) -> "Batch":
        """Take out the counts of senses of which there is nothing else in it; return them."""
        told = {e.sense if isinstance(e, SignalEntry) else e.source for e in self.entries}
        told.update((target for target, _ in self.cursors), self.quarantines, self.paused)
        left, self.counts = self.counts, {}
        for sense in told & left.keys():
            self.counts[sense] = left.pop(sense)
        return Batch(counts=left)

    def apart(self) -> Iterator["Batch"]:
        """Yield the entries in batches of their own, in their order, and the rest last."""
        for entry in self.entries:
            yield Batch([entry])
        yield replace(self, entries=[])

    def is_urgent(self) -> bool:
        """Whether there is more in it than counts."""
        moves = self.cursors or self.forgotten or self.quarantines or self.paused or self.meta
        return bool(self.entries or moves)

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.is_urgent() or self.counts)
