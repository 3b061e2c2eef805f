"""A whole nerve, and the commands that act on it through its control socket."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from nerve.cli.program import program
from nerve.clock import SystemClock
from nerve.store.batch import Batch, LogEntry, Quarantine
from nerve.store.journal import Journal
from tests.runtime.conftest import DIES_BETWEEN

NEVER = "0 0 1 1 *"
PATIENCE_S = 60
GIVEN = "def compute(db, peers, ctx): return list(ctx.trigger.payloads) or 'none'"
HEARD = "def compute(db, peers, ctx): return [s.payload for s in ctx.trigger.signals]"
FAILING = "def compute(db, peers, ctx): raise RuntimeError('no such disk')"
HELD = """
import time
from pathlib import Path
def compute(db, peers, ctx):
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return list(ctx.trigger.payloads) or "none"
"""


class Command:
    """A command on the nerve of a project: in this process, or `later` in one of its own."""

    def __init__(self, project):
        self._config = str(project.root / "nerve.yaml")

    def __call__(self, *arguments, code=0):
        done = CliRunner().invoke(program, ["-c", self._config, *arguments])
        assert done.exit_code == code, (done.stdout, done.stderr)
        return done

    def later(self, *arguments, code=0):
        """Begin it; returns what waits for its end."""
        begun = subprocess.Popen(
            [sys.executable, "-m", "nerve", "-c", self._config, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def ended():
            out, err = begun.communicate(timeout=PATIENCE_S)
            assert begun.returncode == code, (out, err)
            return SimpleNamespace(stdout=out, stderr=err)

        ended.process = begun
        return ended


@pytest.fixture
def nerve(project):
    return Command(project)


@pytest.fixture
def started(project):
    """Start a nerve with these senses (name to source); it is up when this returns."""

    def start(senses, reflexes="", **environment):
        lines = []
        for name, (group, source) in senses.items():
            project.sense(name, source)
            lines.append(f"  {name}: {{group: {group}}}")
        by_time = "".join(f"  - {{kind: sense, sense: {n}, cron: '{NEVER}'}}\n" for n in senses)
        config = "senses:\n" + "\n".join(lines) + f"\nreflexes:\n{by_time}{reflexes}"
        (project.root / "nerve.yaml").write_text(config)
        running = project.start(**environment)
        running.log("worker.ready", len({group for group, _ in senses.values()}))
        return running

    return start


def wait_until(condition):
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)  # a file, of which nobody tells


def outcomes(project, sense):
    query = "SELECT outcome, count FROM outcomes WHERE sense = ?"
    return dict(project.query("logs", query, sense))


def test_a_trigger_by_hand_is_run_and_what_comes_of_it_is_told(started, nerve, project):
    """CTL-1"""
    running = started({"disk": ("host", GIVEN), "bad": ("host", FAILING)})
    told = json.loads(nerve("trigger", "disk", "--wait", "--payload", '{"n": 1}', "--json").stdout)
    assert (told["outcome"], told["payload"]) == ("signal", [{"n": 1}])
    (found,) = running.signals("disk")
    assert told["signal"] == found["id"]
    assert project.query("logs", "SELECT id FROM signals") == [(told["signal"],)]
    failed = nerve("trigger", "bad", "--wait", code=1)
    assert "bad: error: RuntimeError: no such disk" in failed.stdout
    assert "raise RuntimeError('no such disk')" in failed.stdout
    (row, _) = running.log("sense.triggered", 2)
    assert row["payload"]["by"] == {
        "command": "nerve trigger",
        "pid": os.getpid(),
        "uid": os.getuid(),
    }
    assert "payload" not in row["payload"], "it may hold what nobody is to read"
    given = nerve("trigger", "disk", "--wait", "--payload", f"@{project.root}/nerve.yaml", code=2)
    assert "is no JSON" in given.stderr


def test_triggers_by_hand_that_come_while_it_runs_become_one_with_all_payloads(
    started, nerve, project
):
    """SIG-6, CTL-1"""
    running = started({"slow": ("web", HELD)})
    first = nerve.later("trigger", "slow", "--wait", "--payload", "1")
    wait_until((project.root / "begun").exists)
    second = nerve.later("trigger", "slow", "--wait", "--payload", "2", "--json")
    running.log("sense.triggered", 2)
    nerve("trigger", "slow", "--payload", "3")
    (project.root / "go").touch()
    assert "[1]" in first().stdout
    assert json.loads(second().stdout)["payload"] == [2, 3]
    assert outcomes(project, "slow")["coalesced"] == 1


def test_ctrl_c_ends_the_waiting_and_not_the_compute(started, nerve, project):
    """CTL-1"""
    running = started({"slow": ("web", HELD)})
    waiting = nerve.later("trigger", "slow", "--wait", code=130)
    wait_until((project.root / "begun").exists)
    waiting.process.send_signal(signal.SIGINT)
    assert "no longer waited for; what was asked for goes on" in waiting().stderr
    (project.root / "go").touch()
    running.signals("slow")


def test_what_is_waited_for_while_nerve_stops_is_told(started, nerve, project):
    """BOOT-5, CTL-1"""
    held = {"slow": ("web", HELD), "next": ("web", GIVEN)}
    running = started(held, HURRY_AFTER_S="3600")
    first = nerve.later("trigger", "slow", "--wait", "--json")
    wait_until((project.root / "begun").exists)
    second = nerve.later("trigger", "next", "--wait", "--json", code=1)
    running.log("sense.triggered", 2)
    stopping = nerve.later("stop")
    running.log("nerve.stopping")
    late = nerve("stop", "--timeout", "0s", code=1)
    assert "has not ended within" in late.stderr
    assert json.loads(second().stdout)["outcome"] == "stopped"
    assert "being stopped" in nerve("trigger", "next", code=69).stderr
    (project.root / "go").touch()
    assert json.loads(first().stdout)["outcome"] == "signal"
    assert "has stopped, after" in stopping().stdout
    assert running.wait() == 0
    stop, *_ = running.log("nerve.stopping")
    assert stop["payload"]["by"]["command"] == "nerve stop"
    assert outcomes(project, "next") == {"stopped": 1}
    said = nerve("stop", code=69).stderr
    assert "no nerve runs in" in said
    assert "there is nothing to stop" in said


def test_a_stop_from_a_second_terminal_is_at_once(started, nerve, project):
    """BOOT-5"""
    running = started({"slow": ("web", HELD)}, HURRY_AFTER_S="0")
    nerve("trigger", "slow")
    wait_until((project.root / "begun").exists)
    first = nerve.later("stop", "--json")
    running.log("nerve.stopping")
    assert "has stopped, after" in nerve("stop").stdout
    assert json.loads(first().stdout)["ended"] == "stopped"
    running.log("nerve.hurried")
    running.log("compute.killed", source="slow")


def test_stop_now_kills_what_runs_and_counts_no_crash(started, nerve, project):
    """BOOT-5, RUN-7"""
    running = started({"slow": ("web", HELD)})
    nerve("trigger", "slow")
    wait_until((project.root / "begun").exists)
    nerve("stop", "--now")
    assert running.wait() == 0
    running.log("nerve.hurried")
    assert outcomes(project, "slow") == {"killed": 1}
    assert not [e for e in running.said if e.get("type") in {"worker.died", "sense.resting"}]


def test_a_sense_is_paused_and_resumed_while_nerve_runs(started, nerve, project):
    """CTL-1, SIG-8"""
    reflexes = "  - {kind: sense, sense: heard, on: told, missed: all}\n"
    running = started({"told": ("host", GIVEN), "heard": ("web", HEARD)}, reflexes)
    nerve("trigger", "told", "--wait", "--payload", "1")
    running.signals("heard")
    paused = nerve("pause", "heard", "--reason", "not today")
    assert "heard is paused; `nerve resume heard` lets it run again" in paused.stdout
    assert project.query("logs", "SELECT sense, reason FROM paused") == [("heard", "not today")]
    for payload in ("2", "3"):
        nerve("trigger", "told", "--wait", "--payload", payload)
    refused = nerve("trigger", "heard", code=1)
    assert "heard is paused (not today): it does not run" in refused.stderr
    assert "free again; it was paused since" in nerve("resume", "group:web").stdout
    running.signals("heard", 3)
    assert [e["payload"] for e in running.signals("heard", 3)] == [[[1]], [[2]], [[3]]]
    assert "neither paused nor in quarantine" in nerve("resume", "heard", code=1).stderr
    assert project.query("logs", "SELECT * FROM paused") == []
    assert outcomes(project, "heard") == {"signal": 3, "paused": 3}
    (row,) = running.log("sense.resumed", source="heard")
    assert row["payload"]["by"]["command"] == "nerve resume"
    assert running.stop() == 0


def test_a_nerve_that_runs_takes_orders_while_its_nerve_yaml_is_at_fault(started, nerve, project):
    """CTL-1, CTL-4"""
    running = started({"disk": ("host", GIVEN)})
    (project.root / "nerve.yaml").write_text("senses: {disk: {grup: host}}")
    assert "disk: signal" in nerve("trigger", "disk", "--wait").stdout
    assert "disk" in nerve("pause", "disk", "--reason", "mended").stdout
    assert "disk is free again" in nerve("resume", "disk").stdout
    assert "host: worker 2 is ready" in nerve("restart", "host").stdout
    nerve("archive")
    nerve("stop")
    assert running.wait() == 0


def test_a_quarantine_is_ended_and_the_sense_loaded_while_nerve_runs(started, nerve, project):
    """RUN-9, CTL-1"""
    begun = started({"disk": ("host", GIVEN)})
    assert begun.stop() == 0
    now_us = SystemClock().now_us()
    held = Quarantine("disk", 1, now_us, now_us + 3_600_000_000, "it was killed")
    with closing(Journal(project.state / "logs.db")) as journal:
        journal.commit(Batch(quarantines={"disk": held}))
    running = started({"disk": ("host", GIVEN)})
    assert running.log("worker.ready")[0]["payload"]["senses"] == [], "it is not loaded"
    waiting = nerve.later("trigger", "disk", "--wait", "--json")
    running.log("sense.triggered")
    assert "in quarantine until" in nerve("resume", "disk").stdout
    told = waiting()
    assert json.loads(told.stdout)["outcome"] == "signal"
    assert "in quarantine until" in told.stderr
    assert project.query("logs", "SELECT * FROM quarantine") == []
    running.log("quarantine.lifted", source="disk")
    assert running.log("worker.ready", 2)[1]["payload"]["senses"] == ["disk"]


def test_a_restart_of_a_group_loads_a_changed_sense_and_is_no_crash(started, nerve, project):
    """RUN-7, RUN-8, CTL-1"""
    running = started({"slow": ("web", HELD), "other": ("host", GIVEN)})
    waiting = nerve.later("trigger", "slow", "--wait", "--json")
    wait_until((project.root / "begun").exists)
    restarted = nerve.later("restart", "web")
    running.log("group.restarting", source="web")
    (project.root / "senses/slow/__init__.py").write_text("def compute(*_): return 'changed'\n")
    (project.root / "go").touch()
    told = restarted()
    assert told.stdout == "web: worker 2 is ready\n"
    assert "web: waits for slow, which may run for" in told.stderr
    assert json.loads(waiting().stdout)["payload"] == "none", "what ran came to its end"
    assert json.loads(nerve("trigger", "slow", "--wait", "--json").stdout)["payload"] == "changed"
    assert not [e for e in running.said if e.get("type") == "worker.died"]
    (project.root / "senses/slow/__init__.py").write_text("raise RuntimeError('half written')\n")
    broken = nerve("restart", "web", "--json", code=1)
    assert "half written" in json.loads(broken.stdout)["groups"][0]["senses"]["slow"]
    assert "`nerve status web` tells what is the matter" in nerve("restart", "web", code=1).stderr
    assert "did you mean" in nerve("restart", "hostt", code=2).stderr


DEADLY = f"""
{DIES_BETWEEN}
from pathlib import Path
def compute(db, peers, ctx):
    if Path("mended").exists():
        return "well"
    die_between()
"""


def test_a_group_that_was_given_up_is_started_again_with_its_deaths_forgotten(
    started, nerve, project
):
    """RUN-8"""
    by_time = "  - {kind: sense, sense: deadly, interval: 100ms}\n"
    running = started({"deadly": ("one", DEADLY)}, by_time)
    (fatal,) = running.log("group.fatal")
    assert "`nerve restart one`" in fatal["payload"]["hint"]
    assert "not available" in nerve("trigger", "deadly", code=1).stderr
    (project.root / "mended").touch()
    assert "is ready" in nerve("restart", "one").stdout
    running.signals("deadly", 2)
    (project.root / "mended").unlink()
    assert len(running.log("group.fatal", 2)) == 2
    died = [e for e in running.said if e.get("type") == "worker.died"]
    assert len(died) == 10, "five deaths again, and not one"


def test_a_cursor_is_set_while_nerve_runs(started, nerve, project):
    """SIG-7, CTL-1"""
    reflexes = "  - {kind: sense, sense: heard, on: told}\n"
    running = started({"told": ("host", GIVEN), "heard": ("web", HEARD)}, reflexes)
    for payload in ("1", "2"):
        nerve("trigger", "told", "--wait", "--payload", payload)
    running.wait_for(lambda e: e.get("sense") == "heard" and [2] in e["payload"])
    back = nerve("cursor", "set", "heard", "told", "oldest")
    assert "2 signals of told will be offered to heard now" in back.stderr
    running.wait_for(lambda e: e.get("sense") == "heard" and e["payload"] == [[1], [2]])
    (row,) = running.log("cursor.set", source="heard")
    assert row["payload"]["by"]["command"] == "nerve cursor set"
    nerve("cursor", "set", "heard", "told", "newest")
    nerve("trigger", "told", "--wait", "--payload", "3")
    running.wait_for(lambda e: e.get("sense") == "heard" and e["payload"] == [[3]])
    assert running.stop() == 0
    assert project.start().log("worker.ready", 2), "and nothing is answered again at a start"
    assert len(project.query("logs", "SELECT 1 FROM signals WHERE sense = 'heard'")) in {3, 4}


def test_the_archive_is_made_while_nerve_runs(started, nerve, project):
    """LOG-3, CTL-1"""
    first = started({"disk": ("host", GIVEN)})
    assert first.stop() == 0
    old_us = SystemClock().now_us() - 40 * 24 * 3_600_000_000
    with closing(Journal(project.state / "logs.db")) as journal:
        journal.commit(Batch([LogEntry(old_us, "disk", "log", "info", None, "{}")]))
    running = started({"disk": ("host", GIVEN)})
    told = json.loads(nerve("archive", "--json").stdout)
    assert (told["logs"]["days"], told["logs"]["rows"]) == (1, 1)
    running.log("archive.finished")
    (row,) = running.log("archive.asked")
    assert row["payload"]["by"]["command"] == "nerve archive"
    assert json.loads(nerve("archive", "--json").stdout)["logs"]["rows"] == 0


@pytest.mark.parametrize(
    "arguments", [("trigger", "disk"), ("restart", "host"), ("stop",)], ids=lambda a: a[0]
)
def test_without_a_running_nerve_what_to_do_is_said(project, nerve, arguments):
    """CTL-2"""
    project.sense("disk", GIVEN)
    project.config("senses: {disk: {group: host}}")
    done = nerve(*arguments, code=69)
    hint = "there is nothing to stop" if arguments == ("stop",) else "start it with: nerve run"
    assert hint in done.stderr
    assert not (project.state / "lock").exists()
