"""The journal, `logs.db`: signals, log rows, and how far everybody has got.

Parent only, and within it one thread at a time; commands read it through
`open_reader`. Everything that belongs together comes as one `Batch` and is one
transaction: a signal, the outcome it is, the cursor it moves, the log rows
around it. Either all of it is durable or none, and then the caller has the
exception and the batch still in hand (commit, then tell).

    journal_file     the connection: usable or not, locks, syncs, checkpoints
    journal_ids      which ids are used, and which may be
    journal_rows     the rows of one batch
    marks            which signals are recorded already
    decisions        what became of triggers, counted
    boots            the runs of nerve
    journal_reading  what it says, also to whoever cannot write
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nerve.errors import StateError
from nerve.store import boots
from nerve.store.batch import Batch, LogEntry, Pair, Pause, Quarantine, SignalEntry
from nerve.store.boots import Crash
from nerve.store.decisions import Runs
from nerve.store.faults import explained, primary_code
from nerve.store.journal_file import JournalFile
from nerve.store.journal_ids import Ids
from nerve.store.journal_reading import cursors_in, pauses, quarantines
from nerve.store.journal_rows import payload_bytes, put_entries, put_rest
from nerve.store.marks import HighWater, Marks, note
from nerve.store.sqlite import BUSY_TIMEOUT_MS

Result = TypeVar("Result")

AT_ONCE_ROWS = 100
"""Rows that the loop may write itself; about a millisecond, for which ticks are late."""
AT_ONCE_BYTES = 256 * 1024
"""Of payloads, likewise."""
_OF_THE_BATCH = frozenset({sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG})
"""Errors that the same batch would meet for ever: they must not hold up what comes after."""


class Journal:
    """The one writer of `logs.db`."""

    def __init__(self, path: Path, *, full_sync: bool = True) -> None:
        """Open, create or migrate; raises StateError: DatabaseError and its kin, and others.

        Without `full_sync` a power loss may take the last commits. The death of the process
        takes none either way.
        """
        self._file = JournalFile(path, full_sync=full_sync)
        self._runs = Runs()
        with self._file.closed_on_failure():
            self._ids = Ids(self._raw, full_sync=full_sync)
            self._high_water = HighWater(self._raw)

    @property
    def _raw(self) -> sqlite3.Connection:
        return self._file.raw

    def commit(self, batch: Batch) -> list[int | None]:
        """Make a batch durable; return an id per entry, None for a signal known already.

        Nothing of the batch was stored when it raises. StateError: the database cannot be
        written now. Another exception: no database would take this batch.
        """
        self._file.require_usable()
        try:
            self._file.wait_for_locks(BUSY_TIMEOUT_MS)
            if not self._ids.are_granted(len(batch.entries)):
                with self._file.synced():
                    self._ids.grant(self._raw, len(batch.entries))
            return self._write(batch)
        except sqlite3.Error as error:
            if primary_code(error) in _OF_THE_BATCH:
                raise
            raise self._file.explained(error) from error

    def commit_at_once(self, batch: Batch) -> list[int | None] | None:
        """Commit where nothing has to be waited for: no sync, no lock, no repair.

        That takes some microseconds, so the loop may do it. None where it would have to, or where
        it fails; then nothing was stored, and `commit` finds out why.
        """
        is_long = self._rows(batch) > AT_ONCE_ROWS or payload_bytes(batch) > AT_ONCE_BYTES
        if self._file.full_sync or is_long:
            return None
        try:
            if not (self._ids.are_granted(len(batch.entries)) and self._file.is_usable()):
                return None
            self._file.wait_for_locks(0)
            return self._write(batch)
        except Exception:  # noqa: BLE001  whatever it is, `commit` meets it again and tells
            return None

    def _write(self, batch: Batch) -> list[int | None]:
        raw, new = self._raw, Marks()
        changes_before = raw.total_changes
        try:
            raw.execute("BEGIN IMMEDIATE")
            ids = self._insert(batch, new)
            put_rest(raw, batch)
            settles = bool(new or not self.is_settled) and self._settles(batch)
            counts = self._high_water.settle(raw, new, batch.counts) if settles else batch.counts
            changes = self._runs.write(raw, counts)
            self._file.require_place()  # once more: an insert may have waited long for the disk
            raw.execute("COMMIT")
        except BaseException:
            self._file.roll_back()
            raise
        self._ids.newest += sum(1 for entry_id in ids if entry_id is not None)
        self._high_water.take(new)
        self._runs.adopt(changes)
        if settles:
            self._high_water.settled()
        self._file.note_commit(raw.total_changes - changes_before, payload_bytes(batch))
        return ids

    def _insert(self, batch: Batch, new: Marks) -> list[int | None]:
        """Insert what is new of the entries, and add its signals to `new`; return the ids."""
        ids: list[int | None] = []
        next_id = self._ids.newest + 1
        for entry in batch.entries:
            if isinstance(entry, SignalEntry):
                if self._high_water.is_known(entry, new):
                    ids.append(None)
                    continue
                note(new, entry, next_id)
            ids.append(next_id)
            next_id += 1
        put_entries(self._raw, ids, batch.entries)
        return ids

    def _settles(self, batch: Batch) -> bool:
        """Whether marks that wait are written with a batch."""
        return self._high_water.is_due() or not batch.entries

    def _rows(self, batch: Batch) -> int:
        """About how many rows a commit changes."""
        marks = self._high_water.unsettled if self._settles(batch) else 0
        return len(batch.entries) + len(batch.cursors) + len(batch.counts) + marks

    def settle(self) -> None:
        """Write down what follows from the signals that are recorded; raises StateError."""
        self.commit(Batch())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left for `settle`."""
        return not self._high_water.unsettled

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether so much waits in the WAL that it should be written back."""
        return self._file.is_checkpoint_due

    def checkpoint(self) -> None:
        """Write the WAL back into the file, so that no commit has to; raises StateError."""
        self._file.checkpoint()
        if not self._file.full_sync and not self.is_settled:
            self.settle()  # the first commit after it syncs the head of the WAL

    def perform(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Let `work` do something of its own to the database, e.g. delete what was archived.

        It begins and ends its transactions itself, and each is synced, because files beside the
        database are made and deleted on the strength of it. Raises StateError where the database
        cannot be written now.
        """
        self._file.require_usable()
        if not self.is_settled:
            self.settle()  # by the rows of signals, which `work` may delete
        changes_before = self._raw.total_changes
        try:
            self._file.wait_for_locks(BUSY_TIMEOUT_MS)
            with self._file.synced():
                done = work(self._raw)
        except BaseException as error:
            self._file.roll_back()
            if isinstance(error, sqlite3.Error):
                raise self._file.explained(error) from error
            raise
        self._file.note_commit(self._raw.total_changes - changes_before)
        return done

    def place_cursor(self, pair: Pair, signal_id: int, told: LogEntry) -> None:
        """Put a cursor where a person wants it, back as well, with the log row that tells of it.

        Raises StateError, and then nothing was stored.
        """
        self.commit(Batch([told], cursors={pair: signal_id}, forgotten={pair}))

    def take_restored(self) -> int:
        """How often the file had to be written back, because it was deleted; counts anew."""
        return self._file.take_restored()

    @property
    def newest_id(self) -> int:
        """The id of the newest entry that is durable, or is just being made so."""
        return self._ids.newest

    def received(self) -> dict[str, dict[str, int]]:
        """For each sense, by epoch, the last `seq` of its outbox that is recorded."""
        return self._high_water.received()

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
        """About when the last run of nerve was last alive; None where there was none."""
        return boots.last_seen_us(self._raw)

    def parents(self) -> dict[str, int]:
        """The ids of all runs that this journal knows, and the process that each was."""
        return boots.parents(self._raw)

    def installation(self, candidate: str) -> str:
        """The id of this installation: `candidate` if it has none yet, and from then on that."""
        with explained(self._file.path):
            return boots.installation(self._raw, candidate)

    def begin_boot(self, boot: str, *, pid: int, version: str, at_us: int) -> list[Crash]:
        """Note the start of a parent; return those before it that never noted their end."""
        with explained(self._file.path):
            return boots.begin(self._raw, boot, pid=pid, version=version, at_us=at_us)

    def end_boot(self, boot: str, *, how: str, at_us: int) -> None:
        """Note the end of a parent that had the time to."""
        with explained(self._file.path):
            self._file.wait_for_locks(BUSY_TIMEOUT_MS)
            boots.end(self._raw, boot, how=how, at_us=at_us)

    def close(self) -> None:
        """Checkpoint and close: afterwards the journal is one file; a damaged one is left as it is.

        What cannot be written any more, on a full disk say, is not lost: the next start does it.
        """
        if not self._file.is_damaged:
            with contextlib.suppress(sqlite3.Error, StateError):
                if not self.is_settled:
                    self.settle()
                self._ids.give_back(self._raw)  # the checkpoint syncs it
        self._file.close()
