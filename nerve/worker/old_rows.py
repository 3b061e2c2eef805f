"""The two kinds of steps of a pass: a batch of old rows, and a batch of free pages.

Worker, main thread; used by `nerve.worker.pruning`, which interrupts what takes too long.

With an index on the column old rows are found by it, in microseconds. Without one the table is
read through by its rowid, a batch at a time, from where the last batch ended: 0.25 ms for 1,000
rows, where one statement over 1,000,000 rows would take 25 ms.
"""

import json
import logging
import sqlite3
from typing import Any

from nerve.clock import MS_PER_S, US_PER_MS, Clock
from nerve.store.faults import primary_code
from nerve.store.pace import Pace
from nerve.wire.messages import RetentionRule
from nerve.worker.retention import EARLIEST_US, LATEST_US, ROWID, quoted, table_name

STEP_TARGET_S = 0.002
"""What a step should take, and a message may have to wait for."""
STEP_LIMIT_S = 0.005
"""How long a statement of a step may run. What a commit then writes comes on top: mostly nothing,
now and then SQLite's automatic checkpoint, which a compute's commit meets as well."""
MAX_BATCH_ROWS = 1_000
MAX_BATCH_PAGES = 256
KEPT_FREE_PAGES = 256
"""Left in the file for the next rows (1 MiB), or it would shrink and grow all the time."""
_BEFORE_ALL = -(2**63)


class OldRows:
    """The old rows of one table. The one that was inserted last is never among them."""

    def __init__(self, sense: str, rule: RetentionRule, clock: Clock) -> None:
        self._log = logging.getLogger(f"sense.{sense}")
        self._rule = rule
        self._clock = clock
        self._pace = Pace(clock, MAX_BATCH_ROWS, STEP_TARGET_S)
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
        """Delete a batch; False when that was the last for this pass."""
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
            STEP_LIMIT_S * MS_PER_S,
        )
        return False


class FreePages:
    """What deleted rows have left free in the file, beyond what the next rows will use."""

    def __init__(self, clock: Clock) -> None:
        self._pace = Pace(clock, MAX_BATCH_PAGES, STEP_TARGET_S)

    def step(self, raw: sqlite3.Connection) -> bool:
        """Give back a batch; False when that was the last for this pass."""
        free = free_pages(raw)
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
        return free_pages(raw) < free


def _is_plausible(at_us: int) -> bool:
    return EARLIEST_US <= at_us < LATEST_US


def free_pages(raw: sqlite3.Connection) -> int:
    """How many pages of the file hold nothing."""
    ((pages,),) = _rows(raw, "PRAGMA freelist_count")
    return int(pages)


def _rows(raw: sqlite3.Connection, query: str, *values: int) -> list[tuple[Any, ...]]:
    cursor = raw.cursor()
    cursor.row_factory = None  # the author may have put another one on the connection
    return cursor.execute(query, values).fetchall()
