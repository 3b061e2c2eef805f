"""Processor times at the last look, and what each look found."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tracked",
        sa.Column("pid", sa.Integer, primary_key=True),
        sa.Column("started_s", sa.Float, nullable=False),
        sa.Column("cpu_s", sa.Float, nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("clock_s", sa.Float, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("zombies", sa.Integer, nullable=False),
        sa.Column("troubles", sa.Text, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )
    op.create_index("readings_at_us", "readings", ["at_us"])
    op.create_table(
        "top",
        sa.Column(
            "reading_id",
            sa.Integer,
            sa.ForeignKey("readings.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("pid", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rss_bytes", sa.Integer, nullable=False),
        sa.Column("cpu_percent", sa.Float),
    )


def downgrade() -> None:
    op.drop_table("top")
    op.drop_table("readings")
    op.drop_table("tracked")
