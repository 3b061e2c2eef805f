import os
import subprocess
import sys

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
    done = project.here("db", "revision", "disk", "-m", "What it read", "--autogenerate")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_revision_is_written_from_the_metadata_and_applied_once(sense, json_lines):
    """DB-2"""
    path = revise(sense)
    assert os.path.dirname(path) == str(sense.folder / "senses/disk/migrations")
    applied = sense.here("db", "upgrade", "disk")
    revision = applied.stdout.strip()
    assert applied.returncode == 0
    assert revision
    again = sense.here("db", "upgrade", "disk")
    assert again.stdout == ""
    assert "up to date" in again.stderr
    (line,) = json_lines(sense.here("db", "history", "disk", "--json").stdout)
    assert line == {"revision": revision, "doc": "What it read.", "current": True}


def test_check_tells_what_the_revisions_lack(sense):
    lacking = sense.here("db", "check", "disk")
    assert lacking.returncode == 1
    assert "add table readings" in lacking.stdout
    revise(sense)
    assert sense.here("db", "check", "disk").returncode == 0


def test_upgrade_refuses_to_run_beside_a_running_nerve(sense):
    """BOOT-1"""
    sense.state.create()
    lock = sense.state.lock()
    try:
        written = sense.here("db", "revision", "disk", "-m", "x", "--autogenerate")
        done = sense.here("db", "upgrade", "disk")
    finally:
        os.close(lock)
    assert done.returncode == 75
    assert str(os.getpid()) in done.stderr
    assert "it is applied at the next start, or by: nerve reload" in written.stderr


def test_reading_works_beside_a_running_nerve(sense, json_lines):
    """CTL-2"""
    sense.state.create()
    lock = sense.state.lock()
    try:
        done = sense.here("db", "current", "disk", "--json")
        (line,) = json_lines(done.stdout)
        assert line == {"sense": "disk", "current": None, "head": None}
    finally:
        os.close(lock)


def test_what_a_sense_says_while_it_is_loaded_is_talk_without_secrets(project):
    """CFG-8"""
    project.write("nerve.yaml", "senses: {disk: {secrets: {token: tok-very-secret}}}\n")
    project.sense("disk", 'print("a tok-very-secret")\n' + MODULE)
    done = project.here("db", "history", "disk")
    assert done.stderr == "disk printed: a ********\n"
    assert "tok" not in done.stdout
    project.sense("disk", 'raise RuntimeError("a tok-very-secret")\n')
    failed = project.here("db", "current", "disk")
    assert failed.returncode == 1
    assert "RuntimeError: a ********" in failed.stderr
    assert "tok-very-secret" not in failed.stderr


def test_a_database_at_a_revision_that_is_not_here_is_told(sense):
    """DB-3"""
    revise(sense)
    assert sense.here("db", "upgrade", "disk").returncode == 0
    sense.sense_database("disk", "UPDATE alembic_version SET version_num = '9999'")
    done = sense.here("db", "history", "disk")
    assert done.returncode == 0
    assert "the database stands at 9999, which is none of the revisions here" in done.stderr


def test_a_revision_that_continues_a_missing_one_is_one_error_without_a_warning(sense):
    """DB-2"""
    text = 'revision = "0001"\ndown_revision = "0000"\n\n\ndef upgrade():\n    pass\n'
    sense.write("senses/disk/migrations/0001_x.py", text)
    done = sense.here("db", "history", "disk")
    assert done.returncode != 0
    assert "Warning" not in done.stderr
    assert "0000" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-x", "sense=nope"], "there is no sense 'nope'"),
        (["-x", "foo=1"], "there is no -x foo="),
        ([], "say which sense with -x sense=NAME"),
    ],
)
def test_the_alembic_command_says_what_is_wrong_with_its_options(sense, checkout, options, said):
    sense.write(
        "pyproject.toml",
        f'[tool.alembic]\nscript_location = "{checkout / "alembic"}"\nrevision_environment = true\n',
    )
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *options, "history"],
        cwd=sense.folder, env=sense.environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_without_metadata_there_is_nothing_to_compare_with(project):
    project.sense("disk")
    done = project.here("db", "check", "disk")
    assert done.returncode == 1
    assert "metadata" in done.stderr
