"""What the journal says, for whoever opens it to read.

The parent at its start, and commands, beside a running nerve or without one. Each function
takes a connection on logs.db and is one statement or two; who needs several answers
of one moment begins a transaction around them.
"""

import contextlib
import json
import sqlite3
from array import array
from collections.abc import Iterable, Sequence

from nerve.store.batch import Pair, Pause, Quarantine

GRANTED = "granted_id"
"""The key in `meta` of the id up to which ids may have been handed out."""
SETTLED = "settled_id"
"""The key in `meta` of the id up to which signals are in `received` and in the counts."""
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


def settled_id(reader: sqlite3.Connection) -> int | None:
    """The id up to which signals are in `received` and in the counts; None where nothing says."""
    found = reader.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?", (SETTLED,))
    (settled,) = found.fetchone() or (None,)
    return settled


def cursors_in(reader: sqlite3.Connection) -> dict[Pair, int]:
    """All cursors: (target, source) to the last signal whose consequence is recorded."""
    rows = reader.execute("SELECT target, source, signal_id FROM cursors")
    return {(target, source): signal_id for target, source, signal_id in rows}


def last_signals_in(reader: sqlite3.Connection) -> dict[str, int]:
    """The id of the last signal of each sense that has given any; beyond all where not known."""
    # First: what is settled meanwhile is found twice then, and the other way round not at all.
    settled = settled_id(reader) or 0
    rows = reader.execute(
        f"SELECT sense, iif(min(signal_id) > 0, max(signal_id), {UNKNOWN_ID})"  # noqa: S608  a number
        " FROM received GROUP BY sense"
    )
    last = dict(rows.fetchall())
    query = "SELECT sense, max(id) FROM signals WHERE id > ? GROUP BY sense"
    for sense, signal_id in reader.execute(query, (settled,)):
        last[sense] = max(signal_id, last.get(sense, 0))
    return last


def received_in(reader: sqlite3.Connection) -> dict[Pair, int]:
    """(sense, epoch) of each outbox to the `seq` of its last signal that is recorded."""
    settled = settled_id(reader)  # first, as above
    rows = reader.execute("SELECT sense, epoch, seq FROM received")
    received = {(sense, epoch): seq for sense, epoch, seq in rows}
    if settled is not None:  # else an older nerve has written them, with each signal
        query = "SELECT sense, epoch, max(seq) FROM signals WHERE id > ? GROUP BY sense, epoch"
        received |= {
            (sense, epoch): max(seq, received.get((sense, epoch), 0))
            for sense, epoch, seq in reader.execute(query, (settled,))
        }
    return received


def quarantines(reader: sqlite3.Connection) -> list[Quarantine]:
    """All quarantines that are stored, those that are over included."""
    rows = reader.execute("SELECT sense, times, since_us, until_us, reason FROM quarantine")
    return [Quarantine(*row) for row in rows]


def pauses(reader: sqlite3.Connection) -> list[Pause]:
    """All senses that are paused."""
    rows = reader.execute("SELECT sense, since_us, reason FROM paused ORDER BY sense")
    return [Pause(*row) for row in rows]


def signal_ids_after(
    reader: sqlite3.Connection, positions: Iterable[tuple[str, int]]
) -> dict[str, "array[int]"]:
    """For each sense of `positions` the ids of its signals after the lowest of them, rising.

    In one pass, so ask for all at once: no index tells the signals of a sense, because each
    signal would pay for it.
    """
    lowest: dict[str, int] = {}
    for sense, signal_id in positions:
        lowest[sense] = min(signal_id, lowest.get(sense, signal_id))
    found = {sense: array("q") for sense in lowest}
    rows = reader.execute(
        "SELECT sense, id FROM signals"
        " WHERE id > ? AND sense IN (SELECT value FROM json_each(?)) ORDER BY id",
        (min(lowest.values(), default=UNKNOWN_ID), json.dumps(list(lowest))),
    )
    for sense, signal_id in rows:
        if signal_id > lowest[sense]:
            found[sense].append(signal_id)
    return found


def signals_of(
    reader: sqlite3.Connection, ids: Sequence[int], max_bytes: int
) -> list[tuple[int, int, str, str]]:
    """The signals of these ids, oldest first: the newest of them, up to about `max_bytes`.

    Each is (id, at_us, payload, cause), as stored.
    """
    found: list[tuple[int, int, str, str]] = []
    size = 0
    newest_first = reader.execute(
        "SELECT id, at_us, payload, cause FROM signals"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
        (json.dumps(list(ids)),),
    )
    with contextlib.closing(newest_first):
        for row in newest_first:
            found.append(row)
            size += len(row[2])
            if size >= max_bytes:
                break
    return found[::-1]
