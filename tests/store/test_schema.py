import re
import sqlite3
import subprocess
import sys

import pytest

from nerve.errors import DatabaseNewer
from nerve.store import journal_file, schema
from nerve.store.migrations import JOURNAL_SCHEMA, SENSE_SCHEMA, Migrations, upgrade

SENSE_TABLES = {"nerve_outbox", "nerve_position", "nerve_identity", "nerve_version"}
JOURNAL_TABLES = {
    *("signals", "logs", "received", "cursors", "outcomes", "boots", "meta"),
    *("quarantine", "decisions", "paused", "archives", "spans"),
    "nerve_version",
}


def test_the_heads_in_the_code_are_those_of_the_revisions():
    """DB-2"""
    assert SENSE_SCHEMA.head() == SENSE_SCHEMA.known_head == schema.SENSE_HEAD
    assert JOURNAL_SCHEMA.head() == JOURNAL_SCHEMA.known_head == schema.JOURNAL_HEAD


def test_a_senses_database_gets_the_tables_of_the_runtime(owner, tables):
    """DB-2"""
    raw = owner()
    assert not schema.is_at(raw, schema.SENSE_HEAD)
    assert upgrade(raw, SENSE_SCHEMA) == ["0001", "0002"]
    assert schema.is_at(raw, schema.SENSE_HEAD)
    assert upgrade(raw, SENSE_SCHEMA) == []
    assert tables(raw) == SENSE_TABLES


def test_a_database_made_anew_has_another_epoch(owner):
    epochs = set()
    for name in ("a.db", "b.db"):
        raw = owner(name)
        upgrade(raw, SENSE_SCHEMA)
        ((one, epoch, boot, trigger_id, seq),) = raw.execute(
            "SELECT * FROM nerve_identity"
        ).fetchall()
        assert (one, boot, trigger_id, seq) == (1, "", 0, 0)
        assert re.fullmatch("[0-9a-f]{32}", epoch)
        epochs.add(epoch)
    assert len(epochs) == 2


def test_the_journal_is_made_once(owner, tables):
    """DB-2"""
    raw = owner()
    assert journal_file.prepare_journal(raw) == ["0001", "0002", "0003", "0004", "0005"]
    assert journal_file.prepare_journal(raw) == []
    assert tables(raw) == JOURNAL_TABLES


def test_the_timeline_is_logs_and_signals_in_one_order(owner):
    raw = owner()
    journal_file.prepare_journal(raw)
    raw.execute("INSERT INTO logs VALUES (1, 10, 'nerve', 'start', 'info', 'r', '{}')")
    raw.execute("INSERT INTO signals VALUES (2, 'disk', 20, 'e', 1, '{\"a\": 1}', '{}')")
    raw.execute("INSERT INTO logs VALUES (3, 30, 'nerve', 'stop', 'info', NULL, '{}')")
    assert raw.execute("SELECT * FROM timeline ORDER BY id").fetchall() == [
        (1, 10, "nerve", "start", "info", "r", "{}"),
        (2, 20, "disk", "signal", "info", None, '{"a": 1}'),
        (3, 30, "nerve", "stop", "info", None, "{}"),
    ]


@pytest.mark.parametrize(
    "prepare", [journal_file.prepare_journal, lambda raw: upgrade(raw, SENSE_SCHEMA)]
)
def test_every_table_of_the_runtime_takes_the_declared_types_only(owner, tables, prepare):
    raw = owner()
    prepare(raw)
    strict = {name for _, name, _, _, _, strict in raw.execute("PRAGMA table_list") if strict}
    assert strict == tables(raw) - {"nerve_version"}


def test_a_journal_of_a_newer_version_is_refused(owner):
    raw = owner()
    journal_file.prepare_journal(raw)
    raw.execute("UPDATE nerve_version SET version_num = '9999'")
    with pytest.raises(DatabaseNewer) as newer:
        journal_file.prepare_journal(raw)
    assert newer.value.revision == "9999"
    assert "newer version" in newer.value.hint


def test_the_authors_revisions_and_those_of_the_runtime_do_not_meet(owner, revise, tables):
    raw = owner()
    folder = revise("0001", None, "op.execute('CREATE TABLE reading (x)')")
    assert upgrade(raw, SENSE_SCHEMA) == ["0001", "0002"]
    assert upgrade(raw, Migrations(folder)) == ["0001"]
    assert tables(raw) == SENSE_TABLES | {"reading", "alembic_version"}


def test_a_version_that_cannot_be_read_is_not_taken_for_none(owner, tmp_path):
    """LOG-6"""
    raw = owner()
    journal_file.prepare_journal(raw)
    raw.set_progress_handler(lambda: True, 1)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        schema.is_at(raw, schema.JOURNAL_HEAD)


def test_a_usual_start_of_the_parent_imports_neither_sqlalchemy_nor_alembic(owner, tmp_path):
    journal_file.prepare_journal(owner())
    code = """
import sys
from pathlib import Path
from nerve.store import journal_file, sqlite, state_dir
raw = sqlite.open_owner(Path(sys.argv[1]), full_sync=True)
assert journal_file.prepare_journal(raw) == []
assert not {"sqlalchemy", "alembic"} & set(sys.modules)
raw.close()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "own.db")], check=True)
