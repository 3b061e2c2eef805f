"""Deleting what is older than its retention, and giving the pages back to the disk.

Worker, main thread, between computes: after one has been reported, in transactions of its own, so
that no signal waits for it and no compute can fail of it. A *pass* looks at every table of one
sense that has a retention and then at the free pages. It is made of *steps*, each a batch that is
committed before the next is looked for; a kill at any point therefore leaves a sound database,
out of which nothing but old rows are gone. Between two steps it is looked whether the parent
wants anything, so a message waits for one step at the most. That one is kept short: batches grow
and shrink with the time they take, and a statement that takes STEP_LIMIT_S all the same (rows that
drag many others along) is interrupted, rolled back, and tried with fewer rows.
"""

import logging
import math
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from nerve.clock import Clock
from nerve.config.sizes import show_size
from nerve.store.sqlite import JOURNAL_SIZE_LIMIT_BYTES
from nerve.wire.messages import RetentionRule
from nerve.worker.old_rows import STEP_LIMIT_S, FreePages, OldRows, free_pages

PASS_EVERY_S = 300.0
"""Between the beginnings of two passes over one sense: how late an old row may go."""
PASS_BUDGET_S = 0.25
"""What a pass may take at a time while nobody wants anything; the rest waits for RESUME_AFTER_S."""
RESUME_AFTER_S = 1.0
"""Until an unfinished pass goes on: a group that is always busy gives it one step a second."""
MAX_WAL_BYTES = JOURNAL_SIZE_LIMIT_BYTES
"""A -wal that is longer after a step has written is one that a reader keeps from starting over:
deleting only lets it grow, so the pass ends. Before that it may be a compute that wrote so much."""
PROGRESS_STEPS = 1_000
"""SQLite virtual machine steps between two looks at the clock, a tenth of a millisecond at most."""


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
        self._log = logging.getLogger(f"sense.{sense}")
        self._clock = clock
        self._wal = path.with_name(f"{path.name}-wal")
        self._tasks: list[Task] = [OldRows(sense, rule, clock) for rule in found]
        self._tasks.append(FreePages(clock))
        self._left: list[Task] = []
        self._due_s = -math.inf
        self._limit_s = math.inf

    def prepare(self, raw: sqlite3.Connection) -> None:
        """Have the driver make ready what each pass asks."""
        free_pages(raw)

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
            while left:
                self._limit_s = self._clock.monotonic() + STEP_LIMIT_S
                before = _written(raw)
                if not left[0].step(raw):
                    del left[0]
                if _written(raw) != before and self._wal_is_long():
                    return
                if self._clock.monotonic() >= began_s + PASS_BUDGET_S or is_wanted():
                    break
        finally:
            self._limit_s = math.inf
        if left:
            self._left, self._due_s = left, began_s + RESUME_AFTER_S

    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._limit_s

    def _wal_is_long(self) -> bool:
        try:
            size = self._wal.stat().st_size
        except OSError:  # not there: a database in memory, or a deleted one, which others tell
            return False
        if size > MAX_WAL_BYTES:
            self._log.info(
                "retention: %s has %s; old rows wait until it starts over, which a long read by "
                "another process prevents",
                self._wal,
                show_size(size),
            )
        return size > MAX_WAL_BYTES


def _written(raw: sqlite3.Connection) -> tuple[int, int]:
    """Something that a step changes by what it writes: rows, or the number of free pages."""
    return raw.total_changes, free_pages(raw)
