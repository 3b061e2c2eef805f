import re

import pytest

from nerve.testing import MigrationsAtFault

METADATA = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("looks", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("files", sa.Integer))
sa.Table("names", metadata, sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("look_id", sa.Integer, sa.ForeignKey("looks.id", ondelete="CASCADE")))
def compute(db, peers, ctx): return None
"""
LOOKS = """
def upgrade():
    op.create_table("looks", sa.Column("id", sa.Integer, primary_key=True), sa.Column("files", sa.Integer))

def downgrade():
    op.drop_table("looks")
"""
NAMES = """
def upgrade():
    op.create_table("names", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("look_id", sa.Integer, sa.ForeignKey("looks.id", ondelete="CASCADE")))

def downgrade():
    op.drop_table("names")
"""
SIZES = """
def upgrade():
    op.add_column("looks", sa.Column("size", sa.Integer, {more}))

def downgrade():
    {down}
"""
STRICT = """
def upgrade():
    op.create_table("looks", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("files", sa.Integer, sa.CheckConstraint("files > 100")))
"""


@pytest.fixture
def faults(project, check_migrations):
    """Check the migrations of a sense with these revisions; return what is said of them."""

    def check(*revisions, source=METADATA, **more):
        chain = {f"r{number}": body for number, body in enumerate(revisions, 1)}
        project.sense("spool", source, **chain)
        with pytest.raises(MigrationsAtFault) as caught:
            check_migrations("spool", project=project.root, **more)
        return str(caught.value).splitlines()[1:]

    return check


def test_a_sound_history_passes(project, check_migrations):
    project.sense("spool", METADATA, r1=LOOKS, r2=NAMES)
    check_migrations("spool", project=project.root)


def test_a_sense_without_rows_passes(project, check_migrations):
    project.sense("spool", "def compute(db, peers, ctx): return None")
    check_migrations("spool", project=project.root)


def test_tables_without_any_migration_are_named(project, check_migrations):
    project.sense("spool", METADATA)
    with pytest.raises(MigrationsAtFault, match="no migrations/ that would make looks, names"):
        check_migrations("spool", project=project.root)


def test_what_the_migrations_lack_is_named_by_table_and_column(faults):
    assert faults(LOOKS) == ["  the migrations lack: add table names"]
    source = METADATA.replace(
        'sa.Column("files"', 'sa.Column("size", sa.Integer), sa.Column("files"'
    )
    assert faults(LOOKS, NAMES, source=source) == ["  the migrations lack: add column looks size"]


def test_rows_that_a_revision_loses_are_told_with_the_way_and_the_table(faults):
    losing = "def upgrade():\n    op.execute('DELETE FROM looks')\n"
    found = faults(LOOKS, losing, NAMES)
    assert "  up from r1 to r3: looks had 2 rows and has 0" in found


def test_a_foreign_key_that_points_nowhere_afterwards_is_told(faults):
    forgetting = "def upgrade():\n    op.execute('DELETE FROM looks')\n"
    found = faults(LOOKS, NAMES, forgetting)
    assert found[1].startswith("  up from r2: ")
    assert "rows of names point at rows of looks that are not there" in found[1]


def test_a_column_that_may_not_be_empty_is_refused_only_where_there_are_rows(faults):
    found = faults(LOOKS, NAMES, SIZES.format(more="nullable=False", down="pass"))
    assert re.search("up from r1: revision r3 .* failed: .*NOT NULL", found[0])


def test_a_downgrade_that_leaves_something_is_told(faults):
    sizes = SIZES.format(more="nullable=True", down="op.execute('SELECT 1')")
    found = faults(LOOKS, NAMES, sizes)
    assert (
        found[0] == "  the downgrade of r3 leaves the column looks.size, which is not there at r2"
    )


def test_a_downgrade_that_fails_is_told_and_one_that_is_not_written_is_none(
    faults, project, check_migrations
):
    sizes = SIZES.format(more="nullable=True", down="op.drop_column('looks', 'sise')")
    source = METADATA.replace(
        'sa.Column("files"', 'sa.Column("size", sa.Integer), sa.Column("files"'
    )
    (found,) = faults(LOOKS, NAMES, sizes, source=source)
    assert found.startswith("  the downgrade of r3 failed: OperationalError")
    for nothing in ("pass", "raise NotImplementedError('no way back')"):
        project.sense(
            "spool", source, r1=LOOKS, r2=NAMES, r3=SIZES.format(more="nullable=True", down=nothing)
        )
        check_migrations("spool", project=project.root)


def test_where_no_made_up_row_fits_the_author_gives_some(faults, project, check_migrations):
    source = (
        METADATA[: METADATA.index('sa.Table("names"')] + "def compute(db, peers, ctx): return None"
    )
    (found,) = faults(STRICT, source=source)
    assert found.startswith(
        "  r1: row 1 does not fit into looks: CHECK constraint failed: files > 100; give some"
    )
    check_migrations("spool", project=project.root, rows={"looks": [{"files": 101, "later": 1}]})


def test_two_heads_and_a_broken_chain_are_told(faults, project):
    folder = project.root / "senses" / "spool" / "migrations"
    project.sense("spool", METADATA, r1=LOOKS, r2=NAMES)
    other = (folder / "r2.py").read_text()
    (folder / "other.py").write_text(other.replace("revision = 'r2'", "revision = 'other'", 1))
    (found,) = faults(LOOKS, NAMES)
    assert "several heads: other, r2" in found
    (folder / "other.py").write_text(other.replace("'r2'", "'r3'", 1).replace("'r1'", "'gone'"))
    (found,) = faults(LOOKS, NAMES)
    assert (
        "other.py names a revision that is not there; name the revision that comes before" in found
    )
