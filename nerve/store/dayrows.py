"""Rows of logs.db as lines of a day's file.

A process beside the parent, or a command without one; reads only, in short snapshots. JSON is
taken over as it stands, so that every digit is kept. What is damaged is kept as well: its
column is null, and the text, undecodable bytes as surrogate escapes, stands under RAW.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from nerve.store.dayfile import COLUMNS, RAW, refuse_constant
from nerve.store.due import Selection

READ_ROWS = 1_000
"""Rows read by one statement, whose snapshot ends with it."""
READ_BYTES = 8 * 1024 * 1024
"""The same where the rows are large; a further one can take a frame's length more."""
_JSON_COLUMNS = frozenset({"payload", "cause"})
_QUOTED_TEXTS = 4_096
"""Sources, types and levels that are remembered as JSON; there are few of them."""


def selected_lines(reader: sqlite3.Connection, selection: Selection) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a selection as lines, with their ids, rising."""
    for part in selection.parts():
        after = 0
        while rows := _some_rows(reader, part, after):
            for row in rows:
                yield row[0], line_of(selection.kind, row)
            after = rows[-1][0]


def line_of(kind: str, row: Iterable[Any]) -> bytes:
    """Write a row, its texts as bytes, in the order of COLUMNS, as a line."""
    damaged: dict[str, str] = {}
    fields = []
    for column, value in zip(COLUMNS[kind], row, strict=True):
        try:
            field = _as_json(column, value)
        except (ValueError, RecursionError):
            field = b"null"
            damaged[column] = value.decode(errors="surrogateescape")
        fields.append(b'"%b": %b' % (column.encode(), field))
    if damaged:
        fields.append(f'"{RAW}": {json.dumps(damaged)}'.encode())
    return b"{" + b", ".join(fields) + b"}\n"


def _as_json(column: str, value: Any) -> bytes:
    """Raises ValueError or RecursionError for what is damaged."""
    if not isinstance(value, bytes):
        return b"null" if value is None else b"%d" % value
    if column not in _JSON_COLUMNS:
        return _quoted(value)
    json.loads(value.decode(), parse_constant=refuse_constant)
    # A line break that JSON takes is but a blank between two tokens.
    return value.replace(b"\n", b" ").replace(b"\r", b" ")


@lru_cache(_QUOTED_TEXTS)
def _quoted(text: bytes) -> bytes:
    return json.dumps(text.decode(), ensure_ascii=False).encode()


def _some_rows(reader: sqlite3.Connection, part: Selection, after: int) -> list[Any]:
    where, bounds = part.where(after)
    columns, rows, size = ", ".join(COLUMNS[part.kind]), [], 0
    query = f"SELECT {columns} FROM {part.kind} WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608  our own names
    # A text that is no UTF-8 must not end the reading.
    reader.text_factory = bytes
    try:
        with contextlib.closing(reader.execute(query, (*bounds, READ_ROWS))) as cursor:
            for row in cursor:
                rows.append(row)
                size += sum(len(value) for value in row if isinstance(value, bytes))
                if size > READ_BYTES:
                    break
    finally:
        reader.text_factory = str
    return rows
