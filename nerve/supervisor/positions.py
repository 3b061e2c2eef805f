"""Where each reflex goes on after a start.

Parent. Two places know how far a target has got with the signals of a source: the
journal's cursor, moved with the outcome, and the position in the target's own
database, committed with its rows. A crash may fall between the two; the larger one
is true. What came after it and was not answered is sorted out as the reflex says
(`nerve.reflex.backlog`). Timers whose ticks are made up for have positions of the same
kind, under names that begin with `@` (`nerve.reflex.timers`).
"""

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from nerve.reflex.backlog import Backlog, sort_out
from nerve.reflex.causes import CausingSignal
from nerve.reflex.listeners import Listeners, Pair, Route
from nerve.reflex.timers import SOURCE_MARK
from nerve.store.journal_reading import (
    cursors_in,
    last_signals_in,
    newest_id,
    signal_ids_after,
    signals_of,
)
from nerve.wire.messages import MAX_CAUSES, MAX_CHAIN, SenseReport

MAX_BACKLOG_SIGNALS = 5_000
"""Signals that a `where`, or `missed: all`, looks through; what came before them is counted."""
MAX_BACKLOG_BYTES = 16 * 1024 * 1024
"""Payloads read for that, so that a start does not take all memory, nor all day."""


class Positions:
    """What is known before the first signal of this run is heard."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._told: dict[Pair, int] = {}
        self._stale: dict[Pair, int] = {}

    def adopt(self, routes: Sequence[Route], new: Iterable[Pair], newest: int) -> None:
        """Have these routes from now on; the pairs among them that are new begin at `newest`.

        What a database says of a pair that there was once before does not count any more.
        """
        self._routes = routes
        self._told.update(dict.fromkeys(new, newest))

    def take_report(self, report: SenseReport, newest: int, now_us: int) -> dict[str, int]:
        """Note what a sense's own database says; return what of it can be believed.

        A journal that was deleted begins its ids anew; a position beyond `newest`, its newest
        entry, says nothing then, and says nothing more when the ids have come that far. Nor does
        the tick of a timer that is yet to come: the clock was wrong when it was written.
        """
        credible = {}
        for source, position in report.positions.items():
            pair = (report.name, source)
            if position > (now_us if source.startswith(SOURCE_MARK) else newest):
                self._stale[pair] = position
            elif self._stale.get(pair) != position:
                credible[source] = self._told[pair] = max(position, self._told.get(pair, 0))
        return credible

    def of_timers(self, stored: Mapping[Pair, int]) -> dict[Pair, int]:
        """The last tick of each timer whose outcome is recorded or committed, in microseconds.

        Where the journal knows of none, the timer did not keep its position lately, and what the
        sense's database says is of a time before that.
        """
        return {
            pair: max(at_us, self._told.get(pair, 0))
            for pair, at_us in stored.items()
            if pair[1].startswith(SOURCE_MARK)
        }

    def has(self, pair: Pair) -> bool:
        """Whether there is a reflex with this target and source."""
        return any(route.pair == pair for route in self._routes)

    def forget(self, pair: Pair) -> None:
        """What the database of a target has said of a source is no longer so."""
        self._told.pop(pair, None)
        self._stale.pop(pair, None)

    def take_up(  # noqa: PLR0913  each is said by its name
        self,
        reader: sqlite3.Connection,
        listeners: Listeners,
        targets: AbstractSet[str],
        *,
        now_us: int,
        unwritten: Mapping[Pair, int],
        in_hand: Callable[[str, str], int],
        moved: Callable[[str, str, int], None],
        damaged: Callable[[str, int], None],
        source: str = "",
    ) -> Iterator[Backlog]:
        """Let listeners among `targets` go on where they were; yield what each has missed.

        Where a `source` is named, with the signals of that one alone.
        `unwritten` has cursors that have moved and may not be in the journal yet.
        `in_hand(target, source)` is the last signal that a compute which still runs answers, or 0:
        a sense may come back meanwhile, and its cursor moves only when that has its outcome.
        `moved(target, source, signal_id)` is called for each cursor that the journal does
        not have yet, `damaged(source, signal_id)` for each signal that cannot be read.
        """
        stored, last = cursors_in(reader), last_signals_in(reader)
        for pair, position in unwritten.items():
            stored[pair] = max(position, stored.get(pair, 0))
        routes = [
            route
            for route in self._routes
            if route.target in targets and source in {"", route.source}
        ]
        cursors = self._cursors(stored, newest_id(reader), routes)
        listeners.start_at(cursors)
        behind: list[tuple[Route, int]] = []
        for route in routes:
            cursor = cursors[route.pair]
            if cursor != stored.get(route.pair):
                moved(*route.pair, cursor)
            cursor = max(cursor, in_hand(*route.pair))
            # Else a sense that tells rarely would have all signals looked through for it.
            if last.get(route.source, 0) > cursor:
                behind.append((route, cursor))
        found = signal_ids_after(reader, [(route.source, cursor) for route, cursor in behind])
        for route, cursor in behind:
            ids = found[route.source]
            ids = ids[bisect_right(ids, cursor) :]
            looks = route.where is not None or route.missed == "all"
            limit = MAX_BACKLOG_SIGNALS if looks else MAX_CAUSES
            rows = signals_of(reader, ids[-limit:], MAX_BACKLOG_BYTES)
            if rows:
                newest = rows[-1][0]
                listeners.start_at({route.pair: newest})
                signals = list(_readable(route.source, rows, damaged))
                yield sort_out(route, signals, len(ids) - len(rows), newest, now_us)

    def _cursors(
        self, stored: Mapping[Pair, int], newest: int, routes: Sequence[Route]
    ) -> dict[Pair, int]:
        cursors: dict[Pair, int] = {}
        for pair in (route.pair for route in routes):
            known = max(stored.get(pair, 0), self._told.get(pair, 0))
            is_new = pair not in stored and not known
            cursors[pair] = newest if is_new else known
        return cursors


def causing_signal(
    signal_id: int, sense: str, at_us: int, payload: str, cause: str
) -> CausingSignal:
    """Read a stored signal.

    Raises ValueError, TypeError, AttributeError or RecursionError for a damaged one.
    """
    chain, value = tuple(map(str, json.loads(cause).get("chain", ()))), json.loads(payload)
    if value is None or len(chain) > MAX_CHAIN:
        raise ValueError("no signal that nerve has written")
    return CausingSignal(signal_id, sense, at_us, value, chain, len(payload))


def _readable(
    sense: str, rows: list[tuple[int, int, str, str]], damaged: Callable[[str, int], None]
) -> Iterator[CausingSignal]:
    for signal_id, at_us, payload, cause in rows:
        try:
            yield causing_signal(signal_id, sense, at_us, payload, cause)
        except (ValueError, TypeError, AttributeError, RecursionError):
            damaged(sense, signal_id)
