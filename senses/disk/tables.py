"""The rows that the disk sense keeps: file systems as last seen, their history, the last signal.

Only `compute` writes here, in its own transaction. Peers may read `mounts` (one row per
file system, replaced at each look) and `readings` (appended, pruned by age).
"""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()
mounts = sa.Table(
    "mounts",
    metadata,
    sa.Column("mount", sa.Text, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("total_bytes", sa.Integer, nullable=False),
    sa.Column("free_bytes", sa.Integer, nullable=False),
    sa.Column("used_percent", sa.Float, nullable=False),
    sa.Column("inodes_percent", sa.Float, nullable=False),
    sa.Column("full", sa.Boolean, nullable=False),
    sa.Column("told_percent", sa.Float, nullable=False),
)
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("mount", sa.Text, nullable=False),
    sa.Column("free_bytes", sa.Integer, nullable=False),
    sa.Column("used_percent", sa.Float, nullable=False),
    sa.Index("readings_at_us", "at_us"),
)
told = sa.Table(
    "told",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
)


def store(db: sa.Connection, at_us: int, rows: list[dict[str, Any]]) -> None:
    """Replace what is known of the file systems, and add to their history."""
    db.execute(sa.delete(mounts))
    if rows:
        rows = [{**row, "at_us": at_us} for row in rows]
        db.execute(sa.insert(mounts), rows)
        kept = ("at_us", "mount", "free_bytes", "used_percent")
        db.execute(sa.insert(readings), [{key: row[key] for key in kept} for row in rows])


def note_told(db: sa.Connection, at_us: int) -> None:
    """Remember when the last signal was given."""
    db.execute(sa.delete(told))
    db.execute(sa.insert(told).values(one=1, at_us=at_us))
