import os
import sqlite3
from contextlib import closing

import pytest

from nerve.store import newborn
from nerve.store.migrations import SENSE_SCHEMA, upgrade
from nerve.store.newborn import make_if_missing


def _known_of(raw):
    schema = raw.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid").fetchall()
    pragmas = ("journal_mode", "auto_vacuum", "page_size", "integrity_check", "encoding")
    rows = "SELECT version_num, one, boot, trigger_id FROM nerve_version, nerve_identity"
    return schema, [raw.execute(f"PRAGMA {p}").fetchall() for p in pragmas], raw.execute(rows)


def _epoch_at(path):
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute("SELECT epoch FROM nerve_identity").fetchone()[0]


def test_a_new_database_is_what_migrating_makes_of_an_empty_file(tmp_path, owner):
    make_if_missing(tmp_path / "copied.db")
    copied, migrated = owner("copied.db"), owner("migrated.db")
    assert upgrade(copied, SENSE_SCHEMA) == []
    assert upgrade(migrated, SENSE_SCHEMA) != []
    *told, row = _known_of(copied)
    *expected, expected_row = _known_of(migrated)
    assert told == expected
    assert row.fetchall() == expected_row.fetchall()


def test_nobody_else_can_read_it_and_nothing_lies_beside_it(tmp_path):
    make_if_missing(tmp_path / "new.db")
    assert [file.name for file in tmp_path.iterdir()] == ["new.db"]
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["old.db", "old.db-wal", "old.db-shm", "old.db-journal"])
def test_what_stands_there_is_left_as_it_is(tmp_path, name):
    (tmp_path / name).write_text("somebody's")
    make_if_missing(tmp_path / "old.db")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "somebody's"


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "new.db"
    made = newborn._new()
    monkeypatch.setattr(newborn, "_new", lambda: (path.write_text("somebody's"), made)[1])
    make_if_missing(path)
    assert path.read_text() == "somebody's"


def test_forks_of_one_process_make_databases_of_different_epochs(tmp_path):
    newborn.template()
    for name in ("one", "two"):
        child = os.fork()
        if not child:
            make_if_missing(tmp_path / name)
            os._exit(0)
        os.waitpid(child, 0)
    make_if_missing(tmp_path / "three")
    make_if_missing(tmp_path / "four")
    assert len({_epoch_at(path) for path in tmp_path.iterdir()}) == 4


def test_where_it_cannot_be_made_nothing_is_and_opening_it_tells(tmp_path, monkeypatch):
    make_if_missing(tmp_path / "missing" / "new.db")
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # to a kernel that does not know it
    make_if_missing(tmp_path / "new.db")
    assert list(tmp_path.iterdir()) == []
