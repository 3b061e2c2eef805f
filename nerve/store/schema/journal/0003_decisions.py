# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""When what became of triggers, in runs of the same; and which senses are paused."""

from alembic import op

revision = "0003"
down_revision = "0002"

# One row for each run of the same decision about one sense; its last time is often changed, so
# it is in no index.
DECISIONS = """
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sense TEXT NOT NULL,
    decision TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    detail TEXT NOT NULL
) STRICT
"""

PAUSED = """
CREATE TABLE paused (
    sense TEXT PRIMARY KEY,
    since_us INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""


def upgrade() -> None:
    op.execute(DECISIONS)
    op.execute("CREATE INDEX decisions_sense ON decisions (sense)")
    op.execute(PAUSED)


def downgrade() -> None:
    op.drop_table("paused")
    op.drop_table("decisions")
