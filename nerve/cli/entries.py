"""An entry of the log as commands have it: a row of a table or a line of an archived day.

Pure. What does not hold what it should becomes `Damaged`, in its place; the entries
around it are as good as ever.
"""

import json
from dataclasses import dataclass
from typing import Any

from nerve.clock import rfc3339
from nerve.store.dayfile import RAW, SIGNALS, refuse_constant, row_of

SIGNAL = "signal"
"""The type of an entry that is a signal; its level is info, its source the sense."""

_FAULTS = (KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError)
"""What values that are none of ours make the conversions below raise."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signal or a log row.

    Attributes:
        payload: the JSON value.
        cause: of a signal: what is stored beside it. Else None.
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
    """An entry that does not hold what it should; only its id can be trusted."""

    id: int


def of_table(row: tuple[Any, ...]) -> Entry | Damaged:
    """Return the entry that a row is: the fields of Entry in their order, texts as bytes."""
    entry_id, at_us, *texts = row
    try:
        rfc3339(at_us)
        source, type_, level, ref, payload, cause = (_text(text) for text in texts)
        values = (_json(payload), _json(cause))
        return Entry(entry_id, at_us, source, type_, level, ref, *values)
    except _FAULTS:
        return Damaged(entry_id)


def of_line(kind: str, entry_id: int, line: bytes) -> Entry | Damaged:
    """Return the entry that a line of an archived day of this kind is."""
    try:
        row = row_of(line)
        if RAW in row:
            return Damaged(entry_id)
        if kind == SIGNALS:
            more = {"source": row["sense"], "type": SIGNAL, "level": "info", "ref": None}
            row = {"cause": None, **row, **more}
        rfc3339(row["at_us"])
        source, type_, level = (_string(row[key]) for key in ("source", "type", "level"))
        ref = None if row["ref"] is None else _string(row["ref"])
        values = (row["payload"], row.get("cause"))
        return Entry(entry_id, row["at_us"], source, type_, level, ref, *values)
    except _FAULTS:
        return Damaged(entry_id)


def _text(stored: bytes | str | None) -> Any:
    return stored.decode() if isinstance(stored, bytes) else stored


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=refuse_constant)
