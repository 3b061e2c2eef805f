"""What is measured: the senses, and how they are triggered."""

from dataclasses import dataclass
from pathlib import Path

STATEMENTS = "{}.statements"
"""The file, in the project's folder, with the statements of a database of that name."""

SILENT_SENSE = "silent"
"""The one that has no signals."""

INSERTING = """
from sqlalchemy import text

INSERT = text("INSERT INTO seen (at_us, said) VALUES (:at_us, :said)")

def compute(db, peers, ctx):
    db.execute(INSERT, {"at_us": 1_790_000_000_000_000, "said": "one row"})
    return {"said": "one row"}
"""
SILENT = """
def compute(db, peers, ctx):
    return None
"""
WATCHED = """
from pathlib import Path
from tests.budget.statements import Statements

FOLDER = Path(__file__).parents[2]
unwatched = compute
is_watched = False

def compute(db, peers, ctx):
    global is_watched
    if not is_watched:
        is_watched = True
        raw = db.connection.driver_connection
        raw.execute("PRAGMA wal_autocheckpoint=0")
        raw.set_trace_callback(Statements(FOLDER / f"{ctx.name}.statements").note)
    return unwatched(db, peers, ctx)
"""
"""Appended to a sense whose statements are counted, and whose checkpoints are not to be."""
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

def upgrade():
    op.create_table(
        "seen",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer),
        sa.Column("said", sa.Text),
    )
"""
NERVE_YAML = """
senses:
  normal: {group: normal}
  full: {group: full, durability: full}
  silent: {group: silent}
  cause: {group: cause}
  effect: {group: effect}
groups:  # on a crowded machine a worker that stands back would be waited for
  normal: {nice: 0}
  full: {nice: 0}
  silent: {nice: 0}
  cause: {nice: 0}
  effect: {nice: 0}
reflexes:
  - {kind: sense, sense: effect, on: [cause]}
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of compute.

    Attributes:
        triggered: the sense that is triggered, again once the last has ended.
        senses: of all whose computes follow, in order.
    """

    triggered: str
    senses: tuple[str, ...]


KINDS = {
    "signal": Kind("normal", ("normal",)),
    "signal, full": Kind("full", ("full",)),
    "no signal": Kind(SILENT_SENSE, (SILENT_SENSE,)),
    "reflex": Kind("cause", ("cause", "effect")),
}
"""One row and one signal, with each `durability`; neither; and a signal that a sense of another
group answers with its own."""


def worker(sense: str) -> str:
    """How the worker of a sense is called."""
    return f"worker of {sense}"


def write(folder: Path, *, watched: bool) -> None:
    """Write the project into an empty folder; with senses whose statements can be counted."""
    (folder / "nerve.yaml").write_text(NERVE_YAML)
    for name in ("normal", "full", SILENT_SENSE, "cause", "effect"):
        migrations = folder / "senses" / name / "migrations"
        migrations.mkdir(parents=True)
        source = SILENT if name == SILENT_SENSE else INSERTING
        (migrations.parent / "__init__.py").write_text(source + WATCHED * watched)
        (migrations / "0001_seen.py").write_text(MIGRATION)
