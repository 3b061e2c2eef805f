"""A sense that lives in this worker: its module, its database, its state.

Worker. Holds one owner connection for the life of the process and hands the
author a SQLAlchemy connection that is inside the runtime's transaction. Only
`commit` here may commit (`commit_guard`).

A fault of the database's storage, which `origin` tells from an error of the author's, ends that
compute and no more; the next one tries again, on a new connection where the old one is broken.
There are two exceptions:

* A database deleted while it is open is written back from the connection. Where that
  cannot be done every compute is refused until it can.
* A damaged database is not touched again, not even by the checkpoint of a close,
  and every compute is refused until a new worker opens it: what is still sound in
  it should be there for whoever repairs it, and a repair under an open
  connection would be undone by what that connection remembers.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from nerve.clock import Clock
from nerve.config.models import SenseConfig
from nerve.errors import DatabaseCorrupt, NerveError, StateError
from nerve.store.engine import core_connection
from nerve.store.faults import NEEDS_NEW_CONNECTION, explain
from nerve.store.migrations import SENSE_SCHEMA, Migrations, upgrade
from nerve.store.newborn import make_if_missing
from nerve.store.outbox import Mark, Outbox
from nerve.store.peers import PeerDatabases
from nerve.store.place import Place, close_untouched
from nerve.store.positions import lower_position
from nerve.store.sqlite import give_back_spare_pages, open_owner
from nerve.worker.commit_guard import CommitGuard, ended_by_author
from nerve.worker.deadline import Deadline
from nerve.worker.loader import LoadedSense, parse_options
from nerve.worker.origin import Origin
from nerve.worker.pruning import Pruning
from nerve.worker.retention import check, rules

MAX_BUSY_MS = 5_000
CORRUPT_HINT = "it is left as it is and not used again: stop nerve, then restore or repair it"


class Resident:
    """One sense, ready to run."""

    def __init__(
        self,
        name: str,
        config: SenseConfig,
        loaded: LoadedSense,
        *,
        databases: Mapping[str, Path],
        deadline: Deadline,
        clock: Clock,
    ) -> None:
        self.name = name
        self.config = config
        self.log = logging.getLogger(f"sense.{name}")
        self.compute = loaded.compute
        self.options = parse_options(loaded, config.options)
        self.retention = rules(loaded.retention, config.retention)
        self.migrated: list[str] = []
        self.peers = PeerDatabases(name, databases, watch=deadline.watch)
        self._path = databases[name]
        self._pruning = Pruning(name, self._path, self.retention, clock)
        self._migrations = loaded.migrations
        self._deadline = deadline
        # Below the soft limit: a lock must not be what a timeout is blamed on.
        self._busy_ms = min(MAX_BUSY_MS, max(1, config.timeout_ms // 2))
        self._guard = CommitGuard()
        self._origin = Origin(self._path)
        self._changes_before = 0
        self._is_broken = False
        self._damage = ""

    def open(self) -> None:
        """Open the database and bring it up to date.

        Raises DatabaseError and its kin, SenseError where the retention does not fit the tables.
        """
        make_if_missing(self._path)
        self._connect()
        upgrade(self._raw, SENSE_SCHEMA)
        if self._migrations is not None:
            self.migrated = upgrade(self._raw, Migrations(self._migrations))
        check(self._raw, self.retention)
        self.outbox = Outbox(self._raw)
        self._guard.watch_statements(self._raw)

    def _connect(self) -> None:
        self._raw = self._opened()
        self._place = Place(self._path)
        give_back_spare_pages(self._raw)
        # Prepared here: what a first use between two computes takes and keeps may come to lie above
        # all that a greedy compute has filled, and then the allocator gives none of that back.
        with self._explained():
            self._wait_for_locks(0)
            self._wait_for_locks(self._busy_ms)
            self._pruning.prepare(self._raw)
        self._deadline.watch(self._raw)
        self.db = core_connection(self._raw)
        self._guard.watch_connection(self.db)
        self._origin.watch(self._raw, self.db)

    def _opened(self) -> sqlite3.Connection:
        return open_owner(
            self._path, full_sync=self.config.durability == "full", busy_timeout_ms=self._busy_ms
        )

    def begin(self) -> None:
        """Start the transaction of a compute; what was acknowledged is dropped in it.

        Raises StateError for a fault of the database, and then there is no transaction.
        """
        self._guard.is_open = self._guard.has_refused = False
        self._origin.raised = None
        self._require_usable()
        with self._explained():
            self.db.begin()
            self.outbox.drop()
        self._changes_before = self._raw.total_changes

    def commit(
        self,
        *,
        boot: str,
        trigger_id: int,
        positions: Mapping[str, int],
        signal: tuple[int, str, str] | None,
    ) -> int:
        """Commit the compute's rows, its signal and its mark as one; return the signal's `seq`.

        A compute that wrote nothing, tells nothing and answers no signal commits nothing.
        `signal` is (at_us, payload, cause); without one the result is 0.
        """
        if not self._raw.in_transaction:
            raise self._ended_early()
        self._place.require()
        with self._explained():
            mark, seq = self._put((boot, trigger_id), positions, signal)
            self._guard.is_open = True
            self.db.commit()
        self.outbox.committed(mark, seq)
        return seq

    def explained(self, error: BaseException) -> BaseException:
        """Say what an error is that ended a compute: a fault of this database, or itself."""
        if self._guard.has_refused and "not authorized" in str(error):  # all that SQLite says of it
            return self._ended_early()
        found = error if isinstance(error, StateError) else self._origin.fault_behind(error)
        if isinstance(found, DatabaseCorrupt) and found.path == self._path:
            self._damage, found.hint = str(found), CORRUPT_HINT
        if found is not None and found.path == self._path and found.fault in NEEDS_NEW_CONNECTION:
            self._is_broken = True
        return found or error

    def abandon(self) -> None:
        """Roll back whatever a failed compute left; on any doubt, start on a new connection.

        Raises nothing: where there is no new connection to be had, the next compute asks again.
        """
        try:
            self.db.rollback()
            clean = not self.db.closed and not self._raw.in_transaction
            if clean and not self._damage:
                self.outbox.reload()
        except Exception:  # noqa: BLE001  a broken connection is what this is for
            clean = False
        self._origin.raised, self._guard.is_open = None, True
        if not clean and not self._damage:
            self._is_broken = True
            with contextlib.suppress(Exception):
                self._reconnect()

    def has_committed(self, boot: str, trigger_id: int) -> bool:
        """Whether the last compute that was committed answered this trigger."""
        identity = self.outbox.identity()
        return (identity.boot, identity.trigger_id) == (boot, trigger_id)

    def put_back(self, source: str, position: int) -> None:
        """Note durably that no signal of a source after this one was dealt with."""
        self._require_usable()
        with self._explained():
            self._raw.execute("PRAGMA synchronous=FULL")  # or a power loss would take it back
            try:
                lower_position(self._raw, source, position)
            finally:
                full = self.config.durability == "full"
                self._raw.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")

    def prune(self, is_wanted: Callable[[], bool]) -> None:
        """Delete old rows between two computes, if it is time, until `is_wanted`.

        Raises nothing of the database's: a fault is logged, and a later pass tries again.
        """
        if self._damage or self._is_broken or not self._pruning.is_due():
            return
        try:
            self._place.require()
            self._wait_for_locks(0)  # or the next compute would wait as well
            self._pruning.run(self._raw, is_wanted)
        except (sqlite3.Error, StateError, MemoryError) as error:
            found = explain(error, self._path) if isinstance(error, sqlite3.Error) else error
            self.log.warning(
                "retention: old rows could not be deleted, it is tried again: %s",
                self.explained(found),
            )
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._wait_for_locks(self._busy_ms)
                self._deadline.watch(self._raw)

    def close(self) -> None:
        """Checkpoint and close: afterwards the database is one file."""
        if self._damage:
            close_untouched(self._raw, self._path)
            return
        try:
            self._require_usable()
            with_acknowledged(self._raw, self.outbox)
            self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.db.close()
            self._raw.close()

    def _wait_for_locks(self, most_ms: int) -> None:
        self._raw.execute(f"PRAGMA busy_timeout={most_ms}")

    def _require_usable(self) -> None:
        if self._damage:
            raise DatabaseCorrupt(self._damage, path=self._path, hint=CORRUPT_HINT)
        if not self._place.is_held():
            self._is_broken = True
            self._place.put_back(self._raw)
            self.log.warning(
                "%s was deleted while nerve had it open; it was written back whole; "
                "to begin anew, stop nerve first",
                self._path,
            )
        if self._is_broken:
            self._reconnect()

    def _reconnect(self) -> None:
        """Open the database anew; the old connection is closed first, or its locks would go."""
        self._place.require()
        with contextlib.suppress(Exception):  # or a collection would roll back what is closed
            self.db.close()
        self._raw.close()
        self._connect()
        self.outbox = self.outbox.moved_to(self._raw)
        self._guard.watch_statements(self._raw)
        self._is_broken = False

    def _put(
        self, mark: Mark, positions: Mapping[str, int], signal: tuple[int, str, str] | None
    ) -> tuple[Mark | None, int]:
        """Add what nerve itself has to store; return the mark that was made, and the `seq`."""
        if positions:
            self.outbox.advance(positions)
        if signal is not None:
            at_us, payload, cause = signal
            return mark, self.outbox.put(at_us, mark, payload, cause)
        if positions or self._raw.total_changes != self._changes_before:
            self.outbox.mark(mark)
            return mark, 0
        return None, 0

    def _ended_early(self) -> NerveError:
        # On a full disk SQLite ends the transaction itself, and the author may have caught that.
        if self._origin.raised is not None:
            return explain(self._origin.raised, self._path)
        return ended_by_author()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Around statements of our own on the own connection."""
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        except DBAPIError as error:
            if not isinstance(error.orig, sqlite3.Error):
                raise
            raise explain(error.orig, self._path) from error


def with_acknowledged(connection: sqlite3.Connection, outbox: Outbox) -> None:
    """Drop what is acknowledged in a transaction of its own, at the stop."""
    connection.execute("BEGIN IMMEDIATE")
    outbox.drop(at_once=True)
    connection.execute("COMMIT")
