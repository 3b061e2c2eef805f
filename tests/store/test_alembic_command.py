"""The ordinary `alembic` command, run as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nerve.store.state_dir import StateDir

CHECKOUT = Path(__file__).parents[2]
SENSE = """
import sqlalchemy as sa

metadata = sa.MetaData()
sa.Table("reading", metadata, sa.Column("id", sa.Integer, primary_key=True))


def compute(db, peers, ctx):
    return None
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "senses" / "cpu_usage").mkdir(parents=True)
    (tmp_path / "senses" / "cpu_usage" / "__init__.py").write_text(SENSE)
    (tmp_path / "nerve.yaml").write_text("senses:\n  cpu-usage: {}\n  other: {}\n")
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.alembic]\nscript_location = "{CHECKOUT / "alembic"}"\nrevision_environment = true\n'
    )
    return tmp_path


@pytest.fixture
def alembic(project):
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("NERVE_")}

    def run(*arguments, sense="cpu-usage", **extra):
        command = [sys.executable, "-m", "alembic", *(["-x", f"sense={sense}"] if sense else [])]
        return subprocess.run(
            [*command, *arguments],
            cwd=project,
            env=environment | {key: str(value) for key, value in extra.items()},
            capture_output=True,
            text=True,
        )

    return run


def test_without_a_sense_the_senses_are_listed(alembic):
    for sense in (None, "disc"):
        done = alembic("history", sense=sense)
        assert done.returncode != 0
        assert "-x sense=NAME" in done.stdout + done.stderr
        assert "cpu-usage, other" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_sense_goes_from_its_first_revision_to_a_database_at_head(alembic, project):
    assert "reading" in alembic("check").stderr + alembic("check").stdout
    made = alembic("revision", "--autogenerate", "-m", "Make the readings")
    assert made.returncode == 0, made.stderr
    (file,) = (project / "senses" / "cpu_usage" / "migrations").glob("*.py")
    revision = file.name.split("_")[0]
    assert "Make the readings." in file.read_text()
    assert alembic("check").returncode == 0
    assert alembic("current").stdout == ""
    assert alembic("upgrade", "head").returncode == 0
    assert alembic("current").stdout.split() == [revision, "(head)"]
    assert revision in alembic("history").stdout
    assert StateDir(project / "data").sense_db("cpu-usage").exists()
    assert alembic("downgrade", "base").returncode == 0
    assert alembic("current").stdout == ""


def test_what_the_environment_says_wins(alembic, project, tmp_path):
    (project / "nerve.yaml").rename(tmp_path / "other.yaml")
    extra = {"NERVE_CONFIG": tmp_path / "other.yaml", "NERVE_STATE_DIR": tmp_path / "elsewhere"}
    done = alembic("upgrade", "head", **extra)
    assert done.returncode == 0, done.stderr
    assert StateDir(tmp_path / "elsewhere").sense_db("cpu-usage").exists()


def test_a_command_that_writes_does_not_run_beside_nerve(alembic, project):
    """BOOT-1"""
    state = StateDir(project / "data")
    state.create()
    lock = state.lock()
    done = alembic("upgrade", "head")
    os.close(lock)
    assert done.returncode != 0
    assert str(os.getpid()) in done.stdout + done.stderr
    assert not state.sense_db("cpu-usage").exists()


def test_the_folder_alembic_does_not_hide_the_package(tmp_path):
    code = "import alembic; print(alembic.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_both_templates_for_revisions_are_one():
    own = CHECKOUT / "nerve" / "store" / "schema" / "script.py.mako"
    assert (CHECKOUT / "alembic" / "script.py.mako").read_text() == own.read_text()
