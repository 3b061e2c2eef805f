# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""Which times lie in which ids."""

from alembic import op

revision = "0005"
down_revision = "0004"

# Of entries with these ids none is earlier or later; not one of them is still to come.
SPANS = """
CREATE TABLE spans (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL
) STRICT
"""


def upgrade() -> None:
    op.execute(SPANS)


def downgrade() -> None:
    op.drop_table("spans")
