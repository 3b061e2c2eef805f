"""Tests of both senses: run `pytest` beside nerve.yaml. The fixture `sense` comes with nerve."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

import nerve


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def spool(sense, inbox, monkeypatch):
    run = sense("spool")
    monkeypatch.setattr(run.module, "PROJECT", inbox.parent)
    return run


@pytest.fixture
def backlog(sense, spool):
    return sense("backlog", peers={"spool": spool})


@pytest.mark.parametrize("name", ["spool", "backlog"])
def test_the_migrations_keep_rows_and_make_the_tables_that_the_code_expects(check_migrations, name):
    check_migrations(name)


def test_spool_tells_when_files_come_and_go_and_is_silent_otherwise(spool, inbox):
    assert spool().payload["summary"] == "Files waiting: 0, 0 bytes"
    (inbox / "letter").write_text("hello")
    (inbox / ".hidden").write_text("not yet complete")
    told = spool(after_s=2).payload
    assert (told["files"], told["size_bytes"]) == (1, 5)
    assert spool(after_s=2).payload is None
    (inbox / "letter").unlink()
    assert spool(after_s=2).payload["files"] == 0


def test_spool_survives_a_file_that_is_taken_away_while_it_looks(spool, inbox, monkeypatch):
    (inbox / "letter").write_text("hello")
    real = Path.is_file

    def take_away(path):
        found = real(path)
        path.unlink()
        return found

    monkeypatch.setattr(Path, "is_file", take_away)
    assert spool().payload["files"] == 0


def test_spool_explains_a_missing_folder(spool):
    error = spool(options={"folder": "elsewhere"}).error
    assert (error.kind, bool(error.hint)) == ("folder_missing", True)
    assert "is no folder" in error.message


def test_spool_keeps_its_looks_for_a_day(spool):
    for _ in range(3):
        spool(after_s=2)
    spool(after_s=86_400)
    assert [row["id"] for row in spool.rows("looks")] == [3, 4]


def test_backlog_tells_each_change_of_its_verdict(spool, backlog, inbox):
    verdicts = []
    for files in (0, 3, 5, 25, 2, 0):
        for file in inbox.iterdir():
            file.unlink()
        for number in range(files):
            (inbox / str(number)).touch()
        spool(after_s=10)
        told = backlog(now=spool.clock.now, options={"window_minutes": 10, "max_files": 20}).payload
        verdicts.append(told and told["verdict"])
    assert verdicts == ["empty", "growing", None, "overfull", "growing", "empty"]


def test_backlog_judges_its_window_only(sense):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    at_us = round(now.timestamp() * 1_000_000)
    looks = [{"at_us": at_us - 120_000_000, "files": 9}, {"at_us": at_us, "files": 1}]
    backlog = sense("backlog", now=now, peers={"spool": {"looks": looks}})
    told = backlog(options={"window_minutes": 1}).payload
    assert told["verdict"] == "steady"
    assert told["summary"] == "The spool is steady: 1 files, +0"


def test_backlog_tells_a_spool_that_is_drained(spool, backlog, inbox):
    for name in ("a", "b"):
        (inbox / name).touch()
    spool()
    (inbox / "a").unlink()
    spool(after_s=10)
    assert backlog(after_s=10).payload["verdict"] == "draining"


def test_backlog_counts_the_signals_that_caused_it(spool, backlog):
    signal = spool().signal
    caused = nerve.Trigger(nerve.TriggerKind.SIGNAL, signals=(signal,), left_out=2, merged=2)
    assert backlog(trigger=caused).payload["signals"] == 3


def test_backlog_has_nothing_to_tell_before_the_spool_was_looked_at(backlog):
    assert backlog().payload is None


def test_a_wrong_option_is_refused(backlog):
    with pytest.raises(ValidationError):
        backlog.module.Options(max_files=0)
