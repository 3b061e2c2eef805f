"""Deleting what is older than its retention, and giving the pages back to the disk.

Worker, main thread, between computes: after one has been reported, in transactions of its own, so
that no signal waits for it and no compute can fail of it. A *pass* looks at every table of one
sense that has a retention and then at the free pages. It is made of *steps*, each a batch that is
committed before the next is looked for; a kill at any point therefore leaves a sound database,
out of which nothing but old rows are gone. Between two steps it is looked whether the parent
wants anything, so a message waits for one step at the most. That one is kept short: batches grow
and shrink to STEP_TARGET_S, and a statement that takes STEP_LIMIT_S all the same (rows that drag
many others along) is interrupted, rolled back, and tried with fewer rows.

With an index on the column old rows are found by it, in microseconds. Without one the table is
read through by its rowid, a batch at a time, from where the last batch ended: 0.25 ms for 1,000
rows, where one statement over 1,000,000 rows would take 25 ms.
"""

import json
import logging
import math
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from nerve.clock import US_PER_MS, Clock
from nerve.store.faults import primary_code
from nerve.store.sqlite import JOURNAL_SIZE_LIMIT_BYTES
from nerve.wire.messages import RetentionRule
from nerve.worker.retention import EARLIEST_US, LATEST_US, ROWID, quoted, table_name

PASS_EVERY_S = 300.0
"""Between the beginnings of two passes over one sense: how late an old row may go."""
PASS_BUDGET_S = 0.25
"""What a pass may take at a time while nobody wants anything; the rest waits for RESUME_AFTER_S."""
RESUME_AFTER_S = 1.0
"""Until an unfinished pass goes on: a group that is always busy gives it one step a second."""
STEP_TARGET_S = 0.002
STEP_LIMIT_S = 0.005
"""How long a statement of a step may run. What a commit then writes comes on top: mostly nothing,
now and then SQLite's automatic checkpoint, which a compute's commit meets as well."""
FIRST_BATCH = 100
MAX_BATCH_ROWS = 1_000
MAX_BATCH_PAGES = 256
KEPT_FREE_PAGES = 256
"""Left in the file for the next rows (1 MiB), or it would shrink and grow all the time."""
MAX_WAL_BYTES = JOURNAL_SIZE_LIMIT_BYTES
"""With a larger -wal a reader keeps it from starting over; deleting would only let it grow."""
PROGRESS_STEPS = 1_000
"""SQLite virtual machine steps between two looks at the clock, a tenth of a millisecond at most."""
_BEFORE_ALL = -(2**63)


class Task(Protocol):
    """A part of a pass."""

    def step(self, raw: sqlite3.Connection) -> bool:
        """Do a little of it; False when that was the last for this pass."""
        ...


class Pruning:
    """What there is to be deleted for one sense, and how far that has got."""

    def __init__(
        self, sense: str, path: Path, found: Iterable[RetentionRule], clock: Clock
    ) -> None:
        self._clock = clock
        self._wal = path.with_name(f"{path.name}-wal")
        self._tasks: list[Task] = [_Table(sense, rule, clock) for rule in found]
        self._tasks.append(_FreePages(clock))
        self._left: list[Task] = []
        self._due_s = -math.inf
        self._limit_s = math.inf

    def prepare(self, raw: sqlite3.Connection) -> None:
        """Have the driver make ready what each pass asks."""
        _free_pages(raw)

    def is_due(self) -> bool:
        """Whether `run` would do anything."""
        return self._clock.monotonic() >= self._due_s

    def run(self, raw: sqlite3.Connection, is_wanted: Callable[[], bool]) -> None:
        """Go on with this pass or begin the next one, if it is time.

        Outside a transaction; leaves none. Takes the connection's progress handler. Raises
        sqlite3.Error for a fault of the database; the next pass then begins anew.

        Args:
            raw: the owner's connection.
            is_wanted: asked after each step, whether to stop for something else.
        """
        if not self.is_due():
            return
        began_s = self._clock.monotonic()
        self._due_s = began_s + PASS_EVERY_S
        left, self._left = self._left or list(self._tasks), []
        raw.set_progress_handler(self._is_over, PROGRESS_STEPS)
        try:
            while left and self._wal_is_short():
                self._limit_s = self._clock.monotonic() + STEP_LIMIT_S
                if not left[0].step(raw):
                    del left[0]
                if self._clock.monotonic() >= began_s + PASS_BUDGET_S or is_wanted():
                    break
            else:
                return
        finally:
            self._limit_s = math.inf
        if left:
            self._left, self._due_s = left, began_s + RESUME_AFTER_S

    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._limit_s

    def _wal_is_short(self) -> bool:
        try:
            return self._wal.stat().st_size <= MAX_WAL_BYTES
        except FileNotFoundError:
            return True


class _Pace:
    """How many rows or pages a step takes on."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._began_s = 0.0
        self.size = FIRST_BATCH

    def begin(self) -> None:
        self._began_s = self._clock.monotonic()

    def end(self) -> None:
        took_s = self._clock.monotonic() - self._began_s
        if took_s > STEP_TARGET_S:
            self.size = max(1, self.size // 2)
        elif took_s < STEP_TARGET_S / 2:
            self.size = min(self._most, self.size * 2)

    def slow_down(self) -> bool:
        """After an interruption; False when it cannot be slower."""
        was, self.size = self.size, max(1, self.size // 4)
        return was > 1


class _Table:
    """The old rows of one table. The one that was inserted last is never among them."""

    def __init__(self, sense: str, rule: RetentionRule, clock: Clock) -> None:
        self._log = logging.getLogger(f"sense.{sense}")
        self._rule = rule
        self._clock = clock
        self._pace = _Pace(clock, MAX_BATCH_ROWS)
        self._after = _BEFORE_ALL
        table, column = table_name(rule), quoted(rule.column)
        self._delete = f"DELETE FROM {table} WHERE {ROWID} IN (SELECT value FROM json_each(?))"  # noqa: S608  quoted
        self._newest = f"SELECT {column} FROM {table} ORDER BY {ROWID} DESC LIMIT 1"  # noqa: S608  quoted
        newest = f"(SELECT max({ROWID}) FROM {table})"  # noqa: S608  quoted
        self._by_time = (
            f"SELECT {ROWID} FROM {table} WHERE {column} >= ? AND {column} < ?"  # noqa: S608  quoted
            f" AND {ROWID} < {newest} ORDER BY {column} LIMIT ?"
        )
        self._by_rowid = (
            f"SELECT {ROWID}, {column} >= ? AND {column} < ? FROM {table}"  # noqa: S608  quoted
            f" WHERE {ROWID} > ? AND {ROWID} < {newest} ORDER BY {ROWID} LIMIT ?"
        )
        self._is_indexed: bool | None = None

    def step(self, raw: sqlite3.Connection) -> bool:
        self._pace.begin()
        try:
            goes_on = self._step(raw)
        except sqlite3.IntegrityError as error:
            # By way of rows that refer to rows that go along with these, or by a trigger.
            self._log.warning(
                "retention: old rows of %s cannot be deleted: %s", self._rule.table, error
            )
            return False
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_INTERRUPT:
                raise
            return self._interrupted()
        finally:
            if raw.in_transaction:
                raw.rollback()
        self._pace.end()
        return goes_on

    def _step(self, raw: sqlite3.Connection) -> bool:
        if self._is_indexed is None:
            self._is_indexed = self._asks_an_index(raw)
            self._warn_of_other_units(raw)
        ages = (EARLIEST_US, self._clock.now_us() - self._rule.keep_ms * US_PER_MS)
        if self._is_indexed:
            found = _rows(raw, self._by_time, *ages, self._pace.size)
            old, after = [row for (row,) in found], self._after
        else:
            found = _rows(raw, self._by_rowid, *ages, self._after, self._pace.size)
            old, after = [row for row, is_old in found if is_old], _BEFORE_ALL
        goes_on = len(found) == self._pace.size
        if old:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(self._delete, (json.dumps(old),))
            # Not COMMIT as a statement: the driver would keep it prepared, and the compute's
            # authorizer is asked only when one is made ready.
            raw.commit()
        self._after = found[-1][0] if goes_on and not self._is_indexed else after
        return goes_on

    def _warn_of_other_units(self, raw: sqlite3.Connection) -> None:
        newest = _rows(raw, self._newest)
        if newest and isinstance(newest[0][0], int) and not _is_plausible(newest[0][0]):
            self._log.warning(
                "retention: %s.%s holds %d, which is no time of today in microseconds; such rows "
                "are kept for ever",
                self._rule.table,
                self._rule.column,
                newest[0][0],
            )

    def _asks_an_index(self, raw: sqlite3.Connection) -> bool:
        plan = _rows(raw, f"EXPLAIN QUERY PLAN {self._by_time}", 0, 0, 1)
        return not any("TEMP B-TREE" in str(detail) for *_, detail in plan)

    def _interrupted(self) -> bool:
        if self._pace.slow_down():
            return True
        self._log.warning(
            "retention: to delete one row of %s takes longer than %d ms, so old rows stay; "
            "index the columns of other tables that refer to it",
            self._rule.table,
            STEP_LIMIT_S * 1_000,
        )
        return False


class _FreePages:
    """What deleted rows have left free in the file, beyond what the next rows will use."""

    def __init__(self, clock: Clock) -> None:
        self._pace = _Pace(clock, MAX_BATCH_PAGES)

    def step(self, raw: sqlite3.Connection) -> bool:
        free = _free_pages(raw)
        if free <= KEPT_FREE_PAGES:
            return False
        self._pace.begin()
        try:
            # Not execute(): it steps the statement once, which gives back one page.
            raw.executescript(
                f"PRAGMA incremental_vacuum({min(self._pace.size, free - KEPT_FREE_PAGES)})"
            )
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_INTERRUPT:
                raise
            return self._pace.slow_down()
        self._pace.end()
        # A database that somebody else has created may have no automatic vacuum.
        return _free_pages(raw) < free


def _is_plausible(at_us: int) -> bool:
    return EARLIEST_US <= at_us < LATEST_US


def _free_pages(raw: sqlite3.Connection) -> int:
    ((pages,),) = _rows(raw, "PRAGMA freelist_count")
    return pages


def _rows(raw: sqlite3.Connection, query: str, *values: int) -> list[tuple[int, ...]]:
    cursor = raw.cursor()
    cursor.row_factory = None  # the author may have put another one on the connection
    return cursor.execute(query, values).fetchall()
