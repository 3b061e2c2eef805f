"""Log records as bytes in a pipe.

Parent and worker; pure. A record is a JSON object in ASCII, cut into frames of one line
each, and no frame is longer than what a pipe takes whole or not at all (PIPE_BUF, POSIX;
4,096 bytes on Linux). So a writer that is killed, or left by an exception, at any
instruction leaves whole frames behind, and so do several writers at once. A frame
opens with its place in its record:

    =  all of it      (  its first part      |  a part      )  its last part

Nothing is ever unpickled: what a worker sends is data, and a sense can send anything.
"""

import json
import logging
import select
from collections.abc import Iterator
from dataclasses import dataclass

MAX_FRAME_BYTES = select.PIPE_BUF
MAX_NAME_CHARS = 200
MAX_RECORD_CHARS = 64 * 1024
"""One record's text; more of it is cut off."""
MAX_RECORD_BYTES = 1024 * 1024
"""One record as JSON: twelve bytes for a character, at the worst, and the small fields."""
MAX_COUNT = 2**53
WHOLE, FIRST, NEXT, LAST = b"=(|)"

_BODY_BYTES = MAX_FRAME_BYTES - 2
"""Without the mark and the line's end."""


class Garbage(ValueError):
    """No frames and no records: somebody else has written into the pipe."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one record in the pipe says.

    Attributes:
        record: None when only a count is told.
        left_out: records that the worker has left out since the last one.
    """

    record: logging.LogRecord | None
    left_out: int


def write(fields: dict[str, object]) -> Iterator[bytes]:
    """Yield the frames of a record, each to be written with one call."""
    body = json.dumps(fields).encode("ascii")
    parts = [body[at : at + _BODY_BYTES] for at in range(0, len(body), _BODY_BYTES)]
    for index, part in enumerate(parts):
        yield b"%c%s\n" % (_mark(index, len(parts)), part)


def _mark(index: int, count: int) -> int:
    if count == 1:
        return WHOLE
    return FIRST if index == 0 else LAST if index == count - 1 else NEXT


class FrameJoiner:
    """Puts the frames of one pipe together again."""

    def __init__(self) -> None:
        self._line = b""
        self._parts = bytearray()
        self._is_open = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the body of each record that `chunk` completes; raises Garbage."""
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            if body := self._join(line):
                yield body
        if len(self._line) >= MAX_FRAME_BYTES:
            raise Garbage("a frame does not end")

    def _join(self, line: bytes) -> bytes | None:
        mark, part = line[:1], line[1:]
        if not mark or mark not in b"=(|)" or len(part) > _BODY_BYTES:
            raise Garbage("a frame has no mark, or is too long")
        if mark == b"=":
            self._is_open = False
            return part
        if mark == b"(":
            self._parts.clear()
            self._is_open = True
        return self._append(part, is_last=mark == b")") if self._is_open else None

    def _append(self, part: bytes, *, is_last: bool) -> bytes | None:
        self._parts += part
        if len(self._parts) > MAX_RECORD_BYTES:
            raise Garbage("a record does not end")
        if is_last:
            self._is_open = False
            return bytes(self._parts)
        return None


def read(body: bytes) -> Told:
    """Read one record; raises Garbage unless it is exactly what `write` is given."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbage("a record is no JSON") from error
    if not isinstance(fields, dict):
        raise Garbage("a record is no object")
    left_out = fields.get("left_out", 0)
    if not is_count(left_out):
        raise Garbage("a record's count is no count")
    return Told(_record(fields) if "msg" in fields else None, left_out)


def _record(fields: dict[str, object]) -> logging.LogRecord:
    name, level, message = (fields.get(key) for key in ("name", "levelno", "msg"))
    trigger_id = fields.get("trigger_id")
    if (
        not (isinstance(name, str) and len(name) <= MAX_NAME_CHARS)
        or not (isinstance(message, str) and len(message) <= MAX_RECORD_CHARS)
        or not is_count(level)
        or not (trigger_id is None or is_count(trigger_id))
    ):
        raise Garbage("a record's fields are not those of a record")
    kept = {"name": name, "levelno": level, "msg": message, "trigger_id": trigger_id}
    return logging.makeLogRecord({**kept, "levelname": _level_name(level)})


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number from 0 to MAX_COUNT."""
    return type(value) is int and 0 <= value <= MAX_COUNT


def _level_name(level: object) -> str:
    """Name the step of the four that a level, whoever has made it, stands on."""
    steps = (logging.ERROR, logging.WARNING, logging.INFO)
    reached = next((s for s in steps if isinstance(level, int) and level >= s), logging.DEBUG)
    return logging.getLevelName(reached)
