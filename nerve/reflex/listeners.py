"""Which senses a signal concerns, and how far each of them has got.

Parent; pure. A cursor belongs to a pair of target and source, not to a line of
nerve.yaml, so that moving or splitting reflexes there repeats and skips nothing;
and so that there is no doubt what a cursor stands for, only one reflex may name a
pair (`nerve.config.references`). It is the last signal of the source whose
consequence for the target is *recorded*; it moves in the transaction that records
the outcome. `offered` runs ahead of it, in memory: what was handed to the flow and
has no outcome yet. After a crash `offered` is gone, the cursor is not, and the
difference is offered again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nerve.clock import MS_PER_S, US_PER_MS
from nerve.config.models import Config, Missed, SenseReflex
from nerve.config.where import Where, WhereFailed
from nerve.reflex.causes import Cause, CausingSignal
from nerve.sense import TriggerKind

Pair = tuple[str, str]
"""(target, source), both names of senses."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a signal does not pass the `where` of a reflex.

    Attributes:
        reason: `filtered`, or `where_failed` where the expression has no answer.
        detail: what it failed of, or empty.
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """The way from the signals of one sense to another sense.

    Attributes:
        reflex: its index in nerve.yaml.
        where: what the payload has to satisfy; None for nothing.
        debounce_s: how long it has to be quiet first, in seconds; 0 for no time.
        missed: what becomes of signals that came while nobody listened.
        catchup_us: how old such a signal may be; None for any age.
    """

    target: str
    source: str
    reflex: int = 0
    where: Where | None = None
    debounce_s: float = 0.0
    missed: Missed = "once"
    catchup_us: int | None = None

    @property
    def pair(self) -> Pair:
        """Whose cursor it is that moves along it."""
        return (self.target, self.source)

    def refusal(self, signal: CausingSignal) -> Refusal | None:
        """Ask `where` about a signal; None where it passes."""
        if self.where is None:
            return None
        try:
            return None if self.where.matches(signal.payload, signal.sense) else FILTERED
        except WhereFailed as error:
            return Refusal("where_failed", str(error))


FILTERED = Refusal("filtered")


def routes_of(config: Config) -> list[Route]:
    """All ways that the reflexes declare, in their order."""
    return [
        route
        for index, reflex in enumerate(config.reflexes)
        if isinstance(reflex, SenseReflex)
        for route in _routes(index, reflex)
    ]


def _routes(index: int, reflex: SenseReflex) -> Iterator[Route]:
    catchup_us = None if reflex.catchup_ms is None else reflex.catchup_ms * US_PER_MS
    for target in reflex.sense:
        for source in reflex.on or ():
            debounce_s = (reflex.debounce_ms or 0) / MS_PER_S
            missed = reflex.missed or "once"
            yield Route(target, source, index, reflex.where, debounce_s, missed, catchup_us)


class Listeners:
    """Who listens to whom."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = _by_source(routes)
        self._offered: dict[Pair, int] = {}

    def adopt(self, routes: list[Route], newest: int) -> list[Pair]:
        """Have these routes from now on; return the pairs that are new.

        They begin behind the signal `newest`; who listens on goes on where it was.
        """
        known = {route.pair for of_source in self._routes.values() for route in of_source}
        pairs = dict.fromkeys(route.pair for route in routes)
        new = [pair for pair in pairs if pair not in known]
        self._offered = {pair: self._offered[pair] for pair in pairs if pair in self._offered}
        self._offered.update(dict.fromkeys(new, newest))
        self._routes = _by_source(routes)
        return new

    def start_at(self, cursors: Mapping[Pair, int]) -> None:
        """Continue after these signals."""
        self._offered.update(cursors)

    def concerns(self, source: str) -> bool:
        """Whether anybody listens to this sense."""
        return source in self._routes

    def hear(self, signal: CausingSignal) -> Iterator[Route]:
        """Yield each way that the signal goes.

        A signal that was offered before, from the backlog, concerns nobody again.
        """
        for route in self._routes.get(signal.sense, ()):
            if signal.id > self._offered.get(route.pair, 0):
                self._offered[route.pair] = signal.id
                yield route


def _by_source(routes: list[Route]) -> dict[str, list[Route]]:
    found: dict[str, list[Route]] = {}
    for route in routes:
        found.setdefault(route.source, []).append(route)
    return found


def caused_by(signal: CausingSignal) -> Cause:
    """Make the cause that one signal is."""
    return Cause(TriggerKind.SIGNAL, (signal,), 0, {signal.sense: signal.id})
