"""A quarantine as commands show it, and how it is ended."""

import json
import os
from contextlib import closing

import pytest

from nerve.clock import SystemClock
from nerve.store.batch import Batch, Quarantine
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader

HOUR_US = 3_600_000_000
REASON = "the worker was ended by signal 11 (SIGSEGV) while disk ran"


@pytest.fixture
def quarantined(project):
    """Store a quarantine of `disk` that ends so many hours from now."""

    def store(hours):
        now_us = SystemClock().now_us()
        row = Quarantine("disk", 2, now_us - HOUR_US, now_us + hours * HOUR_US, REASON)
        project.sense("disk")
        project.state.create()
        with closing(Journal(project.state.journal_path)) as journal:
            journal.commit(Batch(quarantines={"disk": row}))
        return project

    return store


def stored(project, query):
    with closing(open_reader(project.state.journal_path)) as reader:
        return reader.execute(query).fetchall()


def test_a_quarantine_is_listed_with_its_reason_and_its_end(quarantined, json_lines):
    """RUN-9"""
    project = quarantined(hours=1)
    disk, cpu = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert cpu["quarantine"] is None
    found = disk["quarantine"]
    assert (found["state"], found["times"], found["reason"]) == ("quarantined", 2, REASON)
    assert found["since"] < found["until"]
    shown = project.nerve("list", "senses")
    (row,) = [line for line in shown.stdout.splitlines() if REASON in line]
    assert row.startswith("disk ")
    assert "on trial" not in row
    assert "nerve resume" in shown.stderr


def test_after_its_time_a_quarantined_sense_is_on_trial(quarantined, json_lines):
    """RUN-9"""
    project = quarantined(hours=-1)
    disk, _ = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert disk["quarantine"]["state"] == "on_trial"
    assert f"on trial  {REASON}" in project.nerve("list", "senses").stdout


def test_a_sense_is_described_with_its_quarantine(quarantined, json_lines):
    """RUN-9"""
    project = quarantined(hours=1)
    (line,) = json_lines(project.here("describe", "disk", "--json").stdout)
    assert line["quarantine"]["reason"] == REASON
    (shown,) = [
        line
        for line in project.here("describe", "disk").stdout.splitlines()
        if line.startswith("quarantine:")
    ]
    assert "until" in shown
    assert REASON in shown


def test_a_journal_from_before_there_were_quarantines_is_read_as_one_without(
    project, signal, json_lines
):
    project.record(signal())
    project.damage("DROP TABLE quarantine")
    project.damage("UPDATE nerve_version SET version_num = '0001'")
    disk, _ = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert disk["quarantine"] is None
    assert json_lines(project.nerve("signals", "--json").stdout)[0]["id"] == 1
    assert project.nerve("resume", "disk").exit_code == 1


def test_a_quarantine_is_ended_and_the_log_tells(quarantined, json_lines):
    """RUN-9"""
    project = quarantined(hours=1)
    done = project.here("resume", "disk")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("disk is free again; it was in quarantine until ")
    assert REASON in done.stdout
    assert stored(project, "SELECT * FROM quarantine") == []
    ((source, type_, payload),) = stored(project, "SELECT source, type, payload FROM logs")
    assert (source, type_) == ("disk", "quarantine.lifted")
    assert json.loads(payload)["reason"] == REASON
    os.close(project.state.lock())  # it holds the state directory no longer

    (line,) = json_lines(quarantined(hours=-1).here("resume", "disk", "--json").stdout)
    assert (line["sense"], line["resumed"]) == ("disk", True)
    assert line["quarantine"]["state"] == "on_trial"


def test_a_sense_that_is_free_is_told_and_the_others_are_resumed(quarantined, json_lines):
    project = quarantined(hours=1)
    done = project.here("resume", "cpu-usage", "disk", "--json")
    assert done.returncode == 1
    assert [line["resumed"] for line in json_lines(done.stdout)] == [False, True]
    assert done.stderr.startswith("cpu-usage is neither paused nor in quarantine\n")
    assert "nerve why cpu-usage" in done.stderr
    assert stored(project, "SELECT * FROM quarantine") == []


def test_beside_a_nerve_that_cannot_be_asked_nothing_is_written(quarantined):
    """CTL-1"""
    project = quarantined(hours=1)
    lock = project.state.lock()
    try:
        done = project.here("resume", "disk")
    finally:
        os.close(lock)
    assert done.returncode == 69
    assert f"process {os.getpid()} runs nerve" in done.stderr
    assert "has no control socket" in done.stderr
    assert len(stored(project, "SELECT * FROM quarantine")) == 1


def test_a_slip_in_the_name_ends_no_quarantine(quarantined):
    project = quarantined(hours=1)
    done = project.here("resume", "disk", "dikk")
    assert done.returncode == 2
    assert 'did you mean "disk"?' in done.stderr
    assert len(stored(project, "SELECT * FROM quarantine")) == 1


def test_where_nothing_has_run_there_is_nothing_to_resume(project):
    """CTL-2"""
    assert project.here("resume", "disk").returncode == 69
    assert not project.state.lock_path.exists()
