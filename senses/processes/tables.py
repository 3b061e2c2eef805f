"""The rows that the processes sense keeps: processor times, readings, and who was on top.

Only `compute` writes here, in its own transaction. Peers may read `readings` and `top`
(appended, pruned together by age); `tracked` is replaced at each look.
"""

import sqlalchemy as sa

metadata = sa.MetaData()
tracked = sa.Table(
    "tracked",
    metadata,
    sa.Column("pid", sa.Integer, primary_key=True),
    sa.Column("started_s", sa.Float, nullable=False),
    sa.Column("cpu_s", sa.Float, nullable=False),
)
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("clock_s", sa.Float, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("zombies", sa.Integer, nullable=False),
    sa.Column("troubles", sa.Text, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False),
    sa.Index("readings_at_us", "at_us"),
)
top = sa.Table(
    "top",
    metadata,
    sa.Column("reading_id", sa.ForeignKey("readings.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("pid", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rss_bytes", sa.Integer, nullable=False),
    sa.Column("cpu_percent", sa.Float),
)
