"""The counters of the last look, and what each look read."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "cores",
        sa.Column("core", sa.Integer, primary_key=True),
        sa.Column("busy_s", sa.Float, nullable=False),
        sa.Column("total_s", sa.Float, nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("busy_percent", sa.Float, nullable=False),
        sa.Column("load_1min", sa.Float, nullable=False),
        sa.Column("load_5min", sa.Float, nullable=False),
        sa.Column("load_15min", sa.Float, nullable=False),
        sa.Column("high", sa.Boolean, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )
    op.create_index("readings_at_us", "readings", ["at_us"])


def downgrade() -> None:
    op.drop_table("readings")
    op.drop_table("cores")
