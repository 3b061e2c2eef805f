"""The projects that benchmarks run nerve over, and their senses."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nerve.config import Loaded, load_config

SENSE = """
import time
from sqlalchemy import text

INSERT = text("INSERT INTO seen (at_us, said) VALUES (:at_us, :said)")

def compute(db, peers, ctx):
    db.execute(INSERT, {"at_us": time.time_ns() // 1_000, "said": "one row"})
    return {"said": "one row"}
"""
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

HANGING_SENSE = """
import itertools

def compute(db, peers, ctx):
    return sum(itertools.repeat(1, 10**13))  # hours inside C, and never the GIL given up
"""
HANGING_ALLOWANCE_MS = 100
"""From the dispatch of the hanging sense to its hard deadline."""
HANGING_TIMES = ", timeout: 50ms, grace_period: 50ms"
HANGING, BEHIND = "hanging", "behind"


def make_project(
    folder: Path,
    senses: dict[str, str],
    *,
    source: str = SENSE,
    more: str = "",
    group_of: Callable[[str], str] = str,
    sections: Sequence[str] = (),
) -> Loaded:
    """Write a project.

    Args:
        folder: a directory that does not exist yet.
        senses: name to `durability`.
        source: of each of them.
        more: further keys of each, as YAML.
        group_of: a sense's group by its name; without it each is alone in its own.
        sections: further lines of nerve.yaml.
    """
    folder.mkdir(parents=True)
    (folder / "nerve.yaml").write_text("\n".join([*sections, "senses:", ""]))
    for name, durability in senses.items():
        keys = f"group: {group_of(name)}, durability: {durability}{more}"
        add_sense(folder, name, keys, source)
    return load_config(folder / "nerve.yaml", environ={})


def make_crowd(folder: Path, size: int) -> Loaded:
    """Write one with so many senses, which are alone in their groups."""
    return make_project(folder, {f"sense-{number}": "normal" for number in range(size)})


def make_hanging_project(folder: Path) -> Loaded:
    """Write one with a group of two: HANGING, and BEHIND, which waits for it and then tells."""
    make_project(folder, {HANGING: "normal"}, source=HANGING_SENSE, more=HANGING_TIMES)
    add_sense(folder, BEHIND, f"group: {HANGING}")
    return load_config(folder / "nerve.yaml", environ={})


def add_sense(folder: Path, name: str, keys: str, source: str = SENSE) -> None:
    """Write a sense, and append it with its keys to a nerve.yaml that has no other section yet."""
    migrations = folder / "senses" / name.replace("-", "_") / "migrations"
    migrations.mkdir(parents=True)
    (migrations.parent / "__init__.py").write_text(source)
    (migrations / "0001_seen.py").write_text(MIGRATION)
    with (folder / "nerve.yaml").open("a") as file:
        file.write(f"  {name}: {{{keys}}}\n")
