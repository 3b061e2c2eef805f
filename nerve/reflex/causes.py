"""What makes a sense run, and how several causes become one trigger.

Parent; pure. A trigger that waits collects the causes that arrive meanwhile; what
it keeps of them is bounded: the newest MAX_CAUSES signals and payloads given by hand,
MAX_CAUSES_BYTES of payload, and counts of the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from nerve.sense import TriggerKind
from nerve.wire.messages import MAX_CAUSES, MAX_CAUSES_BYTES, MAX_CHAIN

MAX_ATTEMPTS = 3
"""Deaths of a worker while a sense computes one trigger, after which its signals are given up."""
NO_POSITIONS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CausingSignal:
    """A durable signal that a reflex listens to.

    Attributes:
        chain: the senses whose signals led to it, one behind the other, the first one first;
            empty when time did.
        size: of its payload as JSON, in bytes.
    """

    id: int
    sense: str
    at_us: int
    payload: Any
    chain: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class GivenPayload:
    """What a person has given with a trigger; `size` as JSON, in bytes."""

    value: Any
    size: int


class Cause(NamedTuple):
    """One reason to run a sense now.

    Attributes:
        signals: oldest first; empty for time and by hand.
        left_out: signals known to have come before these and not held.
        positions: for each source, the last signal this cause covers; for a timer whose
            missed ticks are made up for, the time of the tick (`Timer.source`).
        due_us: the time of the tick, UTC microseconds; None where time is not the cause.
        merged: causes that have joined it already.
        led_by: the longest chain of those of them whose signals are not held.
        payload: what was given with it by hand.
        ticket: by which somebody waits for the outcome; 0 for nobody.
    """

    kind: TriggerKind
    signals: tuple[CausingSignal, ...] = ()
    left_out: int = 0
    positions: Mapping[str, int] = NO_POSITIONS
    due_us: int | None = None
    merged: int = 0
    led_by: tuple[str, ...] = ()
    payload: GivenPayload | None = None
    ticket: int = 0

    @property
    def chain(self) -> tuple[str, ...]:
        """The senses whose signals lead to what this cause leads to, the longest such chain."""
        if not self.signals:
            return self.led_by
        chains = ((*signal.chain, signal.sense) for signal in self.signals)
        return max((self.led_by, *chains), key=len)


class PendingTrigger:
    """One trigger to be, with all the causes it has collected.

    Attributes:
        attempts: times that a worker began it and died over it.
        has_unplaced: whether a cause without a position is among them; see `answered`.
        payloads: given by hand, oldest first; `payloads_left_out` more were.
        tickets: by which somebody waits for its outcome.
    """

    def __init__(self, cause: Cause) -> None:
        self.kind = cause.kind
        self.due_us = cause.due_us
        self.attempts = 0
        self.merged = cause.merged
        self.left_out = 0
        self.chain: tuple[str, ...] = ()
        self.positions: dict[str, int] = {}
        self.signals: list[CausingSignal] = []
        self.payloads: list[GivenPayload] = []
        self.payloads_left_out = 0
        self.tickets: frozenset[int] = frozenset()
        self._bytes = 0
        self.has_unplaced = False
        self._collect(cause)

    def merge(self, cause: Cause) -> None:
        """Let a later cause join."""
        self.merged += cause.merged + 1
        self._collect(cause)

    def join(self, later: "PendingTrigger") -> None:
        """Take over all that a later trigger has collected."""
        self.merged += later.merged + 1
        self.has_unplaced = self.has_unplaced or later.has_unplaced
        self.payloads += later.payloads
        self.payloads_left_out += later.payloads_left_out
        self.tickets |= later.tickets
        self._bytes += sum(payload.size for payload in later.payloads)
        self._add(later.chain, later.left_out, later.positions, later.signals)

    def as_cause(self) -> Cause:
        """Return all that it has collected of signals as one cause."""
        return Cause(
            self.kind,
            tuple(self.signals),
            self.left_out,
            dict(self.positions),
            self.due_us,
            self.merged,
            self.chain,
        )

    def answered(self, source: str, signal_id: int) -> bool:
        """Leave out what was answered up to a signal of a source; True when nothing is left."""
        self.signals = [s for s in self.signals if s.sense != source or s.id > signal_id]
        self._bytes = sum(signal.size for signal in self.signals)
        self._bytes += sum(payload.size for payload in self.payloads)
        if self.positions.get(source, signal_id + 1) <= signal_id:
            del self.positions[source]
        return not (self.positions or self.has_unplaced)

    def _collect(self, cause: Cause) -> None:
        # What has no position is run for its own sake: no answer to others can stand for it.
        self.has_unplaced = self.has_unplaced or not cause.positions
        if cause.payload is not None:
            self.payloads.append(cause.payload)
            self._bytes += cause.payload.size
        if cause.ticket:
            self.tickets |= {cause.ticket}
        self._add(cause.chain, cause.left_out, cause.positions, cause.signals)

    def _add(
        self,
        chain: tuple[str, ...],
        left_out: int,
        positions: Mapping[str, int],
        signals: Iterable[CausingSignal],
    ) -> None:
        self.chain = max(self.chain, chain, key=len)
        self.left_out += left_out
        for source, signal_id in positions.items():
            self.positions[source] = max(signal_id, self.positions.get(source, 0))
        for signal in signals:
            self.signals.append(signal)
            self._bytes += signal.size
        self._trim()

    def _trim(self) -> None:
        while self._is_over():
            if self.signals:  # these first: they are stored, and what was given by hand is not
                self._bytes -= self.signals.pop(0).size
                self.left_out += 1
            else:
                self._bytes -= self.payloads.pop(0).size
                self.payloads_left_out += 1

    def _is_over(self) -> bool:
        number = len(self.signals) + len(self.payloads)
        return number > MAX_CAUSES or self._bytes > MAX_CAUSES_BYTES


def is_loop(cause: Cause) -> bool:
    """Whether a cause continues a chain that has become too long to be meant."""
    return len(cause.chain) > MAX_CHAIN


def loop_in_words(cause: Cause, target: str) -> str:
    """Name the way by which a chain comes back to `target`, or all of a chain that does not."""
    chain = cause.chain
    if target in chain:
        last = len(chain) - 1 - chain[::-1].index(target)
        chain = chain[last:]
    return " -> ".join((*chain, target))
