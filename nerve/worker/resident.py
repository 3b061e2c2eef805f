"""A sense that lives in this worker: its module, its database, its state.

Worker. Holds one owner connection for the life of the process and hands the
author a SQLAlchemy connection that is inside the runtime's transaction. Only
`commit` here may commit: an author's `db.commit()` is refused as an error,
because rows without their signal would be half an observation.

A sense that cannot be loaded, opened or migrated stays here with its `fault`;
its neighbours run.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy

from nerve.config.models import SenseConfig
from nerve.errors import SenseError
from nerve.store.engine import core_connection
from nerve.store.migrations import SENSE_SCHEMA, Migrations, upgrade
from nerve.store.outbox import Outbox
from nerve.store.peers import PeerDatabases
from nerve.store.sqlite import open_owner
from nerve.worker.deadline import Deadline
from nerve.worker.loader import LoadedSense, parse_options

MAX_BUSY_MS = 5_000


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
    ) -> None:
        self.name = name
        self.config = config
        self.compute = loaded.compute
        self.options = parse_options(loaded.options_model, config.options)
        self.migrated: list[str] = []
        self.peers = PeerDatabases(name, databases, watch=deadline.watch)
        self._path = databases[name]
        self._migrations = loaded.migrations
        self._deadline = deadline
        self._may_commit = False
        self._changes_before = 0

    def open(self) -> None:
        """Open the database and bring it up to date; raises DatabaseError and its kin."""
        self._connect()
        upgrade(self._raw, SENSE_SCHEMA)
        if self._migrations is not None:
            self.migrated = upgrade(self._raw, Migrations(self._migrations))
        self.outbox = Outbox(self._raw)

    def _connect(self) -> None:
        # Below the soft limit: a lock must not be what a timeout is blamed on.
        busy_ms = min(MAX_BUSY_MS, max(1, self.config.timeout_ms // 2))
        self._raw = open_owner(
            self._path, full_sync=self.config.durability == "full", busy_timeout_ms=busy_ms
        )
        self._deadline.watch(self._raw)
        self.db = core_connection(self._raw)
        sqlalchemy.event.listen(self.db, "commit", self._refuse_commit)

    def begin(self) -> None:
        """Start the transaction of a compute; what was acknowledged is dropped in it."""
        self._may_commit = False
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
            raise SenseError(
                "the compute ended its own transaction",
                kind="transaction_ended",
                hint="nerve commits and rolls back; remove COMMIT, db.rollback() and db.close()",
            )
        seq = 0
        if signal is not None:
            at_us, payload, cause = signal
            seq = self.outbox.put(at_us, trigger_id, payload, cause)
        if signal is not None or positions or self._raw.total_changes != self._changes_before:
            self.outbox.mark(boot, trigger_id, positions)
        self._may_commit = True
        self.db.commit()
        self.outbox.dropped()
        return seq

    def abandon(self) -> None:
        """Roll back whatever a failed compute left; on any doubt, start on a new connection."""
        try:
            self.db.rollback()
            clean = not self.db.closed and not self._raw.in_transaction
        except Exception:  # noqa: BLE001  a broken connection is what this is for
            clean = False
        if not clean:
            self._reconnect()

    def close(self) -> None:
        """Checkpoint and close: afterwards the database is one file."""
        try:
            with_acknowledged(self._raw, self.outbox)
            self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.db.close()
            self._raw.close()

    def _reconnect(self) -> None:
        self._raw.close()
        self._connect()
        self.outbox = Outbox(self._raw)

    def _refuse_commit(self, _connection: Any) -> None:
        if not self._may_commit:
            raise SenseError(
                "the compute called commit()",
                kind="transaction_ended",
                hint="nerve commits the rows together with the signal; remove db.commit()",
            )


def with_acknowledged(connection: sqlite3.Connection, outbox: Outbox) -> None:
    """Drop what is acknowledged in a transaction of its own, at the stop."""
    connection.execute("BEGIN IMMEDIATE")
    outbox.drop()
    connection.execute("COMMIT")
