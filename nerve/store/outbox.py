"""The outbox of a sense: where a signal waits until the parent has it.

Worker; the only reader and writer, positions apart, which commands can see and put back
(`nerve.store.positions`). It lives in the sense's own database, so that
the rows of a compute and its signal are one transaction. The life of a signal:

    put (with the sense's rows)  ->  report  ->  acknowledged  ->  dropped

It is reported again at every start until it is acknowledged, so the parent may
see it twice and tells so by `(epoch, seq)`. Dropping rides on the next compute's
transaction: a commit of its own would cost more than the rows. Beside the
signals stands what the last committed compute was and which signals of others
it dealt with, so that after a crash the parent can tell a compute that was
committed from one that was not.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PAGE_ROWS = 100
"""Unacknowledged rows read at a time."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A signal that waits.

    Attributes:
        payload: a JSON value, or None when the row does not hold valid JSON.
        cause: as it was put, JSON text.
    """

    seq: int
    at_us: int
    payload: Any
    cause: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What the database says of itself: its epoch, and the last committed trigger."""

    epoch: str
    boot: str
    trigger_id: int


class Outbox:
    """The outbox in one sense's database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.epoch = self.identity().epoch
        self._acknowledged = 0

    def moved_to(self, connection: sqlite3.Connection) -> "Outbox":
        """Make the same outbox on a new connection, with what was acknowledged in this one."""
        moved = Outbox(connection)
        moved.acknowledge(self.epoch, self._acknowledged)
        return moved

    def identity(self) -> Identity:
        """Read who this database is."""
        row = self._connection.execute(
            "SELECT epoch, boot, trigger_id FROM nerve_identity"
        ).fetchone()
        return Identity(*row)

    def begin_anew_if_behind(self, received: Mapping[str, int]) -> bool:
        """Take a new epoch if the parent knows later signals than this database does.

        Then the file has gone back in time: an older copy was restored, or a power loss
        took its last commits. Its next signals would bear numbers that were used already,
        and be taken for repeats. Those that still wait are recorded: they go.

        Args:
            received: by epoch, the last `seq` that the parent has recorded.
        """
        known = received.get(self.epoch, 0)
        query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'nerve_outbox'"
        (last,) = self._connection.execute(query).fetchone()
        if last >= known:
            return False
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("DELETE FROM nerve_outbox")
        self._connection.execute("UPDATE nerve_identity SET epoch = lower(hex(randomblob(16)))")
        self._connection.execute("COMMIT")
        self.epoch = self.identity().epoch
        return True

    def positions(self) -> dict[str, int]:
        """For each source, the last signal that a committed compute has dealt with."""
        rows = self._connection.execute("SELECT source, signal_id FROM nerve_position")
        return dict(rows.fetchall())

    def rows_of(self, trigger_id: int) -> list[OutboxRow]:
        """What waits that answers a trigger of this number, of whatever run."""
        rows = self._connection.execute(
            "SELECT seq, at_us, payload, cause FROM nerve_outbox WHERE trigger_id = ?",
            (trigger_id,),
        ).fetchall()
        return [OutboxRow(seq, at_us, _decode(p), cause) for seq, at_us, p, cause in rows]

    def put(self, at_us: int, trigger_id: int, payload: str, cause: str) -> int:
        """Add a signal inside the compute's transaction; return its `seq`."""
        cursor = self._connection.execute(
            "INSERT INTO nerve_outbox (at_us, trigger_id, payload, cause) VALUES (?, ?, ?, ?)",
            (at_us, trigger_id, payload, cause),
        )
        assert cursor.lastrowid is not None  # noqa: S101  an INSERT has one
        return cursor.lastrowid

    def mark(self, boot: str, trigger_id: int, positions: Mapping[str, int]) -> None:
        """Note inside the compute's transaction which trigger it answers."""
        self._connection.execute(
            "UPDATE nerve_identity SET boot = ?, trigger_id = ?", (boot, trigger_id)
        )
        if positions:
            self._connection.executemany(
                "INSERT INTO nerve_position (source, signal_id) VALUES (?, ?)"
                " ON CONFLICT (source) DO UPDATE SET signal_id = excluded.signal_id",
                positions.items(),
            )

    def acknowledge(self, epoch: str, seq: int) -> None:
        """Remember that the parent has everything up to `seq`; `drop` acts on it."""
        if epoch == self.epoch:
            self._acknowledged = max(self._acknowledged, seq)

    def drop(self) -> None:
        """Delete what is acknowledged, inside a transaction of the caller's.

        Rows that hold no valid JSON were never reported, so they stay for a person to see.
        """
        if self._acknowledged:
            self._connection.execute(
                "DELETE FROM nerve_outbox"
                " WHERE seq <= ? AND json_valid(payload) AND json_valid(cause)",
                (self._acknowledged,),
            )

    def dropped(self) -> None:
        """The transaction of the last `drop` is committed."""
        self._acknowledged = 0

    def count(self) -> int:
        """How many signals are not acknowledged yet."""
        (count,) = self._connection.execute("SELECT count(*) FROM nerve_outbox").fetchone()
        return int(count)

    def waiting(self) -> Iterator[OutboxRow]:
        """Yield what is not acknowledged yet, oldest first; a damaged row has no payload."""
        last = 0
        while rows := self._page(last):
            for seq, at_us, payload, cause in rows:
                yield OutboxRow(seq, at_us, _decode(payload), cause)
            last = rows[-1][0]

    def _page(self, after: int) -> list[tuple[int, int, str, str]]:
        return self._connection.execute(
            "SELECT seq, at_us, payload, cause FROM nerve_outbox"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, PAGE_ROWS),
        ).fetchall()


def _decode(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None
