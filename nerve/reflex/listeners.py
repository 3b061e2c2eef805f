"""Which senses a signal concerns, and how far each of them has got.

Parent; pure. A cursor belongs to a pair of target and source, not to a line of
nerve.yaml, so that moving or splitting reflexes there repeats and skips nothing.
It is the last signal of the source whose consequence for the target is
*recorded*; it moves in the transaction that records the outcome. `offered` runs
ahead of it, in memory: what was handed to the flow and has no outcome yet. After
a crash `offered` is gone, the cursor is not, and the difference is offered again.
"""

from collections.abc import Iterator, Mapping

from nerve.config.models import Config, SenseReflex
from nerve.reflex.causes import MAX_DEPTH, Cause, CausingSignal
from nerve.sense import TriggerKind

Pair = tuple[str, str]
"""(target, source), both names of senses."""


def pairs_of(config: Config) -> list[Pair]:
    """All pairs of target and source that the reflexes declare, each once, in their order."""
    found: dict[Pair, None] = {}
    for reflex in config.reflexes:
        if isinstance(reflex, SenseReflex):
            for target in reflex.sense:
                found.update({(target, source): None for source in reflex.on or ()})
    return list(found)


class Listeners:
    """Who listens to whom."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._targets: dict[str, list[str]] = {}
        for target, source in pairs:
            self._targets.setdefault(source, []).append(target)
        self._offered: dict[Pair, int] = {}

    def start_at(self, cursors: Mapping[Pair, int]) -> None:
        """Continue after these signals."""
        self._offered.update(cursors)

    def backlog(self, pair: Pair, signals: tuple[CausingSignal, ...], left_out: int) -> Cause:
        """Make one cause of the signals that came while nobody listened."""
        self._offered[pair] = signals[-1].id
        return Cause(TriggerKind.SIGNAL, signals, left_out, {pair[1]: signals[-1].id})

    def concerns(self, source: str) -> bool:
        """Whether anybody listens to this sense."""
        return source in self._targets

    def hear(self, signal: CausingSignal) -> Iterator[tuple[str, Cause]]:
        """Yield each target that the signal concerns, with the cause to offer it.

        A signal that was offered before, from the backlog, concerns nobody again.
        """
        for target in self._targets.get(signal.sense, ()):
            pair = (target, signal.sense)
            if signal.id > self._offered.get(pair, 0):
                self._offered[pair] = signal.id
                yield target, Cause(TriggerKind.SIGNAL, (signal,), 0, {signal.sense: signal.id})


def is_loop(cause: Cause) -> bool:
    """Whether a cause continues a chain that has become too long to be meant."""
    return cause.depth > MAX_DEPTH
