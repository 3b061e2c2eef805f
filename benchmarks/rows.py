"""A row in a WAL database, as bare as can be: what the floor and every peer write."""

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

SAID = "one row"
GROWTH_COMMITS = 1_100
"""SQLite writes a WAL over once it has a thousand pages, and these add a page each. Until then the
file grows, and every sync waits for the file system's own journal too."""
INSERT = "INSERT INTO seen (at_us, said) VALUES (?, ?)"


def open_wal(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open a WAL database with one table; every statement is a transaction of its own."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute(f"PRAGMA synchronous={synchronous}")
    raw.execute("CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY, at_us INTEGER, said TEXT)")
    return raw


def insert(raw: sqlite3.Connection, said: str = SAID) -> None:
    """Insert one row in a transaction of its own."""
    raw.execute(INSERT, (time.time_ns() // 1_000, said))


def insert_together(raw: sqlite3.Connection, all_said: Iterable[str]) -> None:
    """Insert rows in one transaction."""
    raw.execute("BEGIN IMMEDIATE")
    for said in all_said:
        insert(raw, said)
    raw.execute("COMMIT")


def grow(raw: sqlite3.Connection, synchronous: str) -> None:
    """Write so much that the WAL grows no more, as after some minutes of use."""
    raw.execute("PRAGMA synchronous=OFF")
    for _ in range(GROWTH_COMMITS):
        insert(raw)
    raw.execute(f"PRAGMA synchronous={synchronous}")
