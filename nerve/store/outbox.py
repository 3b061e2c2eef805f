"""The outbox of a sense: where a signal waits until the parent has it.

Worker; the only reader and writer, positions apart, which commands can see and put back
(`nerve.store.positions`). It lives in the sense's own database, so that
the rows of a compute and its signal are one transaction. The life of a signal:

    put (with the sense's rows)  ->  report  ->  acknowledged  ->  dropped

It is reported again at every start until it is acknowledged, so the parent may
see it twice and tells so by `(epoch, seq)`. Dropping rides on the transaction of a
later compute, a few signals at a time: each page that a commit changes is written whole.

Beside the signals stands the *mark*, what the last committed compute was, and which
signals of others it dealt with, so that after a crash the parent can tell a compute that
was committed from one that was not. The row of a signal is the mark of its compute: it
names the trigger. `nerve_identity` has the mark of a compute without a signal, and up to
which `seq` it is the later of the two; it takes over the mark of rows that are dropped.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PAGE_ROWS = 100
"""Unacknowledged rows read at a time."""
DROP_BYTES = 2_048
"""Of signals that are stored before those acknowledged are dropped: half of a page of SQLite's, so
that small ones come and go within one."""

Mark = tuple[str, int]
"""The (boot, trigger_id) of a compute: one trigger for ever."""


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
        self._acknowledged = 0
        self._stored_bytes = DROP_BYTES  # whatever an earlier worker has left
        self._dropping = False
        self.reload()

    def reload(self) -> None:
        """Read what is committed; after a transaction of which that is in doubt."""
        query = "SELECT epoch, boot, trigger_id, seq FROM nerve_identity"
        row = self._connection.execute(query).fetchone()
        self.epoch: str = row[0]
        self._last: int = row[3]
        self._mark: Mark = row[1:3]
        newest = self._connection.execute(
            "SELECT boot, trigger_id, seq FROM nerve_outbox WHERE seq > ?"
            " ORDER BY seq DESC LIMIT 1",
            (self._last,),
        ).fetchone()
        if newest is not None:
            self._mark, self._last = newest[:2], newest[2]

    def moved_to(self, connection: sqlite3.Connection) -> "Outbox":
        """Make the same outbox on a new connection, with what was acknowledged in this one."""
        moved = Outbox(connection)
        moved.acknowledge(self.epoch, self._acknowledged)
        return moved

    def identity(self) -> Identity:
        """Who this database is."""
        return Identity(self.epoch, *self._mark)

    def begin_anew_if_behind(self, received: Mapping[str, int]) -> bool:
        """Take a new epoch if the parent knows later signals than this database does.

        Then the file has gone back in time: an older copy was restored, or a power loss
        took its last commits. Its next signals would bear numbers that were used already,
        and be taken for repeats. Those that still wait are recorded: they go.

        Args:
            received: by epoch, the last `seq` that the parent has recorded.
        """
        known = received.get(self.epoch, 0)
        if self._last >= known:
            self.acknowledge(self.epoch, known)
            return False
        self._connection.execute("BEGIN IMMEDIATE")
        self._keep_mark()
        self._connection.execute("DELETE FROM nerve_outbox")
        self._connection.execute("UPDATE nerve_identity SET epoch = lower(hex(randomblob(16)))")
        self._connection.execute("COMMIT")
        self.reload()
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

    def put(self, at_us: int, mark: Mark, payload: str, cause: str) -> int:
        """Add a signal inside the compute's transaction; return its `seq`.

        `mark` is the trigger that it answers.
        """
        seq = self._last + 1
        self._connection.execute(
            "INSERT INTO nerve_outbox (seq, at_us, boot, trigger_id, payload, cause)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (seq, at_us, *mark, payload, cause),
        )
        self._stored_bytes += len(payload) + len(cause)
        return seq

    def mark(self, mark: Mark) -> None:
        """Note inside the compute's transaction which trigger it answers, without a signal."""
        self._connection.execute(
            "UPDATE nerve_identity SET boot = ?, trigger_id = ?, seq = ?", (*mark, self._last)
        )

    def advance(self, positions: Mapping[str, int]) -> None:
        """Note inside the compute's transaction how far it has got with the signals of others."""
        self._connection.executemany(
            "INSERT INTO nerve_position (source, signal_id) VALUES (?, ?)"
            " ON CONFLICT (source) DO UPDATE SET signal_id = excluded.signal_id",
            positions.items(),
        )

    def acknowledge(self, epoch: str, seq: int) -> None:
        """Remember that the parent has everything up to `seq`; `drop` acts on it."""
        if epoch == self.epoch:
            self._acknowledged = max(self._acknowledged, seq)

    def drop(self, *, at_once: bool = False) -> None:
        """Delete what is acknowledged, inside a transaction of the caller's, if it is enough.

        Rows that hold no valid JSON were never reported, so they stay for a person to see.
        """
        self._dropping = self._acknowledged > 0 and (at_once or self._stored_bytes >= DROP_BYTES)
        if self._dropping:
            self._keep_mark()
            self._connection.execute(
                "DELETE FROM nerve_outbox"
                " WHERE seq <= ? AND json_valid(payload) AND json_valid(cause)",
                (self._acknowledged,),
            )

    def committed(self, mark: Mark | None, seq: int) -> None:
        """The transaction of the last `drop` is durable, with this mark and signal, if any."""
        if self._dropping:
            self._acknowledged = self._stored_bytes = 0
        self._mark = mark or self._mark
        self._last = seq or self._last

    def _keep_mark(self) -> None:
        """Have nerve_identity say what the rows that go have said."""
        self.mark(self._mark)

    def count(self) -> int:
        """How many signals are not acknowledged yet."""
        query = "SELECT count(*) FROM nerve_outbox WHERE seq > ?"
        (count,) = self._connection.execute(query, (self._acknowledged,)).fetchone()
        return int(count)

    def waiting(self) -> Iterator[OutboxRow]:
        """Yield what is not acknowledged yet, oldest first; a damaged row has no payload.

        And those of the last trigger in any case, because its outcome may not be known yet; and
        damaged rows, for a person to hear of.
        """
        last = 0
        while rows := self._page(last):
            for seq, at_us, payload, cause in rows:
                yield OutboxRow(seq, at_us, _decode(payload), cause)
            last = rows[-1][0]

    def _page(self, after: int) -> list[tuple[int, int, str, str]]:
        return self._connection.execute(
            "SELECT seq, at_us, payload, cause FROM nerve_outbox"
            " WHERE seq > ? AND (seq > ? OR trigger_id = ?"
            " OR NOT (json_valid(payload) AND json_valid(cause))) ORDER BY seq LIMIT ?",
            (after, self._acknowledged, self._mark[1], PAGE_ROWS),
        ).fetchall()


def _decode(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None
