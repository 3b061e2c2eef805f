"""How many bytes they hold; earlier looks did not measure it, and say 0."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("looks", sa.Column("size_bytes", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("looks", "size_bytes")
