"""The rows that the network sense keeps: last counters, rates over time, the last signal.

Only `compute` writes here, in its own transaction. Peers may read `interfaces` (one row per
interface, replaced at each look) and `readings` (appended, pruned by age).
"""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()
interfaces = sa.Table(
    "interfaces",
    metadata,
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
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("interface", sa.Text, nullable=False),
    sa.Column("received_bytes_per_s", sa.Float, nullable=False),
    sa.Column("sent_bytes_per_s", sa.Float, nullable=False),
    sa.Column("errors_per_s", sa.Float, nullable=False),
    sa.Column("drops_per_s", sa.Float, nullable=False),
    sa.Index("readings_at_us", "at_us"),
)
told = sa.Table(
    "told",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
)


def store(
    db: sa.Connection,
    at_us: int,
    seen: dict[str, dict[str, Any]],
    rates: dict[str, dict[str, float]],
) -> None:
    """Replace the last counters by `seen`, and add to the history of rates; both by name."""
    db.execute(sa.delete(interfaces))
    if seen:
        db.execute(sa.insert(interfaces), list(seen.values()))
    if rates:
        rows = [{"at_us": at_us, "interface": name, **rate} for name, rate in rates.items()]
        db.execute(sa.insert(readings), rows)


def note_told(db: sa.Connection, at_us: int) -> None:
    """Remember when the last signal was given."""
    db.execute(sa.delete(told))
    db.execute(sa.insert(told).values(one=1, at_us=at_us))
