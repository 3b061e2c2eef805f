"""Which rows of logs.db are due for the archive.

Any process reads; changes nothing. A row is due by its own time, `at_us`, never by its id: a
clock that stepped may have dated a new row in the past, or an old one in the future, and neither
may stand in the way of the others. So all ids are looked through, SCAN_IDS at a time (no index on
`at_us` makes every signal dearer for what is asked once a day), and no reading transaction
stays open for long, because that would stop the WAL from starting over.

Only whole UTC days go, so that a day's file is written once. A signal that a reflex has not
answered yet is held back, for UNANSWERED_KEPT times as long as others, and told of when it goes.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from nerve.clock import US_PER_MS, US_PER_S
from nerve.config.models import RetentionConfig
from nerve.store.batch import Pair
from nerve.store.dayfile import LOGS, SIGNALS, utc_day
from nerve.store.journal_reading import cursors_in

DAY_US = 86_400 * US_PER_S
UNANSWERED_KEPT = 2
"""Times the retention of signals, for those that a reflex has still to answer."""
SCAN_IDS = 50_000
"""Ids looked through by one statement; some 30 ms."""
EARLIEST_US = 0
"""1970: the clocks of this world show nothing earlier, and a row that does stays in logs.db."""
MAX_HELD = 100
"""Sources whose signals are held back one by one; each is looked for with every signal."""
ANY = "*"
"""Stands for all sources where there are more of them."""
_EPOCH = date(1970, 1, 1)
_SENSE = "CAST(sense AS BLOB)"
"""As bytes, because a damaged one is no reason to stop."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is due at one moment; all times are starts of UTC days, in microseconds.

    Attributes:
        before_us: for LOGS and SIGNALS, before which time a row is.
        unanswered_before_us: the same for signals that are held back.
        cursors: (target, source) to the last signal that the target has answered.
    """

    before_us: Mapping[str, int]
    unanswered_before_us: int
    cursors: Mapping[Pair, int]

    @property
    def watermark_us(self) -> int:
        """Before which time both logs and signals are due."""
        return min(self.before_us.values())


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of one table and one UTC day that are due.

    Rows are never changed, and later ones have higher ids. So a selection is the same rows
    whenever it is looked at, less those that were deleted since.

    Attributes:
        first_id, last_id: the range in which they lie, among rows of other days perhaps.
        rows: how many.
        held: by sense, or for ANY, after which id its signals are left out.
    """

    kind: str
    day: str
    first_id: int
    last_id: int
    rows: int
    held: Mapping[str, int] = field(default_factory=dict)

    def parts(self) -> Iterator["Selection"]:
        """Yield what can be looked through by one statement each, by id.

        They are SCAN_IDS long, however many rows are in them: one row at either end of the table
        would else have one statement read all of it.
        """
        for first in range(self.first_id, self.last_id + 1, SCAN_IDS):
            yield replace(self, first_id=first, last_id=min(first + SCAN_IDS - 1, self.last_id))

    def where(self, after_id: int = 0) -> tuple[str, list[int | str]]:
        """Return the condition in SQL, for ids after this one, and what it is to be bound with."""
        begin_us = day_start_us(self.day)
        first, bounds = max(self.first_id, after_id + 1), (begin_us, begin_us + DAY_US)
        is_held, held = _is_held(self.held)
        condition = f"id BETWEEN ? AND ? AND at_us >= ? AND at_us < ? AND NOT ({is_held})"
        return condition, [first, self.last_id, *bounds, *held]


def due_at(
    reader: sqlite3.Connection, retention: RetentionConfig, pairs: Iterable[Pair], now_us: int
) -> Due:
    """Return what is due now; `pairs` are (target, source) of all reflexes that there are."""
    stored = cursors_in(reader)
    return Due(
        {
            LOGS: older_than_us(retention.logs_ms, now_us),
            SIGNALS: older_than_us(retention.signals_ms, now_us),
        },
        older_than_us(UNANSWERED_KEPT * retention.signals_ms, now_us),
        {pair: stored[pair] for pair in pairs if pair in stored},
    )


def selections(reader: sqlite3.Connection, due: Due) -> list[Selection]:
    """Find all that is due, by day, the oldest first, and table."""
    found = [*_selected(reader, LOGS, due), *_selected(reader, SIGNALS, due)]
    return sorted(found, key=lambda selection: (selection.day, selection.kind))


def unanswered(reader: sqlite3.Connection, selection: Selection, due: Due) -> dict[Pair, int]:
    """Count the signals of a selection that a target has not answered."""
    if selection.kind != SIGNALS or selection.held or not due.cursors:
        return {}
    answered: dict[str, list[tuple[Pair, int]]] = {}
    for pair, signal_id in due.cursors.items():
        answered.setdefault(pair[1], []).append((pair, signal_id))
    sources, after = json.dumps(list(answered)), min(due.cursors.values())
    counts: Counter[Pair] = Counter()
    for part in selection.parts():
        where, bounds = part.where(after)
        query = (
            f"SELECT {_SENSE}, id FROM signals WHERE {where}"  # noqa: S608  our own text
            " AND sense IN (SELECT value FROM json_each(?))"
        )
        for sense, signal_id in reader.execute(query, (*bounds, sources)).fetchall():
            counts.update(p for p, last in answered[_text(sense)] if signal_id > last)
    return dict(counts)


def day_start_us(day: str) -> int:
    """Return when a UTC day begins."""
    return (date.fromisoformat(day) - _EPOCH) // timedelta(days=1) * DAY_US


def older_than_us(age_ms: int, now_us: int) -> int:
    """Return the start of the UTC day in which rows of this age were written."""
    return (now_us - age_ms * US_PER_MS) // DAY_US * DAY_US


def _selected(reader: sqlite3.Connection, kind: str, due: Due) -> Iterator[Selection]:
    held = _held(reader, due) if kind == SIGNALS else {}
    is_held, bounds = _is_held(held)
    query = (
        f"SELECT at_us / {DAY_US}, count(*), min(id), max(id) FROM {kind}"  # noqa: S608  our own names
        f" WHERE id BETWEEN ? AND ? AND at_us >= ? AND at_us < ?"
        f" AND (at_us < ? OR NOT ({is_held})) GROUP BY 1"
    )
    times = (EARLIEST_US, due.before_us[kind], due.unanswered_before_us)
    days: dict[int, tuple[int, int, int]] = {}
    for number, rows, first, last in _piecewise(reader, kind, query, (*times, *bounds)):
        before, lowest, highest = days.get(number, (0, first, last))
        days[number] = (before + rows, min(lowest, first), max(highest, last))
    for number, (rows, first, last) in days.items():
        is_late = (number + 1) * DAY_US <= due.unanswered_before_us
        day = utc_day(number * DAY_US)
        yield Selection(kind, day, first, last, rows, {} if is_late else held)


def _held(reader: sqlite3.Connection, due: Due) -> dict[str, int]:
    """For each source that has some to be held back, the last signal that all have answered."""
    answered: dict[str, int] = {}
    for (_, source), signal_id in due.cursors.items():
        answered[source] = min(signal_id, answered.get(source, signal_id))
    query = (
        f"SELECT {_SENSE}, max(id) FROM signals"  # noqa: S608  our own text
        " WHERE id BETWEEN ? AND ? AND at_us >= ? AND at_us < ? GROUP BY sense"
    )
    times = (due.unanswered_before_us, due.before_us[SIGNALS])
    newest = {_text(sense): last for sense, last in _piecewise(reader, SIGNALS, query, times)}
    held = {s: answered[s] for s, last in newest.items() if last > answered.get(s, last)}
    return held if len(held) <= MAX_HELD else {ANY: min(held.values())}


def _piecewise(
    reader: sqlite3.Connection, kind: str, query: str, bounds: tuple[int | str, ...]
) -> Iterator[Any]:
    """Yield what a query finds, whose first two parameters are a range of ids, for all of them."""
    lowest, highest = reader.execute(f"SELECT min(id), max(id) FROM {kind}").fetchone()  # noqa: S608  our own name
    for first in range(lowest, highest + 1, SCAN_IDS) if lowest is not None else ():
        yield from reader.execute(query, (first, first + SCAN_IDS - 1, *bounds)).fetchall()


def _is_held(held: Mapping[str, int]) -> tuple[str, list[int | str]]:
    if not held:
        return "0", []
    if ANY in held:
        return "id > ?", [held[ANY]]
    # Not a chain of ORs: SQLite takes only so many, one inside the other.
    cases = " WHEN ? THEN id > ?" * len(held)
    return f"CASE sense{cases} ELSE 0 END", [value for pair in held.items() for value in pair]


def _text(sense: bytes) -> str:
    return sense.decode(errors="replace")
