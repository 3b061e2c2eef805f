"""The project that the storm rages over: seven senses in four groups, all of one source.

Each compute writes one row with what it heard, and most of them tell a signal with the number of that
row. So whatever was lost, doubled or half done shows as rows and signals that do not fit.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """A sense of the storm: its group, its options, and the senses it listens to."""

    group: str
    options: str = ""
    on: tuple[str, ...] = ()
    interval: str = ""


GUEST = "guest"
"""Comes and goes, and so does its reflex, where an operator has a hand in the storm."""
SENSES = {
    "tick": Sense("one", interval="20ms"),
    "first": Sense("two", on=("tick",)),
    "second": Sense("three", on=("first",)),
    "third": Sense("one", on=("second",)),
    "other": Sense("four", "silent_every: 3, blobs: true", interval="30ms"),
    "both": Sense("two", "silent_every: 1", on=("tick", "other")),
    GUEST: Sense("four", on=("other",)),
}
"""A chain of three behind a tick, one that listens to two sources and never says anything, and the
guest."""
GROUPS = ("one", "two", "three", "four", "five")
"""Of which the last is there only where a sense has been moved to it."""


@dataclass(frozen=True)
class Setting:
    """How nerve.yaml differs from what it says at the beginning and at the end.

    Attributes:
        moved: senses to the groups they are in instead.
        salts: senses to an option that changes nothing but itself.
    """

    moved: Mapping[str, str] = field(default_factory=dict)
    salts: Mapping[str, int] = field(default_factory=dict)
    has_guest: bool = True
    has_reflex: bool = True

    def group_of(self, sense: str) -> str:
        """The group of a sense."""
        return self.moved.get(sense, SENSES[sense].group)

    def senses(self) -> list[str]:
        """Those that are configured."""
        return [name for name in SENSES if self.has_guest or name != GUEST]

    def reflexes(self) -> list[str]:
        """The senses that have theirs."""
        return [name for name in self.senses() if self.has_reflex or name != GUEST]


def write(root: Path) -> None:
    """Write the project into `root`, which is made."""
    for name in SENSES:
        migrations = root / "senses" / name / "migrations"
        migrations.mkdir(parents=True)
        (migrations.parent / "__init__.py").write_text(SOURCE)
        (migrations / "0001_runs.py").write_text(MIGRATION)
    configure(root, Setting())


def configure(root: Path, setting: Setting) -> None:
    """Put another nerve.yaml in the place of the one that is there, as an editor does."""
    new = root / "nerve.yaml.new"
    new.write_text("\n".join(_lines(setting)) + "\n")
    os.replace(new, root / "nerve.yaml")


def _lines(setting):
    yield "senses:"
    for name in setting.senses():
        options = ", ".join(filter(None, [SENSES[name].options, _salt(setting, name)]))
        yield f"  {name}: {{group: {setting.group_of(name)}, options: {{{options}}}}}"
    yield "reflexes:"
    for name in setting.reflexes():
        sense = SENSES[name]
        cause = f"interval: {sense.interval}" if sense.interval else f"on: [{', '.join(sense.on)}]"
        yield f"  - {{kind: sense, sense: {name}, {cause}}}"


def _salt(setting, name):
    return f"salt: {setting.salts[name]}" if name in setting.salts else ""
