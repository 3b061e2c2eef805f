"""The project that the storm rages over: six senses in four groups, all of one source.

Each compute writes one row with what it heard, and most of them tell a signal with the number of that
row. So whatever was lost, doubled or half done shows as rows and signals that do not fit.
"""

from dataclasses import dataclass
from pathlib import Path

SOURCE = '''
"""Counts its computes and notes the signals that caused them."""

from sqlalchemy import text

ROW = text("INSERT INTO runs (left_out) VALUES (:left_out) RETURNING n")
HEARD = text("INSERT INTO heard (source, signal, n) VALUES (:source, :signal, :n)")
BLOB = text("UPDATE runs SET blob = :blob WHERE n = :n")
SILENT = text("UPDATE runs SET said = 0 WHERE n = :n")


def compute(db, peers, ctx):
    n = db.execute(ROW, {"left_out": ctx.trigger.left_out}).scalar_one()
    for signal in ctx.trigger.signals:
        db.execute(HEARD, {"source": signal.sense, "signal": signal.id, "n": signal.payload["n"]})
    if ctx.options.get("blobs"):
        db.execute(BLOB, {"n": n, "blob": ctx.blobs.put(b"blob %d" % n)})
    if n % ctx.options.get("silent_every", n + 1) == 0:
        db.execute(SILENT, {"n": n})
        return None
    return {"n": n}
'''

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "runs",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("said", sa.Integer, nullable=False, server_default="1"),
        sa.Column("left_out", sa.Integer, nullable=False),
        sa.Column("blob", sa.Text),
    )
    op.create_table(
        "heard",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("signal", sa.Integer, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
    )
"""


@dataclass(frozen=True)
class Sense:
    """A sense of the storm: the keys of its configuration, and the senses it listens to."""

    keys: str
    on: tuple[str, ...] = ()
    interval: str = ""


SENSES = {
    "tick": Sense("group: one", interval="20ms"),
    "first": Sense("group: two", on=("tick",)),
    "second": Sense("group: three", on=("first",)),
    "third": Sense("group: one", on=("second",)),
    "other": Sense("group: four, options: {silent_every: 3, blobs: true}", interval="30ms"),
    "both": Sense("group: two, options: {silent_every: 1}", on=("tick", "other")),
}
"""A chain of three behind a tick, and one that listens to two sources and never says anything."""


def write(root: Path) -> None:
    """Write the project into `root`, which is made."""
    for name in SENSES:
        migrations = root / "senses" / name / "migrations"
        migrations.mkdir(parents=True)
        (migrations.parent / "__init__.py").write_text(SOURCE)
        (migrations / "0001_runs.py").write_text(MIGRATION)
    (root / "nerve.yaml").write_text("\n".join(_lines()) + "\n")


def _lines():
    yield "senses:"
    for name, sense in SENSES.items():
        yield f"  {name}: {{{sense.keys}}}"
    yield "reflexes:"
    for name, sense in SENSES.items():
        cause = f"interval: {sense.interval}" if sense.interval else f"on: [{', '.join(sense.on)}]"
        yield f"  - {{kind: sense, sense: {name}, {cause}}}"
