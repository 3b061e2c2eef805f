# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""What nerve keeps in a sense's database: its outbox, positions and identity."""

from alembic import op

revision = "0001"
down_revision = None

OUTBOX = """
CREATE TABLE nerve_outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    trigger_id INTEGER NOT NULL,
    payload TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT
"""

# The last signal of each source that this sense has dealt with.
POSITION = """
CREATE TABLE nerve_position (
    source TEXT PRIMARY KEY,
    signal_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

# One row. (boot, trigger_id) is the last compute that was committed.
IDENTITY = """
CREATE TABLE nerve_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,
    boot TEXT NOT NULL DEFAULT '',
    trigger_id INTEGER NOT NULL DEFAULT 0
) STRICT
"""


def upgrade() -> None:
    for statement in (OUTBOX, POSITION, IDENTITY):
        op.execute(statement)
    # Random, so that a database made anew is not taken for the one that was deleted.
    op.execute("INSERT INTO nerve_identity (one, epoch) VALUES (1, lower(hex(randomblob(16))))")


def downgrade() -> None:
    for table in ("nerve_outbox", "nerve_position", "nerve_identity"):
        op.drop_table(table)
