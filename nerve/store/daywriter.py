"""Writing a day of the archive: rows become lines, and the lines a file that was read back.

A process beside the parent, or a command without one; reads logs.db, writes nothing there.
What comes out is a file under a name of its own, `.unfinished-...`, synced to the disk and
verified from there. It gets its place by `nerve.store.archive`, and until then it is nothing: a
writer that is killed loses nothing, and what it leaves is swept away.

Where the day has a file already, an earlier run was killed, or a clock that stepped has dated more
rows in that day. The new file holds both, by id, each row once. A file that is not what
was written, or is missing, is not built on: it stays as it is, and so do the rows, until a person
has restored it or given it up.
"""

import contextlib
import hashlib
import heapq
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from gzip import GzipFile
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NoReturn

from nerve.errors import StateError, StateFaulty
from nerve.store.blobs import UNFINISHED
from nerve.store.dayfile import (
    COLUMNS,
    COMPRESSED,
    RAW,
    ArchivedDay,
    archived_days,
    file_name,
    row_of,
)
from nerve.store.daylines import ascending
from nerve.store.dayrows import selected_lines
from nerve.store.due import DAY_US, Due, Selection, day_start_us, selections, unanswered
from nerve.store.faults import FAULTY_HINT, refused

COMPRESSION = 6
"""gzip's own default: level 9 takes three times as long for some hundredths."""
UNKNOWN_HINT = (
    "logs.db does not name it, so its day's rows stay there: move it away and the day gets a new "
    "file; if logs.db was begun anew, stop nerve and move the whole archive away"
)
GIVEN_UP_DIGITS = 12
"""Of a file's sha256, in the name under which it is given up."""
SYNC_BYTES = 16 * 1024 * 1024
"""So much of a file is written at most until it is synced."""
MAX_ID = 2**63 - 1

Numbered = Iterator[tuple[int, bytes]]


class DayRefused(StateError):
    """A file of the archive is not what was written there, so nothing is built on it."""

    fault = "corrupt"


@dataclass(frozen=True, slots=True)
class Written:
    """A day's file that is whole and verified, and waits for its place.

    Attributes:
        selection: the rows that it was written for.
        file: what the journal is to know of it.
        unfinished: its name in the archive's directory until then.
        replaces: the sha256 of the file that the day has, which is held in it; else empty.
        unanswered: signals in it that a reflex has not answered: (target, source, how many).
    """

    selection: Selection
    file: ArchivedDay
    unfinished: str
    replaces: str = ""
    unanswered: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A day that cannot be archived, because of what stands in its place."""

    kind: str
    day: str
    message: str
    hint: str


def write_days(
    reader: sqlite3.Connection, archive: Path, due: Due, *, compressed: bool
) -> Iterator[Written | Refused]:
    """Write a file for each day that is due; the caller puts each in its place before the next.

    Raises StateError where logs.db cannot be read or the disk takes no more; what was
    unfinished then is removed.
    """
    for selection in selections(reader, due):
        try:
            written = write_day(reader, archive, selection, compressed=compressed)
        except DayRefused as error:
            yield Refused(selection.kind, selection.day, str(error), error.hint)
            continue
        counts = unanswered(reader, selection, due)
        told = tuple((*pair, count) for pair, count in counts.items())
        yield replace(written, unanswered=told)


def write_day(
    reader: sqlite3.Connection, archive: Path, selection: Selection, *, compressed: bool
) -> Written:
    """Write one day's file; raises DayRefused, or another StateError."""
    kind, day = selection.kind, selection.day
    known = next((d for d in archived_days(reader) if (d.kind, d.day) == (kind, day)), None)
    try:
        return _write_day(reader, archive, selection, known, compressed=compressed)
    except DayRefused as error:
        error.hint = UNKNOWN_HINT if known is None else _refused_hint(archive, known)
        raise


def _write_day(
    reader: sqlite3.Connection,
    archive: Path,
    selection: Selection,
    known: ArchivedDay | None,
    *,
    compressed: bool,
) -> Written:
    name = file_name(selection.kind, selection.day, compressed=compressed)
    earlier, replaces = _earlier(reader, archive, selection, known)
    lines = heapq.merge(earlier, selected_lines(reader, selection), key=itemgetter(0))
    try:
        descriptor, unfinished = tempfile.mkstemp(
            prefix=UNFINISHED, suffix=Path(name).suffix, dir=archive
        )
    except OSError as error:
        raise refused(error, archive) from error
    path = Path(unfinished)
    try:
        with os.fdopen(descriptor, "wb") as out:
            file = _write(out, _each_once(lines, archive / name), selection, name)
        _verify(path, file)
    except BaseException as error:
        with contextlib.suppress(OSError):
            path.unlink()
        if isinstance(error, OSError):
            raise refused(error, path) from error
        raise
    return Written(selection, file, path.name, replaces)


def _verify(path: Path, file: ArchivedDay) -> None:
    """Read a file that was just written, and compare; raises StateFaulty."""
    first = last = rows = 0
    try:
        for last, _ in _strictly(path):
            first, rows = first or last, rows + 1
        found = sha256_of(path)
    except DayRefused:
        found = ""
    facts = (found, rows, first, last)
    if facts != (file.sha256, file.rows, file.first_id, file.last_id):
        fact = f"the disk does not hold what was written for {file.file}"
        raise StateFaulty(fact, path=path, hint=FAULTY_HINT)


def _earlier(
    reader: sqlite3.Connection, archive: Path, selection: Selection, known: ArchivedDay | None
) -> tuple[Numbered, str]:
    """The lines of the file that the day has already, and its sha256.

    Raises DayRefused, on the way too.
    """
    kind, day = selection.kind, selection.day
    names = [file_name(kind, day, compressed=packed) for packed in (False, True)]
    candidates = [archive / name for name in ([known.file] if known else names)]
    try:
        path = next((path for path in candidates if path.exists()), None)
        if path is None:
            if known is not None and not given_up(archive, known).exists():
                fact = f"{candidates[0]} is missing, {known.rows:,} rows were archived in it"
                raise DayRefused(fact, path=candidates[0])
            return iter(()), ""
        found = sha256_of(path)
    except OSError as error:
        raise refused(error, candidates[0]) from error
    if known is not None and found not in {known.sha256, *_announced(reader, kind, day)}:
        raise _refuse(path, "it is not what was written")
    return _of_the_day(path, selection), found


def given_up(archive: Path, known: ArchivedDay) -> Path:
    """Return the name under which a person gives up a day's file: then it counts as none.

    It is for that content alone, and not for what gets its place later.
    """
    path = archive / known.file
    return path.with_name(f"{path.name}.lost-{known.sha256[:GIVEN_UP_DIGITS]}")


def _refused_hint(archive: Path, known: ArchivedDay) -> str:
    return (
        "nothing of it is replaced, and its day's rows stay in logs.db; restore it, or give up "
        f"what was in it: rename it, or make an empty file, as {given_up(archive, known)}, and the "
        "day gets a new one"
    )


def announced_key(kind: str, day: str) -> str:
    """Return the key in `meta` of the files, by sha256, that may stand in a day's place.

    It is there from when a new one is announced until that is registered.
    """
    return f"archiving:{kind}/{day}"


def _announced(reader: sqlite3.Connection, kind: str, day: str) -> list[str]:
    key = (announced_key(kind, day),)
    found = reader.execute("SELECT value FROM meta WHERE key = ?", key).fetchone()
    return found[0].split() if found else []


def _of_the_day(path: Path, selection: Selection) -> Numbered:
    begin_us, keys, last = day_start_us(selection.day), set(COLUMNS[selection.kind]), 0
    for entry_id, line in _strictly(path):
        row = _row(path, line)
        is_whole = row.keys() - {RAW} == keys and line.endswith(b"\n") and entry_id > last
        if not is_whole or row["at_us"] // DAY_US * DAY_US != begin_us:
            raise _refuse(path, f"row {entry_id} does not belong there")
        last = entry_id
        yield entry_id, line


def _row(path: Path, line: bytes) -> dict[str, Any]:
    try:
        return row_of(line)
    except (ValueError, RecursionError) as error:
        raise _refuse(path, str(error)) from error


def _strictly(path: Path) -> Numbered:
    def complain(error: StateError) -> NoReturn:
        if error.fault:  # of the disk, not of what stands there
            raise error
        raise DayRefused(str(error), path=path)

    return ascending(path, complain, after=0, until=MAX_ID, matches=lambda _: True)


def _refuse(path: Path, why: str) -> DayRefused:
    return DayRefused(f"{path} is damaged: {why}", path=path)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _each_once(lines: Numbered, place: Path) -> Numbered:
    """Yield a row that comes twice, from the earlier file and from logs.db, the first time."""
    last, last_line = 0, b""
    for entry_id, line in lines:
        if entry_id != last:
            last, last_line = entry_id, line
            yield entry_id, line
        elif line != last_line and row_of(line) != row_of(last_line):
            raise _refuse(place, f"its row {entry_id} is another one than that of logs.db")


def _write(out: IO[bytes], lines: Numbered, selection: Selection, name: str) -> ArchivedDay:
    """Write all lines, sync, and return what is known of the file then."""
    counted = _Counted(out)
    # Without a name or time in it: the same rows are the same file.
    packed = GzipFile("", "wb", COMPRESSION, counted, 0) if name.endswith(COMPRESSED) else None
    first = last = rows = 0
    with packed or contextlib.nullcontext(counted) as sink:
        for last, line in lines:
            sink.write(line)
            first, rows = first or last, rows + 1
    counted.sync()
    # So that it is read back from the disk.
    os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    facts = (first, last, rows, counted.size, counted.digest.hexdigest())
    return ArchivedDay(selection.kind, selection.day, name, *facts)


class _Counted:
    """Bytes on their way into a file: how many, and their sha256.

    They are synced a piece at a time. All of a large file at once would hold up for seconds what
    others sync meanwhile, each signal among it.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._unsynced = 0
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.size += len(content)
        self.digest.update(content)
        self._unsynced += len(content)
        written = self._out.write(content)
        if self._unsynced >= SYNC_BYTES:
            self.sync()
        return written

    def sync(self) -> None:
        """Have all of it on the disk."""
        self._out.flush()
        os.fsync(self._out.fileno())
        self._unsynced = 0

    def flush(self) -> None:
        self._out.flush()
