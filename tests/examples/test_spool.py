from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from nerve.errors import SenseError
from nerve.sense import Signal, Trigger, TriggerKind
from nerve.store.autogenerate import compare
from nerve.store.migrations import Migrations, upgrade
from nerve.store.sqlite import open_owner

SENSES = Path(__file__).parents[2] / "examples" / "spool" / "senses"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def spool(make_bench, inbox, monkeypatch):
    bench = make_bench(SENSES / "spool")
    monkeypatch.setattr(bench.module, "PROJECT", inbox.parent)
    return bench


@pytest.fixture
def backlog(make_bench, spool):
    return make_bench(SENSES / "backlog", {"spool": spool.database})


@pytest.mark.parametrize("name", ["spool", "backlog"])
def test_the_migrations_make_the_tables_that_the_code_expects(make_bench, name):
    folder = SENSES / name
    assert compare(Migrations(folder / "migrations"), make_bench(folder).module.metadata) == []


def test_the_second_migration_of_spool_keeps_the_rows_of_the_first(tmp_path):
    migrations = Migrations(SENSES / "spool" / "migrations")
    raw = open_owner(tmp_path / "spool.db", full_sync=False)
    assert upgrade(raw, migrations, to="0001") == ["0001"]
    raw.execute("INSERT INTO looks (at_us, files) VALUES (1, 7)")
    assert upgrade(raw, migrations) == ["0002"]
    assert raw.execute("SELECT files, size_bytes FROM looks").fetchall() == [(7, 0)]
    raw.close()


def test_spool_tells_when_files_come_and_go_and_is_silent_otherwise(spool, inbox):
    assert spool.look()["summary"] == "Files waiting: 0, 0 bytes"
    (inbox / "letter").write_text("hello")
    (inbox / ".hidden").write_text("not yet complete")
    payload = spool.look(after_s=2)
    assert (payload["files"], payload["size_bytes"]) == (1, 5)
    assert spool.look(after_s=2) is None
    (inbox / "letter").unlink()
    assert spool.look(after_s=2)["files"] == 0


def test_spool_survives_a_file_that_is_taken_away_while_it_looks(spool, inbox, monkeypatch):
    (inbox / "letter").write_text("hello")
    real = Path.is_file

    def take_away(path):
        found = real(path)
        path.unlink()
        return found

    monkeypatch.setattr(Path, "is_file", take_away)
    assert spool.look()["files"] == 0


def test_spool_explains_a_missing_folder(spool):
    with pytest.raises(SenseError, match="is no folder") as caught:
        spool.look(folder="elsewhere")
    assert (caught.value.kind, bool(caught.value.hint)) == ("folder_missing", True)


def test_spool_keeps_its_looks_for_a_day(spool):
    for _ in range(3):
        spool.look(after_s=2)
    spool.look(after_s=86_400)
    spool.prune()
    assert spool.rows("SELECT id FROM looks") == [(3,), (4,)]


def test_backlog_tells_each_change_of_its_verdict(spool, backlog, inbox):
    verdicts = []
    for files in (0, 3, 5, 25, 2, 0):
        for file in inbox.iterdir():
            file.unlink()
        for number in range(files):
            (inbox / str(number)).touch()
        spool.look(after_s=10)
        payload = backlog.look(after_s=10, window_minutes=10, max_files=20)
        verdicts.append(payload and payload["verdict"])
    assert verdicts == ["empty", "growing", None, "overfull", "growing", "empty"]


def test_backlog_judges_its_window_only(spool, backlog, inbox):
    spool.look()
    (inbox / "letter").touch()
    spool.look(after_s=120)
    payload = backlog.look(after_s=120, window_minutes=1)
    assert payload["verdict"] == "steady"
    assert payload["summary"] == "The spool is steady: 1 files, +0"


def test_backlog_tells_a_spool_that_is_drained(spool, backlog, inbox):
    for name in ("a", "b"):
        (inbox / name).touch()
    spool.look()
    (inbox / "a").unlink()
    spool.look(after_s=10)
    assert backlog.look(after_s=10)["verdict"] == "draining"


def test_backlog_counts_the_signals_that_caused_it(spool, backlog):
    spool.look()
    signal = Signal(id=9, sense="spool", at=datetime.now(UTC), payload={})
    caused = Trigger(TriggerKind.SIGNAL, signals=(signal,), left_out=2, merged=2)
    assert backlog.look(trigger=caused)["signals"] == 3


def test_backlog_has_nothing_to_tell_before_the_spool_was_looked_at(spool, backlog):
    assert backlog.look() is None


def test_a_wrong_option_is_refused(backlog):
    with pytest.raises(ValidationError):
        backlog.module.Options(max_files=0)
