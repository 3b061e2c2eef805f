"""A whole nerve under a service manager."""

import os
import signal
import socket
import sqlite3
import time

import pytest

from nerve.supervisor.bounds import longest_compute_s, longest_start_s, longest_stop_s

PATIENCE_S = 30
NOSY = """
import os
def compute(db, peers, ctx):
    return {"seen": [name for name in os.environ if "NOTIFY" in name or "WATCHDOG" in name]}
"""
BROKEN = "import nothing_of_that_name"
CONFIG = """
senses:
  nosy: {group: one}
  broken: {group: two, timeout: 20s, grace_period: 4s}
reflexes:
  - {kind: sense, sense: [nosy, broken], interval: 50ms}
"""


@pytest.fixture
def heard(short_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(short_path / "notify"))
        heard.settimeout(PATIENCE_S)
        yield heard


def wait_for(heard, condition):
    """Return the words of the first datagram that fits, and of all before it."""
    give_up, before = time.monotonic() + PATIENCE_S, []
    while time.monotonic() < give_up:
        said = dict(line.split("=", 1) for line in heard.recv(4096).decode().splitlines())
        before.append(said)
        if condition(said):
            return said, before
    raise AssertionError(before)


@pytest.fixture
def served(project, heard):
    project.sense("nosy", NOSY)
    project.sense("broken", BROKEN)
    project.config(CONFIG)

    def start(**environment):
        return project.start(NOTIFY_SOCKET=heard.getsockname(), **environment)

    return start


def test_it_is_ready_when_the_gate_has_opened_and_tells_how_it_is_until_it_stops(served, heard):
    running = served(WATCHDOG_USEC="400000")
    ready, before = wait_for(heard, lambda said: "READY" in said)
    assert before[0]["STATUS"] == "starting"
    assert ready["STATUS"] == "1 sense needs attention (broken); 2 senses in 2 groups"
    running.log("worker.ready", 2)
    wait_for(heard, lambda said: "WATCHDOG" in said)
    (signal_,) = running.signals("nosy")[:1]
    assert signal_["payload"] == {"seen": []}
    running.process.send_signal(signal.SIGTERM)
    stopping, _ = wait_for(heard, lambda said: "STOPPING" in said)
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 0
    assert running.wait() == 0, running.errors()


def test_a_watchdog_that_has_bitten_leaves_the_stack_of_the_loop(served, heard):
    running = served(WATCHDOG_USEC="400000", WATCHDOG_PID="")
    wait_for(heard, lambda said: "READY" in said)
    running.process.send_signal(signal.SIGABRT)  # what systemd sends then
    assert running.wait() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in running.errors()


def test_the_watchdog_of_a_parent_that_stands_still_hears_nothing(served, heard):
    running = served(WATCHDOG_USEC="400000")
    wait_for(heard, lambda said: "READY" in said)
    running.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, running.process.pid, os.WSTOPPED | os.WNOWAIT)
    heard.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            heard.recv(4096)
    heard.settimeout(1.0)  # two and a half of its times
    with pytest.raises(TimeoutError):
        heard.recv(4096)
    heard.settimeout(PATIENCE_S)
    running.process.send_signal(signal.SIGCONT)
    wait_for(heard, lambda said: "WATCHDOG" in said)


def test_a_locked_journal_is_trouble_and_the_watchdog_is_answered(served, heard, project):
    """A lock that another process holds is refused after some seconds, and tried again."""
    running = served(WATCHDOG_USEC="400000")
    running.signals("nosy")
    with sqlite3.connect(project.state / "logs.db", isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        said, before = wait_for(heard, lambda said: "locked" in said.get("STATUS", ""))
        assert "WATCHDOG" in said
        assert sum("WATCHDOG" in said for said in before) > 5
        writer.execute("ROLLBACK")
    writer.close()
    wait_for(heard, lambda said: said.get("STATUS", "").endswith("2 groups"))
    assert running.stop() == 0


def test_what_a_stop_may_take_has_room_for_the_slowest_sense(project):
    from nerve.config import load_config

    project.config(CONFIG)
    config = load_config(project.root / "nerve.yaml", environ={}).config
    assert longest_compute_s(config) == 35.0  # nosy has the defaults, 30s and 5s
    assert longest_stop_s(config) > 35.0 + 5.0
    assert longest_start_s(config) > 20.0


def test_a_reload_has_its_beginning_and_its_end(served, heard, project):
    """CTL-4"""
    running = served()
    wait_for(heard, lambda said: "READY" in said)
    running.log("worker.ready", 2)
    project.config(CONFIG.replace("timeout: 20s", "timeout: 21s"))
    running.process.send_signal(signal.SIGHUP)
    wait_for(heard, lambda said: "RELOADING" in said and "MONOTONIC_USEC" in said)
    wait_for(heard, lambda said: "READY" in said)
    assert running.stop() == 0
