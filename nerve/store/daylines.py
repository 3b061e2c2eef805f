"""Reading the lines of an archived day, from either end and from the middle.

Any process; changes nothing. A plain file is entered by bisection and read in both
directions, a compressed one only forward. Either way a block is held at a time, and of a
compressed one the lines that are asked for. What cannot be read is told to `complain`,
each time it is met, and reading goes on behind it where there is a way.
"""

import gzip
import io
import os
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from nerve.errors import StateError
from nerve.store.dayfile import COMPRESSED, row_of
from nerve.store.faults import refused

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A payload fills a frame of 8 MiB at most; escaping it can take six times that."""
BLOCK_BYTES = 64 * 1024
"""What is read at once."""

DAMAGED_HINT = "what can be read of it is shown; restore the file from a copy if there is one"
MISSING_HINT = "restore it from a copy; until then its rows are left out"

Complain = Callable[[StateError], object]
Match = Callable[[bytes], bool]
Line = tuple[int, bytes]
Needles = Sequence[tuple[bytes, ...]]
_ID = re.compile(rb'\{"id": ?([0-9]{1,19})[,}]')


def ascending(
    path: Path,
    complain: Complain,
    *,
    after: int,
    until: int,
    matches: Match,
    needles: Needles = (),
) -> Iterator[Line]:
    """Yield lines with their ids, rising: those over `after` and not over `until` that match.

    Of each tuple of `needles` a line that matches holds one; blocks without are passed over.
    """
    for chunk in _guarded(_forward(path, after), path, complain):
        if not _may_match(chunk, needles):
            continue
        for entry_id, line in _numbered(io.BytesIO(chunk), path, complain):
            if entry_id > until:
                return
            if entry_id > after and matches(line):
                yield entry_id, line


def descending(
    path: Path,
    complain: Complain,
    *,
    after: int,
    until: int,
    matches: Match,
    limit: int,
    needles: Needles = (),
) -> Iterator[Line]:
    """Yield the last `limit` of what `ascending` does, ids falling."""
    if path.suffix == COMPRESSED:
        lines = ascending(
            path, complain, after=after, until=until, matches=matches, needles=needles
        )
        yield from reversed(deque(lines, maxlen=limit))
        return
    for chunk in _guarded(_backward(path, until), path, complain):
        if not _may_match(chunk, needles):
            continue
        for entry_id, line in _numbered(reversed(list(io.BytesIO(chunk))), path, complain):
            if entry_id <= after or not limit:
                return
            if matches(line):
                limit -= 1
                yield entry_id, line


def damaged(path: Path, why: str) -> StateError:
    """Return what to tell about a file that is not as it was written."""
    return StateError(f"{path} is damaged: {why}", path=path, hint=DAMAGED_HINT)


def _may_match(chunk: bytes, needles: Needles) -> bool:
    # Not `in`: in these lines, full of quotes, it takes two to five times as long.
    return all(any(chunk.rfind(needle) >= 0 for needle in some) for some in needles)


def _numbered(lines: Iterable[bytes], path: Path, complain: Complain) -> Iterator[Line]:
    """Yield lines with their ids; tell of what is no such line."""
    for line in lines:
        entry_id = _id_of(line)
        if entry_id is None:
            complain(damaged(path, "a line of it is no row"))
        else:
            yield entry_id, line


def _guarded(chunks: Iterator[bytes], path: Path, complain: Complain) -> Iterator[bytes]:
    """Yield what can be read; tell what ends that."""
    try:
        yield from chunks
    except FileNotFoundError:
        fact = f"{path} is missing, rows were archived in it"
        complain(StateError(fact, path=path, hint=MISSING_HINT))
    except (EOFError, zlib.error, gzip.BadGzipFile, _LineTooLong) as error:
        complain(damaged(path, str(error)))
    except OSError as error:
        complain(refused(error, path))


class _LineTooLong(Exception):
    def __init__(self) -> None:
        super().__init__(f"a line of it is over {MAX_LINE_BYTES:,} bytes")


def _forward(path: Path, after: int) -> Iterator[bytes]:
    """Yield whole lines, a block at a time, from behind an id where the file can be entered."""
    if path.suffix == COMPRESSED:
        with gzip.open(path) as unpacked:
            yield from _chunks(unpacked.read)
        return
    with path.open("rb") as file:
        file.seek(_end_of(file, after))
        yield from _chunks(file.read)


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    rest = b""
    # For a long line ever more at once, else its beginning would be copied for each block.
    while block := read(max(BLOCK_BYTES, len(rest))):
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            yield whole + newline
        if len(rest) > MAX_LINE_BYTES:
            raise _LineTooLong
    if rest:
        yield rest


def _backward(path: Path, until: int) -> Iterator[bytes]:
    """Yield whole lines, a block at a time, the last block first."""
    with path.open("rb") as file:
        end = _end_of(file, until)
        file.seek(end)
        if _next_id(file) is None:  # then what lies there is damage, to be told
            end = file.tell()
        rest = b""
        while end:
            start = max(0, end - max(BLOCK_BYTES, len(rest)))
            file.seek(start)
            block = file.read(end - start) + rest
            # Up to its first newline it belongs to a line that begins before it.
            begin = block.find(b"\n") + 1 or len(block) if start else 0
            rest, end = block[:begin], start
            if len(rest) > MAX_LINE_BYTES:
                raise _LineTooLong
            if begin < len(block):
                yield block[begin:]


def _end_of(file: IO[bytes], entry_id: int) -> int:
    """Return the offset behind all lines with ids up to this one, by bisection."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        file.seek(max(0, middle - 1))
        if middle:
            file.readline(MAX_LINE_BYTES)
        found = _next_id(file)
        if found is None or found > entry_id:
            high = middle
        else:
            low = file.tell()
    return low


def _next_id(file: IO[bytes]) -> int | None:
    """Return the next id from here on, the file then stands behind its line; None at the end."""
    while line := file.readline(MAX_LINE_BYTES):
        if (entry_id := _id_of(line)) is not None:
            return entry_id
    return None


def _id_of(line: bytes) -> int | None:
    if begin := _ID.match(line):
        return int(begin[1])
    try:
        return int(row_of(line)["id"])
    except (ValueError, RecursionError):
        return None
