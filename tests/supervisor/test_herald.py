"""What the service manager hears, over a real socket, and when it hears nothing more."""

import asyncio
import socket
import threading
from types import SimpleNamespace

import pytest

from nerve.clock import SystemClock
from nerve.process.notify import Notifier
from nerve.supervisor.herald import STUCK_AFTER_S, Condition, Herald
from nerve.supervisor.states import WorkerState

PATIENCE_S = 30
BUSY = Condition(3, {"one": WorkerState.BUSY, "two": WorkerState.IDLE})


@pytest.fixture
def heard(short_path):
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(short_path / "notify"))
        heard.settimeout(PATIENCE_S)
        yield heard


@pytest.fixture
def nerve():
    """How nerve is; a test says otherwise."""
    return SimpleNamespace(condition=BUSY, recording_since=None)


@pytest.fixture
def telling(heard, nerve):
    """Run a scenario with a herald on a loop."""

    def run(scenario, watchdog_s=None):
        async def main():
            herald = Herald(
                clock=SystemClock(),
                condition=lambda: nerve.condition,
                recording_since=lambda: nerve.recording_since,
            )
            notifier = Notifier(heard.getsockname(), watchdog_s)
            herald.begin(notifier)
            try:
                await scenario(herald)
            finally:
                herald.end()
                notifier.close()

        asyncio.run(main())

    return run


def words(heard):
    return dict(line.split("=", 1) for line in heard.recv(4096).decode().splitlines())


def all_words(heard):
    """All that has come, and nothing that is waited for."""
    found = []
    heard.setblocking(False)
    try:
        while True:
            found.append(words(heard))
    except BlockingIOError:
        heard.settimeout(PATIENCE_S)
        return found


def test_it_is_ready_once_the_gate_has_opened_and_says_how_it_is(telling, heard):
    async def scenario(herald):
        assert words(heard)["STATUS"] == "starting"
        herald.ready()
        assert words(heard) == {"READY": "1", "STATUS": "3 senses in 2 groups"}

    telling(scenario)


def test_the_status_is_told_at_a_beat_and_only_if_it_has_changed(telling, heard, nerve):
    async def scenario(herald):
        herald.ready()
        all_words(heard)
        nerve.condition = Condition(3, BUSY.groups, "no space left", {"a"})
        herald._beat()
        herald._beat()
        told = "nothing can be recorded: no space left; 1 sense needs attention (a)"
        assert [said.get("STATUS") for said in all_words(heard)] == [
            f"{told}; 3 senses in 2 groups",
            None,
        ]

    telling(scenario)


def test_a_status_names_a_few_and_counts_the_rest():
    groups = {f"g{n}": WorkerState.FATAL for n in range(5)}
    told = str(Condition(9, groups, ailing=["z", "y"]))
    assert "given up: 5 groups (g0, g1, g2, 2 more)" in told
    assert "2 senses need attention (y, z)" in told


def test_the_loop_itself_tells_that_it_lives_twice_in_the_time_of_the_watchdog(telling, heard):
    async def scenario(herald):
        for _ in range(3):
            said = await asyncio.to_thread(words, heard)
            assert said["WATCHDOG"] == "1"
        assert herald._beat_s == 0.05

    telling(scenario, watchdog_s=0.1)


def test_a_loop_that_is_blocked_tells_nothing(telling, heard):
    async def scenario(herald):
        blocked, let_go = threading.Event(), threading.Event()

        def listen():
            blocked.wait(PATIENCE_S)
            before = all_words(heard)
            heard.settimeout(0.5)  # ten beats
            try:
                return before, words(heard)
            except TimeoutError:
                return before, None
            finally:
                let_go.set()

        listening = asyncio.get_running_loop().run_in_executor(None, listen)
        await asyncio.sleep(0)
        blocked.set()
        let_go.wait(PATIENCE_S)  # here stands the loop
        before, meanwhile = await listening
        assert before
        assert meanwhile is None
        heard.settimeout(PATIENCE_S)
        assert (await asyncio.to_thread(words, heard))["WATCHDOG"] == "1"

    telling(scenario, watchdog_s=0.1)


def test_a_journal_that_comes_to_no_end_stops_the_watchdog_and_says_so(telling, heard, nerve):
    async def scenario(herald):
        herald.ready()
        all_words(heard)
        nerve.recording_since = SystemClock().monotonic() - STUCK_AFTER_S - 1
        herald._beat()
        (said,) = all_words(heard)
        assert set(said) == {"STATUS"}
        assert said["STATUS"].startswith("stuck: the journal's thread")
        nerve.recording_since = SystemClock().monotonic()
        herald._beat()
        (said,) = all_words(heard)
        assert said == {"WATCHDOG": "1", "STATUS": "3 senses in 2 groups"}

    telling(scenario)


def test_a_disk_that_is_full_is_trouble_and_no_reason_to_be_restarted(telling, heard, nerve):
    async def scenario(herald):
        herald.ready()
        all_words(heard)
        nerve.condition = Condition(3, BUSY.groups, "logs.db has no space left on its disk")
        herald._beat()
        (said,) = all_words(heard)
        assert said["WATCHDOG"] == "1"
        assert "no space left" in said["STATUS"]

    telling(scenario)


def test_a_reload_has_a_beginning_with_its_time_and_an_end(telling, heard):
    async def scenario(herald):
        herald.ready()
        all_words(heard)
        before_us = SystemClock().monotonic() * 1e6
        herald.reload(is_under_way=True)
        herald.reload(is_under_way=False)
        began, ended = all_words(heard)
        assert began["RELOADING"] == "1"
        assert before_us - 1 <= int(began["MONOTONIC_USEC"]) <= SystemClock().monotonic() * 1e6
        assert ended == {"READY": "1"}

    telling(scenario)


def test_a_stop_asks_for_patience_at_each_beat_and_not_for_ever(telling, heard):
    async def scenario(herald):
        herald.ready()
        all_words(heard)
        herald.stopping(60.0)
        herald._beat()
        first, second = all_words(heard)
        assert first["STOPPING"] == "1"
        assert int(first["EXTEND_TIMEOUT_USEC"]) == int(second["EXTEND_TIMEOUT_USEC"]) > 0
        herald.stopping(-1.0)  # the time is over
        herald._beat()
        assert not any("EXTEND_TIMEOUT_USEC" in said for said in all_words(heard))

    telling(scenario)
