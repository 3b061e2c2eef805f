"""The rows of one batch, table by table.

Parent, within the journal's transaction. Counts are not among them: see `nerve.store.decisions`,
and for those of signals `nerve.store.marks`.
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple

from nerve.store.batch import Batch, LogEntry, Pair, Pause, Quarantine, SignalEntry


def payload_bytes(batch: Batch) -> int:
    """About how large the payloads of a batch are."""
    return sum(len(entry.payload) for entry in batch.entries)


def put_entries(
    raw: sqlite3.Connection, ids: Sequence[int | None], entries: Sequence[SignalEntry | LogEntry]
) -> None:
    """Insert signals and log rows under their ids; without one it is left out."""
    signals: list[tuple[int | str, ...]] = []
    logs: list[tuple[int | str | None, ...]] = []
    for key, e in zip(ids, entries, strict=True):
        if key is None:
            continue
        if isinstance(e, SignalEntry):
            signals.append((key, e.sense, e.at_us, e.epoch, e.seq, e.payload, e.cause))
        else:
            logs.append((key, e.at_us, e.source, e.type, e.level, e.ref, e.payload))
    _put(
        raw,
        "INSERT INTO signals (id, sense, at_us, epoch, seq, payload, cause)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        signals,
    )
    _put(
        raw,
        "INSERT INTO logs (id, at_us, source, type, level, ref, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        logs,
    )


def put_rest(raw: sqlite3.Connection, batch: Batch) -> None:
    """Write what moves with the entries of a batch."""
    _put(raw, "DELETE FROM cursors WHERE target = ? AND source = ?", batch.forgotten)
    _put_cursors(raw, batch.cursors)
    _put_quarantines(raw, batch.quarantines)
    _put_paused(raw, batch.paused)
    put_meta(raw, batch.meta)


def put_meta(raw: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    """Store facts about the installation, by their names."""
    _put(
        raw,
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET value = excluded.value",
        list(facts.items()),
    )


def _put_cursors(raw: sqlite3.Connection, cursors: Mapping[Pair, int]) -> None:
    _put(
        raw,
        "INSERT INTO cursors (target, source, signal_id) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET signal_id = max(signal_id, excluded.signal_id)",
        [(*pair, signal_id) for pair, signal_id in cursors.items()],
    )


def _put_quarantines(raw: sqlite3.Connection, quarantines: Mapping[str, Quarantine | None]) -> None:
    for sense, quarantine in quarantines.items():
        raw.execute("DELETE FROM quarantine WHERE sense = ?", (sense,))
        if quarantine is not None:
            raw.execute(
                "INSERT INTO quarantine (sense, times, since_us, until_us, reason)"
                " VALUES (?, ?, ?, ?, ?)",
                astuple(quarantine),
            )


def _put_paused(raw: sqlite3.Connection, paused: Mapping[str, Pause | None]) -> None:
    for sense, pause in paused.items():
        raw.execute("DELETE FROM paused WHERE sense = ?", (sense,))
        if pause is not None:
            raw.execute(
                "INSERT INTO paused (sense, since_us, reason) VALUES (?, ?, ?)", astuple(pause)
            )


def _put(
    raw: sqlite3.Connection, statement: str, rows: Collection[Sequence[int | str | None]]
) -> None:
    if rows:  # else asking SQLite would cost as much as a row
        raw.executemany(statement, rows)
