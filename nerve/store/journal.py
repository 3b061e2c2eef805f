"""The journal, `logs.db`: signals, log rows, and how far everybody has got.

Parent only, and within it one thread at a time; commands read it through
`open_reader`. Everything that belongs together comes as one `Batch` and is one
transaction: a signal, the outcome it is, the cursor it moves, the log rows
around it. Either all of it is durable or none, and then the caller has the
exception and the batch still in hand (commit, then tell).

Signals and log rows take their ids from one sequence, handed out here by the only
writer. So both together are one strictly ordered timeline that one number
continues, and a signal needs no second row to appear in the log. A repeated signal is told by a
high-water mark per outbox (`nerve.store.marks`), which costs less than a unique index.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeVar

from nerve.errors import DatabaseCorrupt, StateError
from nerve.store.batch import Batch, LogEntry, Pair, Pause, Quarantine, SignalEntry
from nerve.store.decisions import Changes, Runs
from nerve.store.faults import NEEDS_NEW_CONNECTION, explain, explained, primary_code
from nerve.store.journal_reading import (
    GRANTED,
    SETTLED,
    cursors_in,
    granted_id,
    newest_id,
    pauses,
    quarantines,
    settled_id,
)
from nerve.store.marks import SIGNAL, HighWater, Marks, note
from nerve.store.place import Place, close_untouched
from nerve.store.schema import JOURNAL_HEAD, is_at
from nerve.store.sqlite import BUSY_TIMEOUT_MS, open_owner

Result = TypeVar("Result")

CORRUPT_HINT = "it is left as it is, nothing more is triggered: stop nerve, restore or repair it"
CHECKPOINT_PAGES = 1_000
"""About so many pages of the WAL are written back between two batches."""
BACKSTOP_PAGES = 4 * CHECKPOINT_PAGES
"""So many, and SQLite does it within a commit: a signal has to wait for it."""
COMMIT_PAGES = 4
"""That a commit touches, besides what its rows fill."""
ROW_BYTES = 250
"""Of a row without its payload."""
PAGE_BYTES = 4_096
AT_ONCE_ROWS = 100
"""Rows that the loop may write itself; about a millisecond, for which ticks are late."""
IDS_AHEAD = 10_000
"""Ids that one sync vouches for where commits are not synced: the gap that a crash leaves."""
_OF_THE_BATCH = frozenset({sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG})
"""Errors that the same batch would meet for ever: they must not hold up what comes after."""


@dataclass(frozen=True, slots=True)
class Crash:
    """An earlier run of the parent that left no word of its end."""

    boot: str
    pid: int
    started_us: int


class Journal:
    """The one writer of `logs.db`."""

    def __init__(self, path: Path, *, full_sync: bool = True) -> None:
        """Open, create or migrate; raises StateError: DatabaseError and its kin, and others.

        Without `full_sync` a power loss may take the last commits. The death of the process
        takes none either way.
        """
        self._path = path
        self._full_sync = full_sync
        self._damage = ""
        self._is_broken = False
        self._restored = 0
        self._runs = Runs()
        self._wal_pages = 0
        self._open()
        try:
            prepare_journal(self._raw)
            self._granted_id = granted_id(self._raw)
            self._next_id = max(newest_id(self._raw), self._granted_id) + 1
            self._settle_from(newest_id(self._raw))
            self._high_water = HighWater(self._raw)
        except sqlite3.Error as error:
            self._raw.close()
            raise explain(error, path) from error
        except BaseException:
            self._raw.close()
            raise

    def commit(self, batch: Batch) -> list[int | None]:
        """Make a batch durable; return an id per entry, None for a signal known already.

        Nothing of the batch was stored when it raises. StateError: the database cannot be
        written now. Another exception: no database would take this batch.
        """
        self._require_usable()
        try:
            self._wait_for_locks(BUSY_TIMEOUT_MS)
            self._grant(len(batch.entries))
            return self._write(batch)
        except sqlite3.Error as error:
            if primary_code(error) in _OF_THE_BATCH:
                raise
            raise self._explained(error) from error

    def commit_at_once(self, batch: Batch) -> list[int | None] | None:
        """Commit where nothing has to be waited for: no sync, no lock, no repair.

        That takes some microseconds, so the loop may do it. None where it would have to, or where
        it fails; then nothing was stored, and `commit` finds out why.
        """
        is_well = not (self._full_sync or self._damage or self._is_broken)
        is_short = self._rows(batch) <= AT_ONCE_ROWS
        if not (is_well and is_short and self._is_granted(len(batch.entries))):
            return None
        try:
            if not self._place.is_held():
                return None
            self._wait_for_locks(0)
            return self._write(batch)
        except Exception:  # noqa: BLE001  whatever it is, `commit` meets it again and tells
            return None

    def _write(self, batch: Batch) -> list[int | None]:
        new: Marks = {}
        try:
            self._raw.execute("BEGIN IMMEDIATE")
            ids = self._insert(batch, new)
            self._move(batch)
            settles, changes = self._count(batch, new)
            self._place.require()  # once more: an insert may have waited long for the disk
            self._raw.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._next_id += sum(1 for entry_id in ids if entry_id is not None)
        self._high_water.take(new)
        self._runs.adopt(changes)
        if settles:
            self._high_water.settled()
        size = sum(ROW_BYTES + len(entry.payload) for entry in batch.entries)
        self._wal_pages += COMMIT_PAGES + size // PAGE_BYTES
        return ids

    def _settles(self, batch: Batch) -> bool:
        return self._high_water.is_due() or not batch.entries

    def _rows(self, batch: Batch) -> int:
        """About how many rows a commit changes."""
        marks = self._high_water.unsettled if self._settles(batch) else 0
        return len(batch.entries) + len(batch.cursors) + len(batch.counts) + marks

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether about CHECKPOINT_PAGES wait in the WAL."""
        return self._wal_pages >= CHECKPOINT_PAGES

    def checkpoint(self) -> None:
        """Write the WAL back into the file, so that no commit has to; raises StateError."""
        self._wal_pages = 0
        self._require_usable()
        try:
            self._raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise self._explained(error) from error
        if not self._full_sync and not self.is_settled:
            self.settle()  # the first commit after it syncs the head of the WAL

    def perform(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Let `work` do something of its own to the database, e.g. delete what was archived.

        It begins and ends its transactions itself, and each is synced, because files beside the
        database are made and deleted on the strength of it. Raises StateError where the database
        cannot be written now.
        """
        self._require_usable()
        if not self.is_settled:
            self.settle()  # by the rows of signals, which `work` may delete
        try:
            with self._synced():
                return work(self._raw)
        except BaseException as error:
            self._roll_back()
            if isinstance(error, sqlite3.Error):
                raise self._explained(error) from error
            raise

    def place_cursor(self, pair: Pair, signal_id: int, told: LogEntry) -> None:
        """Put a cursor where a person wants it, back as well, with the log row that tells of it.

        Raises StateError, and then nothing was stored.
        """
        with explained(self._path):
            self._raw.execute("BEGIN IMMEDIATE")
            try:
                self._raw.execute("DELETE FROM cursors WHERE target = ? AND source = ?", pair)
                self._insert(Batch([told]), {})
                self._put_cursors({pair: signal_id})
                self._raw.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        self._next_id += 1

    def settle(self) -> None:
        """Write down what follows from the signals that are recorded; raises StateError."""
        self.commit(Batch())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left for `settle`."""
        return not self._high_water.unsettled

    def take_restored(self) -> int:
        """How often the file had to be written back, because it was deleted; counts anew."""
        restored, self._restored = self._restored, 0
        return restored

    def _open(self) -> None:
        self._raw = open_owner(self._path, full_sync=self._full_sync, any_thread=True)
        self._busy_ms = BUSY_TIMEOUT_MS
        try:
            # Where commits are not synced, none should come to sync for a checkpoint.
            pages = BACKSTOP_PAGES if self._full_sync else 0
            self._raw.execute(f"PRAGMA wal_autocheckpoint={pages}")
            self._place = Place(self._path)
        except BaseException:
            self._raw.close()
            raise

    @contextlib.contextmanager
    def _synced(self) -> Iterator[None]:
        """Sync each commit inside, outside a transaction, and with it all that came before."""
        if self._full_sync:
            yield
            return
        self._raw.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            self._roll_back()  # it cannot be changed in a transaction
            with contextlib.suppress(sqlite3.Error):  # then each commit is synced; all the better
                self._raw.execute("PRAGMA synchronous=NORMAL")

    def _grant(self, number: int) -> None:
        """Without `full_sync`: see that no id of the next ones is ever handed out twice.

        A power loss takes commits whose ids have been told: a sense's database says which signal
        it has answered, a reader which entry it saw last. So a bound is synced before ids below it
        are used, and the next start goes on behind it.
        """
        if self._is_granted(number):
            return
        granted = self._next_id + number + IDS_AHEAD
        with self._synced():
            self._put_meta({GRANTED: str(granted)})
        self._granted_id = granted

    def _is_granted(self, number: int) -> bool:
        return self._full_sync or self._next_id + number <= self._granted_id

    def _wait_for_locks(self, most_ms: int) -> None:
        if self._busy_ms != most_ms:
            self._raw.execute(f"PRAGMA busy_timeout={most_ms}")
            self._busy_ms = most_ms

    def _settle_from(self, signal_id: int) -> None:
        """In a journal where nothing says up to where `received` goes, it goes to the end."""
        if settled_id(self._raw) is None:
            self._put_meta({SETTLED: str(signal_id)})

    def _require_usable(self) -> None:
        """Raise StateError unless what is written now will be in the file at the path."""
        if self._damage:
            raise DatabaseCorrupt(self._damage, path=self._path, hint=CORRUPT_HINT)
        if not self._place.is_held():
            self._is_broken = True
            self._place.put_back(self._raw)
            self._restored += 1
        if self._is_broken:
            # Closed first: the other way round it would drop the locks of the new connection.
            self._raw.close()
            self._open()
            self._is_broken = False

    def _roll_back(self) -> None:
        try:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
        except sqlite3.Error:
            self._is_broken = True  # and the next commit begins on a new connection

    def _explained(self, error: sqlite3.Error) -> StateError:
        explained = explain(error, self._path)
        if isinstance(explained, DatabaseCorrupt):
            self._damage, explained.hint = str(explained), CORRUPT_HINT
        self._is_broken = self._is_broken or explained.fault in NEEDS_NEW_CONNECTION
        return explained

    def _insert(self, batch: Batch, new: Marks) -> list[int | None]:
        """Insert what is new of the entries, and add its signals to `new`; return the ids."""
        ids: list[int | None] = []
        signals: list[tuple[int | str, ...]] = []
        logs: list[tuple[int | str | None, ...]] = []
        next_id = self._next_id
        for entry in batch.entries:
            if isinstance(entry, LogEntry):
                logs.append(_log_row(next_id, entry))
            elif self._high_water.is_known(entry, new):
                ids.append(None)
                continue
            else:
                signals.append(_signal_row(next_id, entry))
                note(new, entry, next_id)
            ids.append(next_id)
            next_id += 1
        self._put(
            "INSERT INTO signals (id, sense, at_us, epoch, seq, payload, cause)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            signals,
        )
        self._put(
            "INSERT INTO logs (id, at_us, source, type, level, ref, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            logs,
        )
        return ids

    def _move(self, batch: Batch) -> None:
        """Write what moves with the entries."""
        self._put("DELETE FROM cursors WHERE target = ? AND source = ?", batch.forgotten)
        self._put_cursors(batch.cursors)
        self._put_quarantines(batch.quarantines)
        self._put_paused(batch.paused)
        self._put_meta(batch.meta)

    def _count(self, batch: Batch, new: Marks) -> tuple[bool, Changes]:
        """Write the counts, those of signals now and then; whether they are settled with this."""
        counts = batch.counts
        settles = bool(new or not self.is_settled)
        settles = settles and self._settles(batch)
        if settles:
            newest = max((mark.signal_id for mark in new.values()), default=self.newest_id)
            told = self._high_water.settle(self._raw, new, newest)
            # First: it is the older word.
            counts = {s: {SIGNAL: counted} | counts.get(s, {}) for s, counted in told.items()}
            counts |= {s: words for s, words in batch.counts.items() if s not in told}
        return settles, self._runs.write(self._raw, counts)

    def _put(self, statement: str, rows: Collection[Sequence[int | str | None]]) -> None:
        if rows:  # else asking SQLite would cost as much as a row
            self._raw.executemany(statement, rows)

    def _put_cursors(self, cursors: Mapping[Pair, int]) -> None:
        self._put(
            "INSERT INTO cursors (target, source, signal_id) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET signal_id = max(signal_id, excluded.signal_id)",
            [(*pair, signal_id) for pair, signal_id in cursors.items()],
        )

    def _put_quarantines(self, quarantines: Mapping[str, Quarantine | None]) -> None:
        for sense, quarantine in quarantines.items():
            self._raw.execute("DELETE FROM quarantine WHERE sense = ?", (sense,))
            if quarantine is not None:
                self._raw.execute(
                    "INSERT INTO quarantine (sense, times, since_us, until_us, reason)"
                    " VALUES (?, ?, ?, ?, ?)",
                    astuple(quarantine),
                )

    def _put_paused(self, paused: Mapping[str, Pause | None]) -> None:
        for sense, pause in paused.items():
            self._raw.execute("DELETE FROM paused WHERE sense = ?", (sense,))
            if pause is not None:
                self._raw.execute(
                    "INSERT INTO paused (sense, since_us, reason) VALUES (?, ?, ?)", astuple(pause)
                )

    def _put_meta(self, facts: Mapping[str, str]) -> None:
        self._put(
            "INSERT INTO meta (key, value) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            list(facts.items()),
        )

    @property
    def newest_id(self) -> int:
        """The id of the newest entry that is durable, or is just being made so."""
        return self._next_id - 1

    def received(self) -> dict[str, dict[str, int]]:
        """For each sense, by epoch, the last `seq` of its outbox that is recorded."""
        found: dict[str, dict[str, int]] = {}
        for (sense, epoch), seq in list(self._high_water.seqs.items()):
            found.setdefault(sense, {})[epoch] = seq
        return found

    def quarantines(self) -> list[Quarantine]:
        """All quarantines that are stored, those that are over included."""
        return quarantines(self._raw)

    def pauses(self) -> list[Pause]:
        """All senses that are paused."""
        return pauses(self._raw)

    def cursors(self) -> dict[Pair, int]:
        """All cursors: (target, source) to the last signal or tick whose outcome is recorded."""
        return cursors_in(self._raw)

    def last_seen_us(self) -> int | None:
        """About when the last run of nerve was last alive; None where there was none.

        One that was killed was alive at its last outcome: a tick after that would have had one.
        """
        # Not the newest log row: commands write such, too, while nerve does not run.
        (last_us,) = self._raw.execute(
            "SELECT CASE ended WHEN 'stopped' THEN ended_us ELSE max(started_us,"
            " coalesce((SELECT max(last_at_us) FROM outcomes), 0),"
            " coalesce((SELECT at_us FROM signals ORDER BY id DESC LIMIT 1), 0)) END"
            " FROM boots ORDER BY id DESC LIMIT 1"
        ).fetchone() or (None,)
        return None if last_us is None else int(last_us)

    def boots(self) -> set[str]:
        """The ids of all runs that this journal knows, the present one included."""
        return {boot for (boot,) in self._raw.execute("SELECT boot FROM boots")}

    def installation(self, candidate: str) -> str:
        """The id of this installation: `candidate` if it has none yet, and from then on that."""
        with explained(self._path):
            self._raw.execute(
                "INSERT INTO meta (key, value) VALUES ('installation', ?) ON CONFLICT DO NOTHING",
                (candidate,),
            )
            query = "SELECT value FROM meta WHERE key = 'installation'"
            (found,) = self._raw.execute(query).fetchone()
        return str(found)

    def begin_boot(self, boot: str, *, pid: int, version: str, at_us: int) -> list[Crash]:
        """Note the start of a parent; close those before it that never noted their end."""
        with explained(self._path):
            self._raw.execute("BEGIN IMMEDIATE")
            rows = self._raw.execute("SELECT boot, pid, started_us FROM boots WHERE ended IS NULL")
            crashes = [Crash(*row) for row in rows.fetchall()]
            self._raw.execute(
                "UPDATE boots SET ended = 'crashed', ended_us = ? WHERE ended IS NULL", (at_us,)
            )
            self._raw.execute(
                "INSERT INTO boots (boot, pid, version, started_us) VALUES (?, ?, ?, ?)",
                (boot, pid, version, at_us),
            )
            self._raw.execute("COMMIT")
        return crashes

    def end_boot(self, boot: str, *, how: str, at_us: int) -> None:
        """Note the end of a parent that had the time to."""
        with explained(self._path):
            self._raw.execute(
                "UPDATE boots SET ended = ?, ended_us = ? WHERE boot = ?", (how, at_us, boot)
            )

    def close(self) -> None:
        """Checkpoint and close: afterwards the journal is one file.

        A checkpoint that fails, on a full disk say, loses nothing: the next start makes it.
        A damaged journal is left as it is.
        """
        if self._damage:
            close_untouched(self._raw, self._path)
            return
        with contextlib.suppress(sqlite3.Error, StateError):
            if not self.is_settled:
                self.settle()
            if self._granted_id > self.newest_id:  # what the checkpoint syncs needs no bound
                self._put_meta({GRANTED: str(self.newest_id)})
            self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._raw.close()


def _signal_row(entry_id: int, entry: SignalEntry) -> tuple[int | str, ...]:
    return (
        entry_id,
        entry.sense,
        entry.at_us,
        entry.epoch,
        entry.seq,
        entry.payload,
        entry.cause,
    )


def _log_row(entry_id: int, entry: LogEntry) -> tuple[int | str | None, ...]:
    return (
        entry_id,
        entry.at_us,
        entry.source,
        entry.type,
        entry.level,
        entry.ref,
        entry.payload,
    )


def prepare_journal(raw: sqlite3.Connection) -> list[str]:
    """Bring logs.db to JOURNAL_HEAD; return the revisions applied, none at a usual start.

    Raises DatabaseNewer, MigrationFailed or another DatabaseError.
    """
    if is_at(raw, JOURNAL_HEAD):
        return []
    # Late: SQLAlchemy and Alembic cost the parent 0.3 s, and only a new version needs them.
    from nerve.store.migrations import JOURNAL_SCHEMA, upgrade

    return upgrade(raw, JOURNAL_SCHEMA)
