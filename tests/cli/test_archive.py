"""`nerve archive`: what is due, and having it done in place of a nerve that does not run."""

import os

import pytest

from nerve.clock import SystemClock
from nerve.store.due import DAY_US


@pytest.fixture
def old(project, log, signal):
    """A project with two log rows and a signal from long ago, and a row of today."""
    now_us = SystemClock().now_us()
    then_us = now_us // DAY_US * DAY_US - 40 * DAY_US
    entries = [log(at_us=then_us), log(at_us=then_us + 5), signal(at_us=then_us), log(at_us=now_us)]
    project.record(*entries)
    project.then_us = then_us
    return project


def test_what_is_old_is_moved_and_told(old, json_lines):
    """LOG-3"""
    done = old.here("archive")
    assert (done.returncode, done.stderr) == (0, "")
    head, logs, signals, journal = done.stdout.splitlines()
    assert head.split() == ["KIND", "DAYS", "ROWS", "FILES"]
    assert logs.split()[:3] == ["logs", "1", "2"]
    assert signals.split()[:3] == ["signals", "1", "1"]
    assert journal.startswith("logs.db: ")
    (row,) = json_lines(old.here("logs", "--type", "archive.finished", "--json").stdout)
    assert row["payload"]["logs"]["rows"] == 2
    os.close(old.state.lock())  # it holds the state directory no longer


def test_as_json_it_is_one_object(old, json_lines):
    (done,) = json_lines(old.here("archive", "--json").stdout)
    assert (done["logs"]["days"], done["logs"]["rows"], done["signals"]["rows"]) == (1, 2, 1)
    assert done["freed_bytes"] == done["journal_bytes_before"] - done["journal_bytes"]
    assert (done["unanswered"], done["refused"], done["deleted"]["days"]) == (0, [], 0)


def test_a_dry_run_says_what_is_due_and_does_nothing_also_beside_a_running_nerve(old, json_lines):
    """CTL-1"""
    lock = old.state.lock()
    try:
        shown = old.here("archive", "--dry-run")
        logs, signals = json_lines(old.here("archive", "--dry-run", "--json").stdout)
    finally:
        os.close(lock)
    assert [line.split()[:3] for line in shown.stdout.splitlines()[1:]] == [
        ["logs", "1", "2"],
        ["signals", "1", "1"],
    ]
    assert (logs["kind"], logs["days"], logs["rows"], logs["archived_up_to"]) == (
        "logs",
        1,
        2,
        None,
    )
    assert signals["before"].endswith("T00:00:00.000000Z")
    assert not list(old.state.archive.rglob("*.jsonl"))


def test_beside_a_nerve_that_cannot_be_asked_nothing_is_archived(old):
    """CTL-1"""
    lock = old.state.lock()
    done = old.here("archive")
    os.close(lock)
    assert done.returncode == 69
    assert "has no control socket" in done.stderr
    assert not list(old.state.archive.rglob("*.jsonl"))


def test_a_day_that_is_refused_is_told_with_exit_code_1(old):
    """LOG-3"""
    old.here("archive")
    (path,) = (old.state.archive / "logs").iterdir()
    path.write_text("changed\n")
    old.damage(f"UPDATE logs SET at_us = {old.then_us}")
    done = old.here("archive")
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert f"{path}.lost-" in done.stderr
    assert old.here("logs", "--type", "archive.refused", "--json").stdout.count("\n") == 1


def test_a_run_that_fails_is_told_in_words_and_in_the_log(old, json_lines):
    (old.state.archive / "logs").touch()
    done = old.here("archive")
    assert done.returncode == 73
    assert "Traceback" not in done.stderr
    assert str(old.state.archive) in done.stderr
    shown = old.here("logs", "--type", "archive.failed", "--json").stdout
    (row,) = json_lines(shown)
    assert str(old.state.archive) in row["payload"]["message"]


def test_where_nothing_has_run_there_is_nothing_to_archive(project):
    """CTL-2"""
    assert project.here("archive").returncode == 69
    assert project.here("archive", "--dry-run").returncode == 69
    assert not project.state.lock_path.exists()
