"""The counters of each interface at the last look, and the rates of each look."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "interfaces",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("clock_s", sa.Float, nullable=False),
        sa.Column("is_up", sa.Boolean, nullable=False),
        sa.Column("received_bytes", sa.Integer, nullable=False),
        sa.Column("sent_bytes", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("drops", sa.Integer, nullable=False),
        sa.Column("troubles", sa.Text, nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("interface", sa.Text, nullable=False),
        sa.Column("received_bytes_per_s", sa.Float, nullable=False),
        sa.Column("sent_bytes_per_s", sa.Float, nullable=False),
        sa.Column("errors_per_s", sa.Float, nullable=False),
        sa.Column("drops_per_s", sa.Float, nullable=False),
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
    op.drop_table("interfaces")
