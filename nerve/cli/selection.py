"""Which entries are asked for: as a statement over the tables, and over archived days.

Pure. An archived line is first looked through for the texts it must hold and only then
decoded, because that is ten times as fast and almost all lines fall away by it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nerve.cli.entries import SIGNAL
from nerve.store.dayfile import LOGS, SIGNALS, ArchivedDay, row_of, utc_day

LEVELS = ("debug", "info", "warning", "error")
TROUBLE = ("warning", "error")
"""Levels that are rare enough for an index of their own."""

_SIGNALS = (
    "SELECT id, at_us, sense AS source, 'signal' AS type, 'info' AS level, NULL AS ref,"
    " payload, cause FROM signals"
)
_LOGS = "SELECT id, at_us, source, type, level, ref, payload, 'null' AS cause FROM logs"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are asked for; None does not restrict.

    Attributes:
        signals_only: signals alone.
        level: this level and those above it.
        since_us: recorded at this time or later, UTC microseconds.
        until_us: recorded before this time.
    """

    signals_only: bool = False
    source: str | None = None
    type: str | None = None
    level: str | None = None
    ref: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The tables, LOGS and SIGNALS, that can hold such entries."""
        if self.signals_only:
            return (SIGNALS,)
        signals = self.type in (None, SIGNAL) and self.ref is None and "info" in self._levels
        return (LOGS, SIGNALS) if signals else (LOGS,)

    def query(self) -> tuple[str, dict[str, Any]]:
        """Return a SELECT without order or limit, and its parameters.

        It has two more, `:after` and `:until`. The journal's own view `timeline` would do
        as well, but SQLite would read and sort all of it; a compound is merged by id.
        """
        given = {"source": self.source, "type": self.type, "ref": self.ref}
        times = {"since_us": self.since_us, "until_us": self.until_us}
        conditions = ["id > :after", "id <= :until"]
        conditions += [f"{key} = :{key}" for key, value in given.items() if value is not None]
        if self.since_us is not None:
            conditions.append("at_us >= :since_us")
        if self.until_us is not None:
            conditions.append("at_us < :until_us")
        where = " AND ".join(conditions)
        # All our own words, so they may stand in the statement.
        selects = [f"SELECT * FROM ({_LOGS}) WHERE {where}{level}" for level in self._by_level()]  # noqa: S608
        tables = {LOGS: selects, SIGNALS: [f"SELECT * FROM ({_SIGNALS}) WHERE {where}"]}  # noqa: S608
        chosen = [select for kind in self.kinds for select in tables[kind]]
        parameters = {key: value for key, value in {**given, **times}.items() if value is not None}
        return " UNION ALL ".join(chosen), parameters

    def covers(self, day: ArchivedDay) -> bool:
        """Whether a day's file can hold such entries."""
        return (
            day.kind in self.kinds
            and (self.since_us is None or _day(self.since_us) <= day.day)
            and (self.until_us is None or day.day <= _day(self.until_us))
        )

    def needles(self, kind: str) -> list[tuple[bytes, ...]]:
        """Return texts that a line must hold: of each tuple one."""
        logs = kind == LOGS
        given = (self.source, self.type if logs else None, self.ref if logs else None)
        needles = [_spellings(text) for text in given if text is not None]
        if logs and self._levels != LEVELS:
            needles.append(tuple(f'"{level}"'.encode() for level in self._levels))
        return needles

    def matcher(self, day: ArchivedDay) -> Callable[[bytes], bool]:
        """Return what tells whether a line of a day's file is such an entry.

        It raises ValueError or RecursionError for a line that is none.
        """
        needles = self.needles(day.kind)
        times = [self.since_us, self.until_us]
        if not needles and day.day not in {_day(time) for time in times if time is not None}:
            return lambda _: True

        def matches(line: bytes) -> bool:
            if not all(any(needle in line for needle in some) for some in needles):
                return False
            return self._takes(day.kind, row_of(line))

        return matches

    @property
    def _levels(self) -> tuple[str, ...]:
        return LEVELS[LEVELS.index(self.level or LEVELS[0]) :]

    def _by_level(self) -> list[str]:
        """A condition for each SELECT from the log rows; equalities, where an index has them."""
        if self._levels == LEVELS:
            return [""]
        if set(self._levels) <= set(TROUBLE):
            index = f" AND level IN {TROUBLE}"
            return [f"{index} AND level = '{level}'" for level in self._levels]
        return [f" AND level IN {self._levels}"]

    def _takes(self, kind: str, row: dict[str, Any]) -> bool:
        at_us = row.get("at_us")
        if (self.since_us, self.until_us) != (None, None) and not isinstance(at_us, int):
            return False
        if kind == SIGNALS:
            wanted = [(row.get("sense"), self.source)]
        else:
            keys = ("source", "type", "ref")
            wanted = [(row.get(key), getattr(self, key)) for key in keys]
        return (
            all(value is None or found == value for found, value in wanted)
            and (kind == SIGNALS or self._levels == LEVELS or row.get("level") in self._levels)
            and (self.since_us is None or row["at_us"] >= self.since_us)
            and (self.until_us is None or row["at_us"] < self.until_us)
        )


def _day(at_us: int) -> str:
    try:
        return utc_day(at_us)
    except (ValueError, OverflowError, OSError):
        return "" if at_us < 0 else "9999-12-31"


def _spellings(text: str) -> tuple[bytes, ...]:
    r"""A text as JSON has it, with characters beyond ASCII as they are or as \u escapes."""
    plain = json.dumps(text, ensure_ascii=False).encode(errors="surrogatepass")
    return plain, json.dumps(text).encode()
