"""The file systems as last seen and last told, and their history."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "mounts",
        sa.Column("mount", sa.Text, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("total_bytes", sa.Integer, nullable=False),
        sa.Column("free_bytes", sa.Integer, nullable=False),
        sa.Column("used_percent", sa.Float, nullable=False),
        sa.Column("inodes_percent", sa.Float, nullable=False),
        sa.Column("full", sa.Boolean, nullable=False),
        sa.Column("told_percent", sa.Float, nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("mount", sa.Text, nullable=False),
        sa.Column("free_bytes", sa.Integer, nullable=False),
        sa.Column("used_percent", sa.Float, nullable=False),
    )
    op.create_index("readings_at_us", "readings", ["at_us"])
    op.create_table(
        "told",
        sa.Column("one", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("told")
    op.drop_table("readings")
    op.drop_table("mounts")
