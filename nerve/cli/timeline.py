"""Reading the journal: pages of signals and log rows, and what comes after them.

Commands; read-only, with or without a running parent. Signals and log rows share
one sequence of ids, handed out and committed in order by one writer. So a page is
continued by the last id it showed, and whoever asks again and again for what comes
after an id misses nothing and sees nothing twice. A row that holds no valid JSON is
handed out as `Damaged`, in its place; the rows around it are as good as ever.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nerve.cli.journal import open_journal
from nerve.clock import rfc3339
from nerve.config import Loaded
from nerve.store.journal import newest_id

FOLLOW_PAGE_ROWS = 1_000
LEVELS = ("debug", "info", "warning", "error")
MAX_ID = 2**63 - 1

_SIGNALS = (
    "SELECT id, at_us, sense AS source, 'signal' AS type, 'info' AS level, NULL AS ref,"
    " payload, cause FROM signals"
)
_LOGS = "SELECT id, at_us, source, type, level, ref, payload, 'null' AS cause FROM logs"


@dataclass(frozen=True, slots=True)
class Entry:
    """A signal or a log row; of a signal `type` is `signal`, `level` info and `source` the sense.

    Attributes:
        payload: the JSON value.
        cause: of a signal that was read as one: what is stored beside it. Else None.
    """

    id: int
    at_us: int
    source: str
    type: str
    level: str
    ref: str | None
    payload: Any
    cause: Any

    def as_signal(self) -> dict[str, Any]:
        """Return what `nerve signals --json` prints."""
        return {
            "id": self.id,
            "sense": self.source,
            "at": rfc3339(self.at_us),
            "payload": self.payload,
            "cause": self.cause,
        }

    def as_log(self) -> dict[str, Any]:
        """Return what `nerve logs --json` prints."""
        return {
            "id": self.id,
            "at": rfc3339(self.at_us),
            "source": self.source,
            "type": self.type,
            "level": self.level,
            "ref": self.ref,
            "payload": self.payload,
        }


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row that does not hold what it should; only its id can be trusted."""

    id: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are asked for; None does not restrict.

    Attributes:
        signals_only: signals alone, with their causes.
        level: this level and those above it.
        since_us: recorded at this time or later, UTC microseconds.
    """

    signals_only: bool = False
    source: str | None = None
    type: str | None = None
    level: str | None = None
    ref: str | None = None
    since_us: int | None = None

    def query(self) -> tuple[str, dict[str, Any]]:
        """Return a SELECT without order or limit, and its parameters.

        It has two more, `:after` and `:until`. The journal's own view `timeline` would do
        as well, but SQLite would read and sort all of it; a compound is merged by id.
        """
        given = {"source": self.source, "type": self.type, "ref": self.ref}
        parameters: dict[str, Any] = {key: value for key, value in given.items() if value}
        conditions = ["id > :after", "id <= :until", *(f"{key} = :{key}" for key in parameters)]
        if self.since_us is not None:
            conditions.append("at_us >= :since_us")
            parameters["since_us"] = self.since_us
        if self.level is not None:
            # Words of our own, so they may stand in the statement.
            words = ", ".join(f"'{word}'" for word in LEVELS[LEVELS.index(self.level) :])
            conditions.append(f"level IN ({words})")
        tables = (_SIGNALS,) if self.signals_only else (_LOGS, _SIGNALS)
        where = " AND ".join(conditions)
        selects = (f"SELECT * FROM ({table}) WHERE {where}" for table in tables)  # noqa: S608  our own text
        return " UNION ALL ".join(selects), parameters


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, oldest first; `more` tells whether others match beyond the limit."""

    entries: list[Entry | Damaged]
    more: bool


class Timeline:
    """The journal of one installation, open for reading."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        # Decoded row by row: one that is no UTF-8 would otherwise end the whole query.
        reader.text_factory = bytes

    def newest_id(self) -> int:
        """Return the id of the newest entry, 0 when there is none."""
        return newest_id(self._reader)

    def oldest(
        self, selection: Selection, limit: int, *, after: int = 0, until: int = MAX_ID
    ) -> Page:
        """Return the first `limit` entries with ids over `after` and not over `until`."""
        rows = self._rows(selection, "ASC", limit, (after, until))
        return Page([_entry(row) for row in rows[:limit]], len(rows) > limit)

    def newest(self, selection: Selection, limit: int, *, until: int = MAX_ID) -> Page:
        """Return the last `limit` entries with ids not over `until`, oldest first."""
        rows = self._rows(selection, "DESC", limit, (0, until))
        return Page([_entry(row) for row in rows[:limit][::-1]], len(rows) > limit)

    def follow(
        self, selection: Selection, after: int, pause: Callable[[], object]
    ) -> Iterator[list[Entry | Damaged]]:
        """Yield what comes after an id, for ever; `pause` is called whenever there is no more."""
        while True:
            # Read first: all up to it is durable, so what does not match need not be read again.
            newest = self.newest_id()
            while after < newest:
                page = self.oldest(selection, FOLLOW_PAGE_ROWS, after=after, until=newest)
                if page.entries:
                    yield page.entries
                after = page.entries[-1].id if page.more else newest
            pause()

    def _rows(
        self, selection: Selection, order: str, limit: int, between: tuple[int, int]
    ) -> list[tuple[Any, ...]]:
        query, parameters = selection.query()
        cursor = self._reader.execute(
            f"{query} ORDER BY id {order} LIMIT :rows",
            {**parameters, "after": between[0], "until": between[1], "rows": limit + 1},
        )
        return cursor.fetchall()


@contextmanager
def open_timeline(loaded: Loaded) -> Iterator[Timeline]:
    """Open the journal of an installation for reading; raises as `open_journal` does."""
    with open_journal(loaded) as reader:
        yield Timeline(reader)


def _entry(row: tuple[Any, ...]) -> Entry | Damaged:
    entry_id, at_us, *texts = row
    try:
        rfc3339(at_us)
        source, type_, level, ref, payload, cause = (_text(text) for text in texts)
        values = (_json(payload), _json(cause))
        return Entry(entry_id, at_us, source, type_, level, ref, *values)
    except (ValueError, OverflowError, OSError, RecursionError):
        return Damaged(entry_id)


def _text(stored: bytes | str | None) -> Any:
    return stored.decode() if isinstance(stored, bytes) else stored


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
