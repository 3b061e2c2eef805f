# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""Which senses are not run, because their worker died over them again and again."""

from alembic import op

revision = "0002"
down_revision = "0001"

# `times` grows with each quarantine, and so does the next one's length. A row stays after
# `until_us` until the sense has run well once.
QUARANTINE = """
CREATE TABLE quarantine (
    sense TEXT PRIMARY KEY,
    times INTEGER NOT NULL,
    since_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""


def upgrade() -> None:
    op.execute(QUARANTINE)


def downgrade() -> None:
    op.drop_table("quarantine")
