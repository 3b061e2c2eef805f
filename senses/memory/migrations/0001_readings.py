"""What each look read."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("total_bytes", sa.Integer, nullable=False),
        sa.Column("available_bytes", sa.Integer, nullable=False),
        sa.Column("available_percent", sa.Float, nullable=False),
        sa.Column("swap_total_bytes", sa.Integer, nullable=False),
        sa.Column("swap_used_bytes", sa.Integer, nullable=False),
        sa.Column("swap_percent", sa.Float, nullable=False),
        sa.Column("stall_percent", sa.Float),
        sa.Column("troubles", sa.Text, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )
    op.create_index("readings_at_us", "readings", ["at_us"])


def downgrade() -> None:
    op.drop_table("readings")
