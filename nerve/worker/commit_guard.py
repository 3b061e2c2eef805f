"""Only nerve commits: an author's own commit is refused as an error.

Worker. Rows without their signal would be half an observation. `db.commit()` is refused in the
event that SQLAlchemy sends before it, and COMMIT in plain SQL, which no event tells of, by SQLite's
authorizer.
"""

import sqlite3
from typing import Any

import sqlalchemy

from nerve.errors import SenseError


class CommitGuard:
    """Stands before the commits of one sense's database.

    Attributes:
        is_open: whether a commit is let through; closed while a compute runs.
        has_refused: whether a COMMIT was, since the compute began; SQLite's error says nothing.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.has_refused = False

    def watch_connection(self, db: sqlalchemy.Connection) -> None:
        """Guard `commit` of what the author is given."""
        sqlalchemy.event.listen(db, "commit", self._refuse)

    def watch_statements(self, raw: sqlite3.Connection) -> None:
        """Guard what is said in SQL; after the migrations, which have an authorizer themselves."""
        raw.set_authorizer(self._authorize)

    def _authorize(self, action: int, argument: str | None, *_: str | None) -> int:
        # Asked once for each statement text.
        is_commit = action == sqlite3.SQLITE_TRANSACTION and argument == "COMMIT"
        if is_commit and not self.is_open:
            self.has_refused = True
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _refuse(self, _connection: Any) -> None:
        if not self.is_open:
            raise SenseError(
                "the compute called commit()",
                kind="transaction_ended",
                hint="nerve commits the rows together with the signal; remove db.commit()",
            )


def ended_by_author() -> SenseError:
    """Return the error of a compute whose transaction is over before nerve has ended it."""
    return SenseError(
        "the compute ended its own transaction",
        kind="transaction_ended",
        hint="nerve commits and rolls back; remove COMMIT, db.rollback() and db.close()",
    )
