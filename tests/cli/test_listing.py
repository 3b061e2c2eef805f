import os
from datetime import UTC, datetime

import pytest
import time_machine

from nerve.clock import SystemClock, rfc3339
from nerve.reflex.timers import phase_ms
from tests.cli.conftest import AT_US


def test_senses_are_listed_with_what_runs_them_and_how_they_did(project, signal, json_lines):
    project.sense("disk")
    counts = [("disk", "signal", 3), ("disk", "coalesced", 1), ("cpu-usage", "throttled", 2)]
    project.record(signal(), counts=counts)
    disk, cpu = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert disk["found"] == "folder"
    assert disk["place"].endswith("senses/disk/__init__.py")
    assert disk["runs"] == ["every 10s"]
    last = {"outcome": "signal", "count": 3, "last_at": "2026-11-21T01:03:18.318013Z"}
    assert disk["last"] == last
    assert cpu["runs"] == ["every 10s", "on disk"]
    assert cpu["last"] is None
    shown = project.nerve("list", "senses").stdout
    assert "signal, 2026-11-21 02:03:18" in shown
    assert "never ran" in shown


def test_a_narrow_terminal_takes_nothing_of_the_last_outcome(on_terminal, signal):
    on_terminal.project.sense("disk")
    on_terminal.project.record(signal(), counts=[("disk", "signal", 3)])
    lines = on_terminal("list", "senses")
    assert any("signal, 2026-11-21 02:03:18" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_senses_are_listed_before_anything_has_run(project):
    """CTL-2"""
    done = project.nerve("list", "senses")
    assert done.exit_code == 0
    assert done.stdout.count("never ran") == 2


def test_a_sense_that_is_nowhere_is_listed_as_such(project, json_lines):
    project.write("nerve.yaml", "senses: {nowhere-at-all: {}}\n")
    (line,) = json_lines(project.nerve("list", "senses", "--json").stdout)
    assert (line["found"], line["place"], line["runs"]) == ("not found", "", [])


def test_reflexes_are_listed_in_words(project, json_lines):
    alone = {"cron": None, "next": None}
    assert json_lines(project.nerve("list", "reflexes", "--json").stdout) == [
        {"kind": "sense", "targets": ["disk", "cpu-usage"], "cause": "every 10s", "waits_for": [], **alone},
        {"kind": "sense", "targets": ["cpu-usage"], "cause": "on disk", "waits_for": ["disk"], **alone},
        {"kind": "workflow", "targets": ["page-me"], "cause": "on disk", "waits_for": ["disk"], **alone},
    ]  # fmt: skip
    *_, workflow = project.nerve("list", "reflexes").stdout.splitlines()
    assert workflow.split() == ["workflow", "page-me", "does", "not", "run", "on", "disk"]


BY_TIME = """\
timezone: Europe/Berlin
senses: {disk: {}, heat: {}}
reflexes:
  - {kind: sense, sense: disk, interval: 6h, jitter: 5s, align: true, timezone: UTC}
  - {kind: sense, sense: disk, cron: '30 6 * * 1-5'}
  - {kind: sense, sense: disk, cron: '@daily', timezone: America/New_York}
  - {kind: sense, sense: [disk, heat], interval: 1m, jitter: 30s}
  - {kind: sense, sense: heat, on: disk}
"""


@pytest.fixture
def project_by_time(project):
    project.write("nerve.yaml", BY_TIME)
    with time_machine.travel(datetime(2026, 11, 26, 12, 0, 5, tzinfo=UTC), tick=False):
        yield project


def test_a_reflex_by_time_says_all_of_it(project_by_time, json_lines):
    lines = json_lines(project_by_time.nerve("list", "reflexes", "--json").stdout)
    assert [line["cause"] for line in lines] == [
        "every 6h, jitter 5s, aligned (UTC)",
        "at 06:30 on weekdays",
        "at 00:00 every day (America/New_York)",
        "every 1m, jitter 30s",
        "on disk",
    ]
    assert [line["cron"] for line in lines] == [None, "30 6 * * 1-5", "@daily", None, None]
    (sense, _) = json_lines(project_by_time.nerve("list", "senses", "--json").stdout)
    assert "at 06:30 on weekdays" in sense["runs"]


def test_a_reflex_says_when_it_comes_next(project_by_time, json_lines):
    lines = json_lines(project_by_time.nerve("list", "reflexes", "--json").stdout)
    aligned, *others = [line["next"] for line in lines]
    assert "2026-11-26T12:00:05" <= aligned < "2026-11-26T18:00:05"
    assert others == [
        "2026-11-27T05:30:00.000000Z",
        "2026-11-27T05:00:00.000000Z",
        None,
        None,
    ]
    shown = [line.split() for line in project_by_time.nerve("list", "reflexes").stdout.splitlines()]
    assert shown[2][2:] == ["2026-11-27", "06:30:00", "at", "06:30", "on", "weekdays"]
    assert shown[4][1:] == [
        "disk,",
        "heat",
        "when",
        "nerve",
        "runs",
        "every",
        "1m,",
        "jitter",
        "30s",
    ]
    assert shown[5][1:] == ["heat", "with", "a", "signal", "on", "disk"]


@pytest.fixture
def while_nerve_runs(project_by_time):
    project_by_time.state.create()
    lock = project_by_time.state.lock()
    yield
    os.close(lock)


def write_began(project, began_us):
    project.record()
    project.damage(f"INSERT INTO meta (key, value) VALUES ('schedule_began_us', '{began_us}')")


@pytest.mark.usefixtures("while_nerve_runs")
def test_an_interval_comes_next_at_its_pace_since_the_schedule_began(project_by_time, json_lines):
    now_us = SystemClock().now_us()
    write_began(project_by_time, now_us - 5_000_000)
    line = json_lines(project_by_time.nerve("list", "reflexes", "--json").stdout)[3]
    first_ms = min(phase_ms(name, 30_000) for name in ("disk", "heat"))
    assert first_ms > 5_000
    assert line["next"] == rfc3339(now_us + (first_ms - 5_000) * 1_000)


@pytest.mark.usefixtures("while_nerve_runs")
def test_an_interval_that_makes_up_for_what_it_missed_counts_from_its_last_tick(
    project_by_time, json_lines
):
    text = BY_TIME.replace("jitter: 30s}", "missed: once}")
    project_by_time.write("nerve.yaml", text)
    now_us = SystemClock().now_us()
    write_began(project_by_time, now_us - 5_000_000)
    project_by_time.damage(
        f"INSERT INTO cursors VALUES ('disk', '@every 1m', {now_us - 20_000_000})"
    )
    line = json_lines(project_by_time.nerve("list", "reflexes", "--json").stdout)[3]
    assert line["next"] == rfc3339(now_us + 40_000_000)


def test_a_schedule_that_has_ended_says_nothing_of_the_next_time(project_by_time, json_lines):
    write_began(project_by_time, SystemClock().now_us() - 5_000_000)
    line = json_lines(project_by_time.nerve("list", "reflexes", "--json").stdout)[3]
    assert line["next"] is None


@pytest.mark.usefixtures("while_nerve_runs")
def test_the_schedule_of_an_earlier_run_is_not_taken_for_that_of_this_one(
    project_by_time, json_lines
):
    now_us = SystemClock().now_us()
    write_began(project_by_time, now_us - 5_000_000)
    project_by_time.damage(
        f"INSERT INTO boots (boot, pid, version, started_us) VALUES ('b', 1, '0', {now_us})"
    )
    line = json_lines(project_by_time.nerve("list", "reflexes", "--json").stdout)[3]
    assert line["next"] is None


def test_a_narrow_terminal_takes_nothing_of_the_next_time(on_terminal):
    on_terminal.project.write("nerve.yaml", BY_TIME)
    lines = on_terminal("list", "reflexes")
    assert any("with a signal" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_running_nerve_is_asked_for_the_next_time_of_a_reflex(project, json_lines, monkeypatch):
    """CTL-2"""
    config = "senses: {twice: {}, once: {}, calm: {}}\nreflexes:\n"
    config += "  - {kind: sense, sense: twice, interval: 1h}\n"
    config += "  - {kind: sense, sense: [twice, once], interval: 2h}\n"
    project.write("nerve.yaml", config + "  - {kind: sense, sense: calm, on: once}\n")
    ticks = {"twice": AT_US, "once": AT_US + 1_000_000}
    monkeypatch.setattr("nerve.cli.listing.next_ticks", lambda _loaded: ticks)
    listed = json_lines(project.nerve("list", "reflexes", "--json").stdout)
    assert [one["next"] for one in listed] == [None, rfc3339(AT_US + 1_000_000), None]
