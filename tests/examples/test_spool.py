from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from nerve.sense import Signal, Trigger, TriggerKind

PROJECT = Path(__file__).parents[2] / "examples" / "spool"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def spool(make_bench, inbox, monkeypatch):
    bench = make_bench("spool", project=PROJECT)
    monkeypatch.setattr(bench.module, "PROJECT", inbox.parent)
    return bench


@pytest.fixture
def backlog(make_bench, spool):
    return make_bench("backlog", {"spool": spool}, project=PROJECT)


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
    error = spool.run(options={"folder": "elsewhere"}).error
    assert (error.kind, bool(error.hint)) == ("folder_missing", True)
    assert "is no folder" in error.message


def test_spool_keeps_its_looks_for_a_day(spool):
    for _ in range(3):
        spool.look(after_s=2)
    spool.look(after_s=86_400)
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
