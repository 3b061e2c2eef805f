"""Reading the journal and its archive: pages of entries, and what comes after them.

Commands; read-only, with or without a running parent. Signals and log rows share
one sequence of ids, handed out and committed in order by one writer. So a page is
continued by the last id it showed, and whoever asks again and again for what comes
after an id misses nothing and sees nothing twice.

Rows wander from the tables into archived days while they are read. One snapshot says
which files count and has the rows that are in none of them; files and tables are merged by
id, and an id that is in both is shown once. Each part of the table is a snapshot of its
own, because a long one would keep the WAL from starting over; if another file counts by
then, the reading starts anew behind the last entry.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from heapq import heapify, heappop, heapreplace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from nerve.cli.entries import Damaged, Entry, of_line, of_table
from nerve.cli.journal import has_table, open_journal
from nerve.cli.selection import Selection
from nerve.config import Loaded
from nerve.errors import DatabaseDeleted, StateError
from nerve.store.dayfile import ArchivedDay, archived_days, changes_of_archive
from nerve.store.daylines import Complain, ascending, damaged, descending
from nerve.store.journal_reading import newest_id
from nerve.store.place import Place
from nerve.store.spans import ranges_of
from nerve.store.state_dir import StateDir

PART_ROWS = 1_000
"""So many rows of the tables are held at once."""
MAX_ID = 2**63 - 1

Found = Entry | Damaged


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, oldest first; `more` tells whether others match beyond the limit."""

    entries: list[Found]
    more: bool


@dataclass(frozen=True, slots=True)
class _Span:
    """What is read of a selection: ids over `after` and not over `until`, rising or falling.

    Attributes:
        limit: how many entries are needed at most.
    """

    selection: Selection
    after: int
    until: int
    is_falling: bool = False
    limit: int = MAX_ID

    def behind(self, entry_id: int) -> "_Span":
        """Return what is left when all up to an entry has been read."""
        after, until = (self.after, entry_id - 1) if self.is_falling else (entry_id, self.until)
        return _Span(self.selection, after, until, self.is_falling, self.limit)

    def touches(self, day: ArchivedDay) -> bool:
        """Whether a day's file can hold some of it."""
        in_range = day.last_id > self.after and day.first_id <= self.until
        return in_range and self.selection.covers(day)


class _ArchiveMoved(Exception):
    """Other files count by now than those that are being read."""


class Timeline:
    """The journal of one installation and its archive, open for reading."""

    def __init__(
        self, reader: sqlite3.Connection, place: Place, archive: Path, complain: Complain
    ) -> None:
        """Read from `reader`, the file at `place`, and from the files below `archive`.

        What is wrong with one of these is told to `complain`, once for each.
        """
        self._reader = reader
        self._place = place
        self._archive = archive
        self._complain = complain
        self._told: set[Path] = set()
        self._days: list[ArchivedDay] = []
        self._changes = -1
        # Decoded row by row: one that is no UTF-8 would otherwise end the whole query.
        reader.text_factory = bytes

    def newest_id(self) -> int:
        """Return the id of the newest entry, 0 when there is none."""
        return newest_id(self._reader)

    def oldest(
        self, selection: Selection, limit: int, *, after: int = 0, until: int = MAX_ID
    ) -> Page:
        """Return the first `limit` entries with ids over `after` and not over `until`."""
        span = _Span(selection, after, until, limit=limit + 1)
        found = list(islice(self._walk(span), limit + 1))
        return Page(found[:limit], len(found) > limit)

    def newest(self, selection: Selection, limit: int, *, until: int = MAX_ID) -> Page:
        """Return the last `limit` entries with ids not over `until`, oldest first."""
        span = _Span(selection, 0, until, is_falling=True, limit=limit + 1)
        found = list(islice(self._walk(span), limit + 1))
        return Page(found[:limit][::-1], len(found) > limit)

    def follow(
        self, selection: Selection, after: int, pause: Callable[[], object]
    ) -> Iterator[Found]:
        """Yield what comes after an id; `pause` is called whenever there is no more.

        It ends when the journal's file was replaced: then it is to be opened anew.
        """
        while not self._is_replaced():
            # Read first: all up to it is durable, so what does not match need not be read again.
            newest = self.newest_id()
            if after < newest:
                yield from self._walk(_Span(selection, after, newest))
                after = newest
            pause()

    def _is_replaced(self) -> bool:
        # Not by nothing: a running nerve writes back what was deleted.
        try:
            self._place.is_held()
        except DatabaseDeleted:
            return True
        return False

    def _walk(self, span: _Span) -> Iterator[Found]:
        """Yield the entries of a span in their order."""
        while True:
            days = self._archived_days()
            with suppress(_ArchiveMoved):
                for entry in _merged(self._sources(span, days), is_falling=span.is_falling):
                    span = span.behind(entry.id)
                    yield entry
                return

    def _archived_days(self) -> list[ArchivedDay]:
        """Return all archived days, that with the highest id first; the same list for the same.

        Who follows asks ten times a second, and there may be thousands of them.
        """
        changes = changes_of_archive(self._reader)
        if changes != self._changes:
            days = archived_days(self._reader)
            self._days = sorted(days, key=lambda day: day.last_id, reverse=True)
            self._changes = changes
        return self._days

    def _sources(self, span: _Span, days: list[ArchivedDay]) -> list[tuple[int, Iterator[Found]]]:
        """Return iterators in the order of the span, each with the first id it may yield."""
        files = [
            (day.last_id if span.is_falling else day.first_id, self._archived(span, day, days))
            for day in takewhile(lambda day: day.last_id > span.after, days)
            if span.touches(day)
        ]
        first = span.until if span.is_falling else span.after
        return [(first, self._stored(span, days)), *files]

    def _stored(self, span: _Span, days: list[ArchivedDay]) -> Iterator[Found]:
        """Yield what the tables hold, part by part, while the same files count."""
        for after, until in self._ranges(span):
            part = replace(span, after=max(span.after, after), until=min(span.until, until))
            yield from self._stored_in(part, days)

    def _ranges(self, span: _Span) -> list[tuple[int, int]]:
        """Return the ids, in the order of the span, among which all that is asked for is."""
        times = (span.selection.since_us, span.selection.until_us)
        if times == (None, None) or not has_table(self._reader, "spans"):
            return [(span.after, span.until)]
        ranges = ranges_of(self._reader, *times)
        return ranges[::-1] if span.is_falling else ranges

    def _stored_in(self, span: _Span, days: list[ArchivedDay]) -> Iterator[Found]:
        size = min(span.limit, PART_ROWS)
        while span.after < span.until:
            self._reader.execute("BEGIN")
            try:
                current, rows = self._archived_days(), self._rows(span, size)
            finally:
                self._reader.execute("ROLLBACK")
            if current is not days:
                raise _ArchiveMoved
            yield from map(of_table, rows)
            if len(rows) < size:
                return
            span = span.behind(rows[-1][0])

    def _rows(self, span: _Span, size: int) -> list[tuple[Any, ...]]:
        query, parameters = span.selection.query()
        order = "DESC" if span.is_falling else "ASC"
        cursor = self._reader.execute(
            f"{query} ORDER BY id {order} LIMIT :size",
            {**parameters, "after": span.after, "until": span.until, "size": size},
        )
        return cursor.fetchall()

    def _archived(self, span: _Span, day: ArchivedDay, days: list[ArchivedDay]) -> Iterator[Found]:
        """Yield what a day's file holds of a span."""
        path = self._archive / day.file
        matcher = span.selection.matcher(day)

        def tell(error: StateError) -> None:
            if self._archived_days() is not days:
                raise _ArchiveMoved from error
            if path not in self._told:
                self._told.add(path)
                self._complain(error)

        def matches(line: bytes) -> bool:
            try:
                return matcher(line)
            except (ValueError, RecursionError):
                tell(damaged(path, "a line of it is no row"))
                return False

        # More is what the archive has just added to it, and no fault.
        with suppress(OSError):  # who opens it will tell
            if (size := path.stat().st_size) < day.bytes:
                tell(damaged(path, f"it has {size:,} bytes, {day.bytes:,} were written"))
        read = partial(descending, limit=span.limit) if span.is_falling else ascending
        lines = read(
            path,
            tell,
            after=span.after,
            until=span.until,
            matches=matches,
            needles=span.selection.needles(day.kind),
        )
        for entry_id, line in lines:
            yield of_line(day.kind, entry_id, line)


@contextmanager
def open_timeline(loaded: Loaded, complain: Complain) -> Iterator[Timeline]:
    """Open the journal of an installation for reading; raises as `open_journal` does."""
    state = StateDir(loaded.state_dir)
    place = Place(state.journal_path)  # first: what replaces the file after that is noticed
    with open_journal(loaded) as reader:
        yield Timeline(reader, place, state.archive, complain)


def _merged(sources: list[tuple[int, Iterator[Found]]], *, is_falling: bool) -> Iterator[Found]:
    """Merge by id, each id once; a source is not begun before its first id may be the next.

    What one hands out too late was there already: a file that was written anew after the
    snapshot has rows that stood in the tables then.
    """
    sign = -1 if is_falling else 1
    heads: list[tuple[int, int, Found | None, Iterator[Found]]] = [
        (sign * first, number, None, source) for number, (first, source) in enumerate(sources)
    ]
    heapify(heads)
    last = -MAX_ID
    while heads:
        key, number, entry, source = heads[0]
        if entry is not None and key > last:
            last = key
            yield entry
        following = next(source, None)
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (sign * following.id, number, following, source))
