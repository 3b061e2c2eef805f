"""Log rows for the benchmarks of the log store, and databases to put them into.

The rows are those of a usual run: most of them informational, one in a hundred a warning, one in
a thousand an error, from twenty sources, spread evenly over SPAN_DAYS. The floors' databases
are opened as nerve opens its own, with the same tables, so that the pragmas are the same.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from nerve.clock import US_PER_S
from nerve.store.batch import LogEntry
from nerve.store.journal import Journal
from nerve.store.sqlite import open_owner

SPAN_DAYS = 60
"""Half of them are older than what stays in logs.db."""
DAY_US = 86_400 * US_PER_S
SOURCES = 20
BATCH_ROWS = 100
"""What one commit carries: a busy turn of the parent's loop."""
INSERT = "INSERT INTO logs (at_us, source, type, level, ref, payload) VALUES (?, ?, ?, ?, ?, ?)"
INDEXES = ("logs_source", "logs_type", "logs_ref", "logs_trouble")


def batches(count: int, span_days: int = SPAN_DAYS) -> Iterator[list[LogEntry]]:
    """Make `count` rows, a batch at a time; the same ones each time but for when they begin."""
    dice = random.Random(1)  # noqa: S311  no secret
    begin_us, step_us = time.time_ns() // 1_000 - span_days * DAY_US, span_days * DAY_US // count
    for first in range(0, count, BATCH_ROWS):
        yield [_row(dice, n, begin_us + n * step_us) for n in range(first, first + BATCH_ROWS)]


def _row(dice: random.Random, number: int, at_us: int) -> LogEntry:
    chance, source = dice.random(), f"sense-{dice.randrange(SOURCES)}"
    text = f"line {number} of what a sense prints, some hundred characters long, as they often are"
    payload = json.dumps({"message": text, "number": number})
    if number % 100_000 == 0:
        return LogEntry(at_us, source, "worker.died", "error", None, payload)
    if chance < 0.001:  # noqa: PLR2004  see above
        type_, level = "compute.error", "error"
    elif chance < 0.01:  # noqa: PLR2004
        type_, level = "compute.soft_timeout", "warning"
    else:
        type_, level = dice.choice(("log", "output", "output")), "info"
    return LogEntry(at_us, source, type_, level, f"trigger:3f2a91c0/{number // 3}", payload)


class Floor:
    """A table `logs` as nerve has it, and the least that is needed to fill it."""

    def __init__(self, path: Path, *, indexes: frozenset[str]) -> None:
        """Make the database; it has those of INDEXES that are named."""
        Journal(path).close()
        self._raw = open_owner(path, full_sync=True)
        for name in INDEXES:
            if name not in indexes:
                self._raw.execute(f"DROP INDEX {name}")

    def commit(self, rows: list[tuple[object, ...]]) -> None:
        """Insert rows in one transaction."""
        self._raw.execute("BEGIN IMMEDIATE")
        self._raw.executemany(INSERT, rows)
        self._raw.execute("COMMIT")

    def close(self) -> None:
        """Close it."""
        self._raw.close()


def plain(rows: list[LogEntry]) -> list[tuple[object, ...]]:
    """Return rows as the driver takes them."""
    return [tuple(row) for row in rows]


def archive_plainly(path: Path, out: Path, before_us: int) -> None:
    """The least that an archive does: rows into one file, synced; then deleted, at once."""
    raw = open_owner(path, full_sync=True)
    with out.open("w") as file:
        columns = "id, at_us, source, type, level, ref, payload"
        for row in raw.execute(f"SELECT {columns} FROM logs WHERE at_us < ?", (before_us,)):  # noqa: S608  our own names
            file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())
    raw.execute("DELETE FROM logs WHERE at_us < ?", (before_us,))
    raw.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
