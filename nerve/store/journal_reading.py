"""What the journal says, for whoever opens it to read.

The parent at its start, and commands, beside a running nerve or without one. Each function
takes a connection on logs.db and is one statement or two; who needs several answers
of one moment begins a transaction around them.
"""

import contextlib
import sqlite3

from nerve.store.batch import Pair, Pause, Quarantine

GRANTED = "granted_id"
"""The key in `meta` of the id up to which ids may have been handed out."""
UNKNOWN_ID = 2**63 - 1
"""Of a signal that was received before its id was noted."""


def newest_id(reader: sqlite3.Connection) -> int:
    """The id of the newest durable entry, 0 when there is none."""
    # From the sequences and not from the tables: archived rows are gone, their ids stay taken.
    (newest,) = reader.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name IN ('signals', 'logs')"
    ).fetchone()
    return int(newest)


def granted_id(reader: sqlite3.Connection) -> int:
    """The id up to which one may have been handed out whose row a power loss took; 0 for none."""
    found = reader.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?", (GRANTED,))
    (granted,) = found.fetchone() or (0,)
    return int(granted)


def cursors_in(reader: sqlite3.Connection) -> dict[Pair, int]:
    """All cursors: (target, source) to the last signal whose consequence is recorded."""
    rows = reader.execute("SELECT target, source, signal_id FROM cursors")
    return {(target, source): signal_id for target, source, signal_id in rows}


def last_signals_in(reader: sqlite3.Connection) -> dict[str, int]:
    """The id of the last signal of each sense that has given any; beyond all where not known."""
    rows = reader.execute(
        f"SELECT sense, iif(min(signal_id) > 0, max(signal_id), {UNKNOWN_ID})"  # noqa: S608  a number
        " FROM received GROUP BY sense"
    )
    return dict(rows.fetchall())


def quarantines(reader: sqlite3.Connection) -> list[Quarantine]:
    """All quarantines that are stored, those that are over included."""
    rows = reader.execute("SELECT sense, times, since_us, until_us, reason FROM quarantine")
    return [Quarantine(*row) for row in rows]


def pauses(reader: sqlite3.Connection) -> list[Pause]:
    """All senses that are paused."""
    rows = reader.execute("SELECT sense, since_us, reason FROM paused ORDER BY sense")
    return [Pause(*row) for row in rows]


def signals_after(
    reader: sqlite3.Connection, sense: str, signal_id: int, limit: int, max_bytes: int
) -> tuple[list[tuple[int, int, str, str]], int]:
    """The newest signals of a sense after an id, oldest first, and how many more there are.

    Each is (id, at_us, payload, cause), as stored: at most `limit` of them, and about `max_bytes`
    of payload.
    """
    where = "FROM signals WHERE id > ? AND sense = ?"
    (count,) = reader.execute(f"SELECT count(*) {where}", (signal_id, sense)).fetchone()
    found: list[tuple[int, int, str, str]] = []
    size = 0
    newest_first = reader.execute(
        f"SELECT id, at_us, payload, cause {where} ORDER BY id DESC LIMIT ?",
        (signal_id, sense, limit),
    )
    with contextlib.closing(newest_first):
        for row in newest_first:
            found.append(row)
            size += len(row[2])
            if size >= max_bytes:
                break
    return found[::-1], count - len(found)
