"""What makes a sense run, and how several causes become one trigger.

Parent; pure. A trigger that waits collects the causes that arrive meanwhile; what
it keeps of them is bounded: the newest MAX_CAUSES signals, MAX_CAUSES_BYTES of
payload, and counts of the rest.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nerve.sense import TriggerKind
from nerve.wire.messages import MAX_CAUSES, MAX_CAUSES_BYTES

MAX_ATTEMPTS = 3
"""Times that signals are handed to a sense whose worker dies over them."""
MAX_DEPTH = 16
"""Length of a chain of signals causing signals; beyond it a reflex is taken for a loop."""


@dataclass(frozen=True, slots=True)
class CausingSignal:
    """A durable signal that a reflex listens to.

    Attributes:
        depth: signals that led to it, one behind the other; 0 when time did.
        size: of its payload as JSON, in bytes.
    """

    id: int
    sense: str
    at_us: int
    payload: Any
    depth: int
    size: int


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason to run a sense now.

    Attributes:
        signals: oldest first; empty for time and by hand.
        left_out: signals known to have come before these and not held.
        positions: for each source, the last signal this cause covers.
    """

    kind: TriggerKind
    signals: tuple[CausingSignal, ...] = ()
    left_out: int = 0
    positions: dict[str, int] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Depth of what this cause leads to."""
        return max((signal.depth + 1 for signal in self.signals), default=0)


class PendingTrigger:
    """One trigger to be, with all the causes it has collected."""

    def __init__(self, cause: Cause) -> None:
        self.kind = cause.kind
        self.attempts = 0
        self.merged = 0
        self.left_out = 0
        self.depth = 0
        self.positions: dict[str, int] = {}
        self.signals: deque[CausingSignal] = deque()
        self._bytes = 0
        self._collect(cause)

    def merge(self, cause: Cause) -> None:
        """Let a later cause join."""
        self.merged += 1
        self._collect(cause)

    def join(self, later: "PendingTrigger") -> None:
        """Take over all that a later trigger has collected."""
        self.merged += later.merged + 1
        self._add(later.depth, later.left_out, later.positions, later.signals)

    def answered(self, source: str, signal_id: int) -> bool:
        """Leave out what was answered up to a signal of a source; True when nothing is left."""
        self.signals = deque(s for s in self.signals if s.sense != source or s.id > signal_id)
        self._bytes = sum(signal.size for signal in self.signals)
        if self.positions.get(source, signal_id + 1) <= signal_id:
            del self.positions[source]
        return self.kind is TriggerKind.SIGNAL and not self.positions

    def _collect(self, cause: Cause) -> None:
        self._add(cause.depth, cause.left_out, cause.positions, cause.signals)

    def _add(
        self,
        depth: int,
        left_out: int,
        positions: Mapping[str, int],
        signals: Iterable[CausingSignal],
    ) -> None:
        self.depth = max(self.depth, depth)
        self.left_out += left_out
        for source, signal_id in positions.items():
            self.positions[source] = max(signal_id, self.positions.get(source, 0))
        for signal in signals:
            self.signals.append(signal)
            self._bytes += signal.size
        self._trim()

    def _trim(self) -> None:
        while len(self.signals) > MAX_CAUSES or self._bytes > MAX_CAUSES_BYTES:
            self._bytes -= self.signals.popleft().size
            self.left_out += 1
