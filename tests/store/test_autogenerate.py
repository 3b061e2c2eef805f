import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from nerve.errors import MigrationFailed, StateError
from nerve.store.autogenerate import compare, new_revision
from nerve.store.migrations import SENSE_SCHEMA, Migrations, upgrade

CHECKOUT = Path(__file__).parents[2]


def readings(*more):
    metadata = sa.MetaData()
    columns = [sa.Column("id", sa.Integer, primary_key=True), sa.Column("value", sa.Float)]
    sa.Table("reading", metadata, *columns, *more)
    return metadata


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cpu usage 100%" / "migrations"


def test_what_is_lacking_is_said_and_then_written(folder, owner, tables):
    assert compare(Migrations(folder), readings()) == ["add table reading"]
    new_revision(Migrations(folder), "Make the readings", metadata=readings())
    assert compare(Migrations(folder), readings()) == []
    raw = owner()
    assert len(upgrade(raw, Migrations(folder))) == 1
    assert tables(raw) == {"reading", "alembic_version"}


def test_a_change_of_a_table_becomes_what_sqlite_can_do(folder, owner):
    new_revision(Migrations(folder), "Make the readings", metadata=readings())
    changed = readings(sa.Column("unit", sa.Text, nullable=False, server_default="C"))
    assert compare(Migrations(folder), changed) == ["add column reading unit"]
    new_revision(Migrations(folder), "Add the unit", metadata=changed)
    raw = owner()
    assert len(upgrade(raw, Migrations(folder))) == 2
    raw.execute("INSERT INTO reading (value) VALUES (1.0)")
    assert raw.execute("SELECT unit FROM reading").fetchone() == ("C",)


def test_tables_of_the_runtime_are_no_part_of_the_comparison(folder):
    metadata = readings()
    sa.Table("nerve_mine", metadata, sa.Column("x", sa.Integer))
    assert compare(Migrations(folder), metadata) == ["add table reading"]
    assert compare(SENSE_SCHEMA, sa.MetaData()) == []


def test_revisions_follow_each_other(folder):
    first = new_revision(Migrations(folder), "First")
    second = new_revision(Migrations(folder), "Second")
    history = Migrations(folder).history()
    assert [Path(script.path) for script in history] == [first, second]
    assert history[1].down_revision == history[0].revision


def test_new_files_pass_the_linter_and_the_type_checker(tmp_path):
    folder = tmp_path / "migrations"
    index = sa.Index("by_value", "value")
    new_revision(Migrations(folder), 'say "what" it \\ does', metadata=readings(index))
    new_revision(Migrations(folder), "nothing yet")
    (tmp_path / "ruff.toml").write_text(
        f'extend = "{CHECKOUT / "pyproject.toml"}"\n'
        'lint.isort.known-third-party = ["alembic", "sqlalchemy"]\n'
        'lint.per-file-ignores = {"**/migrations/**" = ["INP001", "D103"]}\n'
    )
    tools = Path(sys.executable).parent
    # Without Alembic's own types, which would cost mypy ten seconds.
    mypy = ["mypy", "--strict", "--follow-imports=skip", *folder.iterdir()]
    for command in (["ruff", "check", "."], mypy):
        done = subprocess.run(
            [tools / command[0], *command[1:]], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_printed_because_standard_output_is_for_data(folder, capfd):
    new_revision(Migrations(folder), "Silent")
    assert capfd.readouterr() == ("", "")


def test_migrations_that_fail_cannot_be_compared(revise):
    folder = revise("a1", None, "raise RuntimeError")
    with pytest.raises(MigrationFailed):
        compare(Migrations(folder), readings())


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot write"):
        new_revision(Migrations(tmp_path / "file" / "migrations"), "Nowhere")
