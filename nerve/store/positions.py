"""How far a sense has got with the signals of others, as its own database says.

Its worker writes that together with its rows (`nerve.store.outbox`). Commands can read it whether
or not a worker has the database open. Because a database has one writer, it is put back by the
worker; where nerve does not run, by a command that has the lock of the state directory in hand.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from nerve.errors import DatabaseMissing
from nerve.store.faults import explained
from nerve.store.schema import VERSION_TABLE, current_revisions
from nerve.store.sqlite import open_owner, open_reader


def positions_in(path: Path) -> dict[str, int]:
    """For each source, the last signal that the sense with this database has dealt with.

    None where there is no database yet, or nothing of nerve's is in it. Raises StateError.
    """
    try:
        reader = open_reader(path)
    except DatabaseMissing:
        return {}
    with closing(reader), explained(path):
        if not current_revisions(reader, VERSION_TABLE):
            return {}
        return dict(reader.execute("SELECT source, signal_id FROM nerve_position").fetchall())


def put_back(path: Path, source: str, signal_id: int) -> None:
    """Lower the position in an existing database that nobody else writes; raises StateError."""
    with closing(open_owner(path, full_sync=True)) as raw, explained(path):
        lower_position(raw, source, signal_id)


def lower_position(owner: sqlite3.Connection, source: str, signal_id: int) -> None:
    """Lower the position over the one connection that writes; raises sqlite3.Error."""
    owner.execute(
        "UPDATE nerve_position SET signal_id = ? WHERE source = ? AND signal_id > ?",
        (signal_id, source, signal_id),
    )
