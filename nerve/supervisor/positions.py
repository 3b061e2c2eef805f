"""Where each reflex goes on after a start.

Parent. Two places know how far a target has got with the signals of a source: the
journal's cursor, moved with the outcome, and the position in the target's own
database, committed with its rows. A crash may fall between the two; the larger one
is true. What came after it and was not answered is offered again, as one cause.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from nerve.reflex.causes import Cause, CausingSignal
from nerve.reflex.listeners import Listeners, Pair
from nerve.store.journal import cursors_in, newest_id, signals_after
from nerve.wire.messages import MAX_CAUSES, SenseReport


@dataclass(frozen=True, slots=True)
class Backlog:
    """Signals that a target has not answered yet.

    Attributes:
        total: how many there are; `cause` holds the newest of them.
        after: the last one that was answered.
    """

    pair: Pair
    cause: Cause
    total: int
    after: int


class Positions:
    """What is known before the first signal of this run is heard."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._pairs = pairs
        self._told: dict[Pair, int] = {}
        self._stale: dict[Pair, int] = {}

    def take_report(self, report: SenseReport, newest: int) -> dict[str, int]:
        """Note what a sense's own database says; return what of it can be believed.

        A journal that was deleted begins its ids anew; a position beyond `newest`, its newest
        entry, says nothing then, and says nothing more when the ids have come that far.
        """
        credible = {}
        for source, signal_id in report.positions.items():
            pair = (report.name, source)
            if signal_id > newest:
                self._stale[pair] = signal_id
            elif self._stale.get(pair) != signal_id:
                credible[source] = self._told[pair] = signal_id
        return credible

    def take_up(
        self,
        reader: sqlite3.Connection,
        listeners: Listeners,
        targets: AbstractSet[str],
        *,
        moved: Callable[[str, str, int], None],
        damaged: Callable[[str, int], None],
    ) -> Iterator[Backlog]:
        """Let listeners among `targets` go on where they were; yield what each has missed.

        `moved(target, source, signal_id)` is called for each cursor that the journal does
        not have yet, `damaged(source, signal_id)` for each signal that cannot be read.
        """
        stored = cursors_in(reader)
        cursors = self._cursors(stored, newest_id(reader), targets)
        listeners.start_at(cursors)
        for pair, cursor in cursors.items():
            if cursor != stored.get(pair):
                moved(*pair, cursor)
        for pair, cursor in cursors.items():
            rows, more = signals_after(reader, pair[1], cursor, MAX_CAUSES)
            signals = tuple(_readable(pair[1], rows, damaged))
            if signals:
                cause = listeners.backlog(pair, signals, more)
                yield Backlog(pair, cause, len(signals) + more, cursor)

    def _cursors(
        self, stored: Mapping[Pair, int], newest: int, targets: AbstractSet[str]
    ) -> dict[Pair, int]:
        cursors: dict[Pair, int] = {}
        for pair in (pair for pair in self._pairs if pair[0] in targets):
            known = max(stored.get(pair, 0), self._told.get(pair, 0))
            is_new = pair not in stored and not known
            cursors[pair] = newest if is_new else known
        return cursors


def causing_signal(
    signal_id: int, sense: str, at_us: int, payload: str, cause: str
) -> CausingSignal:
    """Read a stored signal; raises ValueError, TypeError or AttributeError for a damaged one."""
    depth = int(json.loads(cause).get("depth", 0))
    return CausingSignal(signal_id, sense, at_us, json.loads(payload), depth, len(payload))


def _readable(
    sense: str, rows: list[tuple[int, int, str, str]], damaged: Callable[[str, int], None]
) -> Iterator[CausingSignal]:
    for signal_id, at_us, payload, cause in rows:
        try:
            yield causing_signal(signal_id, sense, at_us, payload, cause)
        except (ValueError, TypeError, AttributeError):
            damaged(sense, signal_id)
