"""The ids of the journal: one sequence for signals and log rows.

Parent, handed out by the journal's one writer. So both together are one strictly ordered timeline
that one number continues, and a signal needs no second row to appear in the log.

No id ever stands for two entries. Where each commit is synced the rows themselves see to that.
Where none is, a power loss takes commits whose ids have been told: a sense's database says which
signal it has answered, a reader which entry it saw last. So ids are *granted*: a bound ahead of
them is synced before one below it is used, and the next start goes on behind it.
"""

import sqlite3

from nerve.store.journal_reading import GRANTED, granted_id, newest_id
from nerve.store.journal_rows import put_meta

IDS_AHEAD = 10_000
"""Ids that one sync vouches for where commits are not synced: the gap that a crash leaves."""


class Ids:
    """Which ids are used, and which may be.

    Attributes:
        newest: the last one of an entry that is durable, or is just being made so.
    """

    def __init__(self, raw: sqlite3.Connection, *, full_sync: bool) -> None:
        """Go on behind all that may have been told."""
        self._full_sync = full_sync
        self._granted = granted_id(raw)
        self.newest = max(newest_id(raw), self._granted)

    def are_granted(self, number: int) -> bool:
        """Whether so many may be used without `grant`."""
        return self._full_sync or self.newest + number < self._granted

    def grant(self, raw: sqlite3.Connection, number: int) -> None:
        """Have so many of them at least; a commit of its own, which the caller has synced."""
        granted = self.newest + 1 + number + IDS_AHEAD
        put_meta(raw, {GRANTED: str(granted)})
        self._granted = granted

    def give_back(self, raw: sqlite3.Connection) -> None:
        """Let the next start leave no gap; what is written before has to be synced with this."""
        if self._granted > self.newest:
            put_meta(raw, {GRANTED: str(self.newest)})
