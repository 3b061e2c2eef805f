"""The verdict on what a storm has left: every way in which it does not agree. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

Pair = tuple[str, str]

MAX_SHOWN = 5
"""Numbers named in one sentence; of the rest, how many there are."""
BAD_OUTCOMES = frozenset({"error", "soft_timeout", "killed"})
"""A compute of the storm ends well, or its worker is killed from outside: `crashed`."""


@dataclass(frozen=True)
class Signal:
    """A row of `signals`: its id, the sense's epoch and seq, and the row number it tells of."""

    id: int
    sense: str
    epoch: str
    seq: int
    n: int


@dataclass(frozen=True)
class Kept:
    """What one sense's database holds.

    Attributes:
        rows: each run's number and whether it told a signal, in order.
        heard: source, signal id and the row number it told, in the order of hearing.
        left_out: signals that caused a compute and were not handed to it.
        positions: for each source, the last signal that was dealt with.
        waiting: rows of the outbox.
        epoch: the identity of the database.
        bad_blobs: rows whose blob is missing or damaged.
    """

    rows: list[tuple[int, bool]] = field(default_factory=list)
    heard: list[tuple[str, int, int]] = field(default_factory=list)
    left_out: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    epoch: str = ""
    bad_blobs: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """All that was read after the storm.

    Attributes:
        listens: for each sense, its sources.
        cursors: for each target and source, the last signal handled.
        outcomes: for each sense and outcome, how often.
        open_boots: boots without an end.
        alarms: log rows that a storm must not cause, as text.
        processes, files: what is left behind.
        unasked: exits of the parent that nobody had caused.
        fickle: targets whose reflex was not always there: what came meanwhile is not answered.
        complaints: of operators, in sentences.
        told_signals: sense and id of each signal that an operator was told of.
        told_counts, told_triggers: what operators were told that is counted: by sense and reason;
            by sense, of triggers that were let in.
        triggers: by sense, how many the log has.
    """

    listens: Mapping[str, tuple[str, ...]]
    signals: list[Signal]
    kept: Mapping[str, Kept]
    cursors: Mapping[Pair, int]
    outcomes: Mapping[Pair, int] = field(default_factory=dict)
    open_boots: int = 0
    alarms: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    fickle: frozenset[str] = frozenset()
    complaints: list[str] = field(default_factory=list)
    told_signals: list[tuple[str, int]] = field(default_factory=list)
    told_counts: Mapping[Pair, int] = field(default_factory=dict)
    told_triggers: Mapping[str, int] = field(default_factory=dict)
    triggers: Mapping[str, int] = field(default_factory=dict)

    def with_kept(self, sense: str, **changed) -> "Evidence":
        """The same with something else in one sense's database."""
        kept = {**self.kept, sense: replace(self.kept[sense], **changed)}
        return replace(self, kept=kept)


def disagreements(evidence: Evidence) -> list[str]:
    """Say what does not agree, a sentence for each; an empty list is a good verdict."""
    found = [*_order(evidence), *_left_behind(evidence), *_bad_outcomes(evidence)]
    found += _promises(evidence)
    for sense in evidence.listens:
        found += _rows_and_signals(sense, evidence)
        found += _answers(sense, evidence)
        found += _ends(sense, evidence)
    return found


def _order(evidence: Evidence) -> Iterator[str]:
    if not evidence.signals:
        yield "there are no signals at all"
    ids = [signal.id for signal in evidence.signals]
    if any(later <= earlier for earlier, later in pairwise(ids)):
        yield "the ids of the signals do not increase strictly"


def _rows_and_signals(sense: str, evidence: Evidence) -> Iterator[str]:
    kept = evidence.kept[sense]
    numbers = [n for n, _ in kept.rows]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"{sense}: the rows have a gap: {_missing(numbers)}"
    own = [signal for signal in evidence.signals if signal.sense == sense]
    said, told = [n for n, said in kept.rows if said], [signal.n for signal in own]
    yield from _differences(f"{sense}: row", said, f"{sense}: signal of row", told)
    if sorted(told) == said and told != said:
        yield f"{sense}: its signals are not in the order of its rows"
    if strangers := {signal.epoch for signal in own} - {kept.epoch}:
        yield f"{sense}: signals of another database: {strangers}"
    if [signal.seq for signal in own] != list(range(1, len(own) + 1)):
        yield f"{sense}: the seq of its signals does not count up by one"
    if kept.bad_blobs:
        yield f"{sense}: blobs missing or damaged in rows {_some(kept.bad_blobs)}"


def _answers(target: str, evidence: Evidence) -> Iterator[str]:
    """Each signal of a source is answered once; those left out are known by number alone."""
    kept = evidence.kept[target]
    told = [s for s in evidence.signals if s.sense in evidence.listens[target]]
    heard = [signal for _, signal, _ in kept.heard]
    twice = sorted(signal for signal, times in Counter(heard).items() if times > 1)
    if twice:
        yield f"{target}: signals answered twice: {_some(twice)}"
    by_id = {signal.id: (signal.sense, signal.n) for signal in told}
    if strange := [h for h in kept.heard if by_id.get(h[1]) != (h[0], h[2])]:
        yield f"{target}: heard what nobody told: {_some(strange)}"
    unheard = sorted(set(by_id) - set(heard))
    if target not in evidence.fickle and len(unheard) != kept.left_out:
        yield (
            f"{target}: {len(unheard)} signals not answered ({_some(unheard)}), "
            f"{kept.left_out} of them counted as left out"
        )
    for source in evidence.listens[target]:
        from_it = [signal for of, signal, _ in kept.heard if of == source]
        if from_it != sorted(from_it):
            yield f"{target}: the signals of {source} were not answered in order"


def _ends(target: str, evidence: Evidence) -> Iterator[str]:
    kept = evidence.kept[target]
    for source in evidence.listens[target]:
        newest = max((s.id for s in evidence.signals if s.sense == source), default=0)
        cursor = evidence.cursors.get((target, source), 0)
        position = kept.positions.get(source, 0)
        if not newest == cursor == position:
            yield (
                f"{target} on {source}: the newest signal is {newest}, "
                f"the cursor {cursor}, the sense's own position {position}"
            )
    if kept.waiting:
        yield f"{target}: {kept.waiting} rows of the outbox are not acknowledged"


def _left_behind(evidence: Evidence) -> Iterator[str]:
    if evidence.open_boots:
        yield f"{evidence.open_boots} boots are not closed"
    for what, found in (("process", evidence.processes), ("file", evidence.files)):
        yield from (f"{what} left behind: {one}" for one in found)
    yield from (f"the parent ended by itself: {one}" for one in evidence.unasked)
    yield from (f"in the log: {alarm}" for alarm in evidence.alarms)


def _bad_outcomes(evidence: Evidence) -> Iterator[str]:
    for (sense, outcome), count in evidence.outcomes.items():
        if outcome in BAD_OUTCOMES and count:
            yield f"{sense}: {count} computes ended as {outcome}"


def _promises(evidence: Evidence) -> Iterator[str]:
    """What somebody was told has to be on record."""
    yield from evidence.complaints
    recorded = {(signal.sense, signal.id) for signal in evidence.signals}
    if missing := [told for told in evidence.told_signals if told not in recorded]:
        yield f"signals that somebody was told of are not there: {_some(missing)}"
    for pair, count in evidence.told_counts.items():
        if (found := evidence.outcomes.get(pair, 0)) < count:
            yield f"{pair[0]}: {count} times {pair[1]} was told, and {found} are counted"
    for sense, count in evidence.told_triggers.items():
        if (found := evidence.triggers.get(sense, 0)) < count:
            yield f"{sense}: {count} triggers were let in, and the log has {found}"


def _differences(one: str, ones: list[int], other: str, others: list[int]) -> Iterator[str]:
    """What either has and the other has not, or more often."""
    in_one, in_other = Counter(ones), Counter(others)
    if more := sorted((in_one - in_other).elements()):
        yield f"{one} without {other}: {_some(more)}"
    if more := sorted((in_other - in_one).elements()):
        yield f"{other} without {one}: {_some(more)}"


def _missing(numbers: list[int]) -> str:
    wanted = set(range(1, max(numbers, default=0) + 1))
    return _some(sorted(wanted - set(numbers))) or "numbers stand there twice"


def _some(values: list) -> str:
    shown = ", ".join(map(str, values[:MAX_SHOWN]))
    return f"{shown} and {len(values) - MAX_SHOWN} more" if len(values) > MAX_SHOWN else shown
