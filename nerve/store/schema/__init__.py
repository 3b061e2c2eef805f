"""The runtime's own tables, and where a database stands.

Every process. `sense/` holds the revisions of what nerve keeps in each sense's
database, `journal/` those of logs.db; both have the version table `nerve_version`,
so that an author's own revisions and nerve's never meet. The heads stand here as
constants: at a usual start one SELECT finds a database at its head, and the parent
need not import Alembic to know it. A test holds them equal to the revisions.
"""

import sqlite3
from pathlib import Path

VERSION_TABLE = "nerve_version"
SENSE_HEAD = "0002"
JOURNAL_HEAD = "0005"
SCHEMA_FOLDER = Path(__file__).parent
SENSE_FOLDER = SCHEMA_FOLDER / "sense"
JOURNAL_FOLDER = SCHEMA_FOLDER / "journal"


def current_revisions(raw: sqlite3.Connection, version_table: str) -> list[str]:
    """Return the revisions a database stands at: none, one, or one for each branch."""
    try:
        rows = raw.execute(f'SELECT version_num FROM "{version_table}"').fetchall()  # noqa: S608  a name of ours
    except sqlite3.OperationalError as error:
        # A missing table has the code of every faulty statement, and no other that can occur.
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return []
    return [revision for (revision,) in rows]


def is_at(raw: sqlite3.Connection, head: str) -> bool:
    """Tell with one SELECT whether the runtime's tables in this database stand at `head`."""
    return current_revisions(raw, VERSION_TABLE) == [head]
