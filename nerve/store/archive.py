"""The archive: files that get their place, rows that go, pages that are given back.

Where the journal may be written: a thread beside the parent's loop, or `nerve archive`. For each
day, in this order, so that a kill at any instruction neither loses nor doubles a row:

    announce   the journal notes the sha256 of the file that is to come
    publish    the verified file is renamed to its place, and the directory synced
    register   the journal names the file
    clear      the rows are deleted, a few at a time

`publish` and `register` are one piece of work, so that a stop comes before or after both. A kill
between them leaves a file that only the announcement knows; that is kept for each day apart, and
until this day is registered: whatever else is archived first, the file is one to build on.

Until `register` the rows of the tables count, and from then on those of the file; a reader
that finds a row in both shows it once. What is not finished is done again from the beginning
by the next run: the day is written anew, from its file and what is left in the table.

`do` brings a piece of work to the journal's connection. Each is short, because in a running
nerve signals wait for it.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from nerve.clock import US_PER_MS, Clock, rfc3339
from nerve.config.models import RetentionConfig
from nerve.store.blobs import sweep
from nerve.store.dayfile import CHANGES, LOGS, SIGNALS, ArchivedDay, archived_days, file_name
from nerve.store.daywriter import Written, announced_key
from nerve.store.decisions import trim
from nerve.store.due import DAY_US, Selection, day_start_us, older_than_us
from nerve.store.faults import refused
from nerve.store.journal import Result
from nerve.store.pace import Pace
from nerve.store.spans import note, unnoted
from nerve.store.state_dir import DIRECTORY_MODE

CLEAR_ROWS = 1_000
"""Rows deleted by one transaction: 2 ms, and its sync."""
CLEAR_BYTES = 1024 * 1024
"""The same where the rows are large, by their JSON: 4 ms. A single row may be larger."""
GIVE_BACK_PAGES = 256
"""Pages given back to the disk at a time, at most."""
GIVE_BACK_S = 0.003
"""What that should take: among a million free pages each one can take a millisecond."""
ALONE_FACTOR = 50
"""So much more at a time where nobody waits for the journal."""
WATERMARK = "archived_up_to"
"""The key in `meta` of the time before which all has gone to the archive, but for what the log says
was refused, and signals that are held back."""

# As a blob: the length of a text ends where it holds a NUL.
_SIZE = {
    LOGS: "length(CAST(payload AS BLOB))",
    SIGNALS: "length(CAST(payload AS BLOB)) + length(CAST(cause AS BLOB))",
}
"""How large a row is, about, in SQL."""

DELETING = "deleting:"
"""How a key in `meta` begins that goes on with a file that is not named any more, and is to go."""

Work = Callable[[sqlite3.Connection], Result]


class Do(Protocol):
    """Brings work to the journal's connection and returns what came of it."""

    def __call__(self, work: Work[Result]) -> Result:
        """Raises StateError where the journal cannot be written."""
        ...


@dataclass(frozen=True, slots=True)
class Expired:
    """Days whose files were deleted because they were older than `archived`."""

    days: int = 0
    rows: int = 0
    bytes: int = 0


class Archive:
    """One installation's archive, for the one who may write its journal.

    A StateError ends any of this; what was done by then is whole.
    """

    def __init__(
        self,
        folder: Path,
        do: Do,
        reader: sqlite3.Connection,
        clock: Clock,
        *,
        alone: bool = False,
    ) -> None:
        """Use `folder`, which must exist; `reader` is open on the same journal, in this thread.

        With `alone` nobody else waits for the journal, so more is done at a time.
        """
        self._folder = folder
        self._do = do
        self._reader = reader
        factor = ALONE_FACTOR if alone else 1
        self._clear_rows, self._clear_bytes = CLEAR_ROWS * factor, CLEAR_BYTES * factor
        self._pages = Pace(clock, GIVE_BACK_PAGES * factor, GIVE_BACK_S * factor, first=1)

    def tidy(self) -> None:
        """Remove what killed runs have left half-written or half-deleted; make the folders."""
        with _refused(self._folder):
            sweep(self._folder)
            for kind in (LOGS, SIGNALS):
                (self._folder / kind).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        # Not all that nobody names: in a logs.db from a copy that would be what came after it.
        query = "SELECT substr(key, ?) FROM meta WHERE key GLOB ?"
        begins = (len(DELETING) + 1, f"{DELETING}*")
        for (file,) in self._reader.execute(query, begins).fetchall():
            self._delete_file(file)

    def take(self, written: Written) -> None:
        """Put a day's file in its place; its rows are to be cleared then."""
        file = written.file
        self._do(partial(_set_meta, key=announced_key(file.kind, file.day), value=_hopes(written)))
        with _refused(self._folder / file.file):
            self._do(partial(_place, folder=self._folder, written=written))
        # Before the rows go: as long as they are there, the next run writes the day again.
        self._drop_replaced(file)

    def clear(self, selection: Selection) -> None:
        """Delete the rows of a selection from their table."""
        for part in selection.parts():
            after = 0
            while ids := self._some_ids(part, after):
                self._do(partial(_delete, kind=part.kind, ids=ids))
                after = ids[-1]

    def finish(self, watermark_us: int) -> None:
        """Note how far the archive has come, and give free pages back to the disk."""
        self._do(lambda raw: _set_meta(raw, WATERMARK, rfc3339(watermark_us)))
        before = self._asked("freelist_count")
        while before:
            self._do(self._give_back)
            left = self._asked("freelist_count")
            if left >= before:  # somebody else freed as many, or a file that cannot shrink
                break
            before = left
        self._do(_checkpoint)

    def trim_decisions(self, before_us: int) -> None:
        """Delete what became of triggers before a time; the counters of it stay."""
        after_id: int | None = 0
        while after_id is not None:
            after_id = self._do(partial(trim, after_id=after_id, before_us=before_us))

    def note_spans(self) -> None:
        """Note which times lie in which ids, for whoever reads by time."""
        for span in unnoted(self._reader):
            self._do(partial(note, span=span))

    def expire(self, retention: RetentionConfig, now_us: int) -> Expired:
        """Delete the files of days that are older than `archived`.

        One that was written only lately waits as long as others wait in the archive: a clock that
        was wrong may have dated new rows in the far past.
        """
        expired = Expired()
        if retention.archived_ms is None:
            return expired
        before_us = older_than_us(retention.archived_ms, now_us)
        kept_ms = {LOGS: retention.logs_ms, SIGNALS: retention.signals_ms}
        for day in archived_days(self._reader):
            path = self._folder / day.file
            written_before_us = now_us - (retention.archived_ms - kept_ms[day.kind]) * US_PER_MS
            is_old = day_start_us(day.day) + DAY_US <= before_us
            with _refused(path):
                if not is_old or _written_us(path) > written_before_us:
                    continue
            # First: a reader in between would miss a file that is still named.
            self._do(partial(_unregister, day=day))
            self._delete_file(day.file)
            expired = Expired(expired.days + 1, expired.rows + day.rows, expired.bytes + day.bytes)
        return expired

    def _delete_file(self, file: str) -> None:
        """Delete a file that is noted as one that is to go, and then the note."""
        path = self._folder / file
        with _refused(path):
            path.unlink(missing_ok=True)
        self._do(partial(_drop_meta, key=DELETING + file))

    def journal_bytes(self) -> int:
        """How large logs.db is, its WAL apart."""
        return self._asked("page_count") * self._asked("page_size")

    def _some_ids(self, selection: Selection, after: int) -> list[int]:
        where, bounds = selection.where(after)
        query = (
            f"SELECT id, {_SIZE[selection.kind]} FROM {selection.kind} WHERE {where} ORDER BY id"  # noqa: S608  our own names
        )
        ids: list[int] = []
        size = 0
        with closing(self._reader.execute(f"{query} LIMIT ?", (*bounds, self._clear_rows))) as rows:
            for entry_id, row_bytes in rows:
                size += row_bytes
                if ids and size > self._clear_bytes:
                    break
                ids.append(entry_id)
        return ids

    def _give_back(self, raw: sqlite3.Connection) -> None:
        # Timed here: before that it waits for whatever else the journal has to do.
        self._pages.begin()
        _give_back(raw, self._pages.size)
        self._pages.end()

    def _asked(self, pragma: str) -> int:
        (found,) = self._reader.execute(f"PRAGMA {pragma}").fetchone()
        return int(found)

    def _drop_replaced(self, day: ArchivedDay) -> None:
        """A day has one file: the one of the other form is held in it."""
        for compressed in (False, True):
            name = file_name(day.kind, day.day, compressed=compressed)
            if name != day.file:
                with _refused(self._folder / name):
                    (self._folder / name).unlink(missing_ok=True)


def _hopes(written: Written) -> str:
    """The files that may stand in the day's place from now on: the present one, and the new."""
    return " ".join(sha256 for sha256 in (written.replaces, written.file.sha256) if sha256)


def _place(raw: sqlite3.Connection, folder: Path, written: Written) -> None:
    publish(folder, written)
    register(raw, written.file)


def publish(folder: Path, written: Written) -> None:
    """Rename a verified file to its place; raises OSError."""
    place = folder / written.file.file
    (folder / written.unfinished).rename(place)
    for directory in (place.parent, folder):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def register(raw: sqlite3.Connection, file: ArchivedDay) -> None:
    """Name a file that is in its place; from now on its rows count."""
    with _transaction(raw):
        raw.execute(
            "INSERT OR REPLACE INTO archives"
            " (kind, day, file, first_id, last_id, rows, bytes, sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            astuple(file),
        )
        _drop_meta(raw, announced_key(file.kind, file.day))
        _note_change(raw)


def _note_change(raw: sqlite3.Connection) -> None:
    raw.execute(
        "INSERT INTO meta (key, value) VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1",
        (CHANGES,),
    )


def archived_up_to(reader: sqlite3.Connection) -> str | None:
    """Return the watermark, as RFC 3339 has it; None where nothing was archived yet."""
    found = reader.execute("SELECT value FROM meta WHERE key = ?", (WATERMARK,)).fetchone()
    return str(found[0]) if found else None


def _set_meta(raw: sqlite3.Connection, key: str, value: str) -> None:
    raw.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def _drop_meta(raw: sqlite3.Connection, key: str) -> None:
    raw.execute("DELETE FROM meta WHERE key = ?", (key,))


def _delete(raw: sqlite3.Connection, kind: str, ids: list[int]) -> None:
    query = f"DELETE FROM {kind} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608  our own name
    raw.execute(query, (json.dumps(ids),))


def _unregister(raw: sqlite3.Connection, day: ArchivedDay) -> None:
    with _transaction(raw):
        raw.execute("DELETE FROM archives WHERE kind = ? AND day = ?", (day.kind, day.day))
        _set_meta(raw, DELETING + day.file, "")
        _note_change(raw)


def _give_back(raw: sqlite3.Connection, pages: int) -> None:
    # Not execute(): it takes one step of this statement, and each step frees one page.
    raw.executescript(f"PRAGMA incremental_vacuum({pages})")


def _checkpoint(raw: sqlite3.Connection) -> None:
    # PASSIVE waits for nobody. The file gets shorter only when its WAL has been taken over.
    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _written_us(path: Path) -> int:
    """When a file was last written; 0 for one that is gone."""
    try:
        return path.stat().st_mtime_ns // 1_000
    except FileNotFoundError:
        return 0


@contextmanager
def _transaction(raw: sqlite3.Connection) -> Iterator[None]:
    raw.execute("BEGIN IMMEDIATE")
    yield  # an error is for the journal, which rolls back
    raw.execute("COMMIT")


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refused(error, path) from error
