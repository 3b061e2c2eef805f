import os

import pytest

MODULE = """\
import sqlalchemy as sa

metadata = sa.MetaData()
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("used", sa.Float, nullable=False),
)


def compute(db, peers, ctx):
    return None
"""


@pytest.fixture
def sense(project):
    project.sense("disk", MODULE)
    return project


def revise(project):
    done = project.process("db", "revision", "disk", "-m", "What it read", "--autogenerate")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_revision_is_written_from_the_metadata_and_applied_once(sense, json_lines):
    """DB-2"""
    path = revise(sense)
    assert os.path.dirname(path) == str(sense.folder / "senses/disk/migrations")
    applied = sense.process("db", "upgrade", "disk")
    revision = applied.stdout.strip()
    assert applied.returncode == 0
    assert revision
    again = sense.process("db", "upgrade", "disk")
    assert again.stdout == ""
    assert "up to date" in again.stderr
    (line,) = json_lines(sense.process("db", "history", "disk", "--json").stdout)
    assert line == {"revision": revision, "doc": "What it read.", "current": True}


def test_check_tells_what_the_revisions_lack(sense):
    lacking = sense.process("db", "check", "disk")
    assert lacking.returncode == 1
    assert "add table readings" in lacking.stdout
    revise(sense)
    assert sense.process("db", "check", "disk").returncode == 0


def test_upgrade_refuses_to_run_beside_a_running_nerve(sense):
    """BOOT-1"""
    sense.state.create()
    lock = sense.state.lock()
    try:
        done = sense.process("db", "upgrade", "disk")
    finally:
        os.close(lock)
    assert done.returncode == 75
    assert str(os.getpid()) in done.stderr


def test_reading_works_beside_a_running_nerve(sense, json_lines):
    """CTL-2"""
    sense.state.create()
    lock = sense.state.lock()
    try:
        done = sense.process("db", "current", "disk", "--json")
        (line,) = json_lines(done.stdout)
        assert line == {"sense": "disk", "current": None, "head": None}
    finally:
        os.close(lock)


def test_without_metadata_there_is_nothing_to_compare_with(project):
    project.sense("disk")
    done = project.process("db", "check", "disk")
    assert done.returncode == 1
    assert "metadata" in done.stderr
