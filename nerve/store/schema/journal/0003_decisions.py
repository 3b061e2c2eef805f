# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""What became of triggers and when; paused senses; the last signal of each outbox."""

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


# So that at a start nobody has to look for signals of a sense that has given none since; 0 where
# that is not known.
LAST_SIGNAL = "ALTER TABLE received ADD COLUMN signal_id INTEGER NOT NULL DEFAULT 0"


def upgrade() -> None:
    op.execute(LAST_SIGNAL)
    op.execute(DECISIONS)
    op.execute("CREATE INDEX decisions_sense ON decisions (sense)")
    op.execute(PAUSED)


def downgrade() -> None:
    op.execute("ALTER TABLE received DROP COLUMN signal_id")
    op.drop_table("paused")
    op.drop_table("decisions")
