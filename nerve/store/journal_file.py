"""The file of the journal, and the one connection that writes it.

Parent only, and within it one thread at a time. Whoever writes asks first whether the file is
usable: what is written to a file that was deleted is gone with the process, so it is put back at
its path, and after a fault the connection is another one. A damaged file is not written any more.

Checkpoints are made between two batches and not in the middle of a commit, which a signal
waits for. SQLite's own is a backstop.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from nerve.errors import DatabaseCorrupt, StateError
from nerve.store.faults import NEEDS_NEW_CONNECTION, explain, explained
from nerve.store.place import Place, close_untouched
from nerve.store.schema import JOURNAL_HEAD, is_at
from nerve.store.sqlite import BUSY_TIMEOUT_MS, open_owner

CORRUPT_HINT = "it is left as it is, nothing more is triggered: stop nerve, restore or repair it"
CHECKPOINT_PAGES = 1_000
"""About so many pages of the WAL are written back between two batches."""
BACKSTOP_PAGES = 4 * CHECKPOINT_PAGES
"""So many, and SQLite does it within a commit: a signal has to wait for it."""
COMMIT_PAGES = 4
"""That a commit touches, besides what its rows fill."""
ROW_BYTES = 250
"""Of a row without its payload; one that is changed or deleted counts the same."""
PAGE_BYTES = 4_096


class JournalFile:
    """`logs.db`, open for its writer.

    Attributes:
        path: where it stands.
        raw: the connection; `require_usable` may make it another one.
        full_sync: whether each commit is synced.
    """

    def __init__(self, path: Path, *, full_sync: bool) -> None:
        """Open, create or migrate it; raises StateError: DatabaseError and its kin, and others."""
        self.path = path
        self.full_sync = full_sync
        self._damage = ""
        self._is_broken = False
        self._restored = 0
        self._wal_pages = 0
        self._open()
        with self.closed_on_failure():
            prepare_journal(self.raw)

    def _open(self) -> None:
        self.raw = open_owner(self.path, full_sync=self.full_sync, any_thread=True)
        self._busy_ms = BUSY_TIMEOUT_MS
        with self.closed_on_failure():
            # Where commits are not synced, none should come to sync for a checkpoint.
            pages = BACKSTOP_PAGES if self.full_sync else 0
            self.raw.execute(f"PRAGMA wal_autocheckpoint={pages}")
            self._place = Place(self.path)

    @property
    def is_damaged(self) -> bool:
        """Whether it was found damaged; then nothing is written any more."""
        return bool(self._damage)

    @contextlib.contextmanager
    def closed_on_failure(self) -> Iterator[None]:
        """Close it where the body raises; an error of SQLite's is explained."""
        try:
            with explained(self.path):
                yield
        except BaseException:
            self.raw.close()
            raise

    def is_usable(self) -> bool:
        """Whether `require_usable` has nothing to do; raises StateError where it cannot be told."""
        return not (self._damage or self._is_broken) and self._place.is_held()

    def require_usable(self) -> None:
        """See that what is written now will be in the file at the path; raises StateError."""
        if self._damage:
            raise DatabaseCorrupt(self._damage, path=self.path, hint=CORRUPT_HINT)
        if not self._place.is_held():
            self._is_broken = True
            self._place.put_back(self.raw)
            self._restored += 1
        if self._is_broken:
            # Closed first: the other way round it would drop the locks of the new connection.
            self.raw.close()
            self._open()
            self._is_broken = False

    def require_place(self) -> None:
        """Raise DatabaseDeleted unless the file still stands at its path."""
        self._place.require()

    def wait_for_locks(self, most_ms: int) -> None:
        """Wait so long for a lock of another connection, from now on."""
        if self._busy_ms != most_ms:
            self.raw.execute(f"PRAGMA busy_timeout={most_ms}")
            self._busy_ms = most_ms

    @contextlib.contextmanager
    def synced(self) -> Iterator[None]:
        """Sync each commit inside, outside a transaction, and with it all that came before."""
        if self.full_sync:
            yield
            return
        self.raw.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            self.roll_back()  # it cannot be changed in a transaction
            with contextlib.suppress(sqlite3.Error):  # then each commit is synced; all the better
                self.raw.execute("PRAGMA synchronous=NORMAL")

    def roll_back(self) -> None:
        """End the transaction that may be open, without a word of what it did."""
        try:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
        except sqlite3.Error:
            self._is_broken = True  # and the next commit begins on a new connection

    def explained(self, error: sqlite3.Error) -> StateError:
        """Say what SQLite meant, and note what has to follow from it."""
        told = explain(error, self.path)
        if isinstance(told, DatabaseCorrupt):
            self._damage, told.hint = str(told), CORRUPT_HINT
        self._is_broken = self._is_broken or told.fault in NEEDS_NEW_CONNECTION
        return told

    def take_restored(self) -> int:
        """How often it had to be written back, because it was deleted; counts anew."""
        restored, self._restored = self._restored, 0
        return restored

    def note_commit(self, rows: int, payload_bytes: int = 0) -> None:
        """Add what has changed so many rows, counts and cursors too, to what waits in the WAL."""
        self._wal_pages += COMMIT_PAGES + (rows * ROW_BYTES + payload_bytes) // PAGE_BYTES

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether about CHECKPOINT_PAGES wait in the WAL."""
        return self._wal_pages >= CHECKPOINT_PAGES

    def checkpoint(self) -> None:
        """Write the WAL back into the file, so that no commit has to; raises StateError."""
        self._wal_pages = 0
        self.require_usable()
        try:
            self.raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise self.explained(error) from error

    def close(self) -> None:
        """Checkpoint and close: afterwards it is one file.

        A checkpoint that fails, on a full disk say, loses nothing: the next start makes it.
        A damaged file is left as it is.
        """
        if self._damage:
            close_untouched(self.raw, self.path)
            return
        with contextlib.suppress(sqlite3.Error):
            self.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.raw.close()


def prepare_journal(raw: sqlite3.Connection) -> list[str]:
    """Bring logs.db to JOURNAL_HEAD; return the revisions applied, none at a usual start.

    Raises DatabaseNewer, MigrationFailed or another DatabaseError.
    """
    if is_at(raw, JOURNAL_HEAD):
        return []
    # Late: SQLAlchemy and Alembic cost the parent 0.3 s, and only a new version needs them.
    from nerve.store.migrations import JOURNAL_SCHEMA, upgrade

    return upgrade(raw, JOURNAL_SCHEMA)
