# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""Which days have files in the archive, and what each of them holds; an index on trouble."""

from alembic import op

revision = "0004"
down_revision = "0003"

# A reader of the archive reads the files that are named here, within one snapshot with `logs` and
# `signals`: a row is deleted there only after the file that holds it is named here.
ARCHIVES = """
CREATE TABLE archives (
    kind TEXT,
    day TEXT,
    file TEXT NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (kind, day)
) STRICT, WITHOUT ROWID
"""


# What a person looks for at night is rare among a million rows; a row of level info, which is not,
# pays nothing for this.
TROUBLE = "CREATE INDEX logs_trouble ON logs (level) WHERE level IN ('warning', 'error')"


def upgrade() -> None:
    op.execute(ARCHIVES)
    op.execute(TROUBLE)


def downgrade() -> None:
    op.drop_index("logs_trouble")
    op.drop_table("archives")
