"""The control socket with real sockets and clients; only the operations are made up."""

import asyncio
import json
import os
import socket
import stat
import threading
from contextlib import ExitStack, closing

import pytest

from nerve.clock import SystemClock
from nerve.process.listening import reach
from nerve.supervisor.answers import done
from nerve.supervisor.control import Control

PATIENCE_S = 30


class Served:
    """A control socket on a loop of its own, in a thread."""

    def __init__(self, path):
        self.path = path
        self.logged = []
        self.answers = []
        self.closed = threading.Event()
        self.handlers = {
            "status": lambda _, answer: done(answer, "well", **answer.by),
            "archive": self._keep,
            "reload": self._fail,
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.control = self.on_loop(self._begin)

    def _begin(self):
        made = Control(self.path, self.handlers, log=self._log, clock=SystemClock(), newest_id=7)
        made.begin()
        return made

    def _log(self, *row):
        self.logged.append(row)

    def _keep(self, _, answer):
        answer.on_close(self.closed.set)
        answer.progress("it has begun")
        self.answers.append(answer)

    def _fail(self, _, answer):
        raise RuntimeError("a broken operation")

    def on_loop(self, act):
        async def run():
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE_S)

    def client(self):
        return Client(reach(self.path, PATIENCE_S))

    def types(self):
        return [row[1] for row in self.logged]

    def end(self):
        self.on_loop(self.control.end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


class Client:
    def __init__(self, connected):
        self.socket = connected
        self._file = connected.makefile("rb")

    def send(self, *requests):
        for request in requests:
            line = request if isinstance(request, bytes) else json.dumps(request).encode()
            self.socket.sendall(line + b"\n")

    def reply(self):
        line = self._file.readline()
        return json.loads(line) if line else None

    def ask(self, request):
        self.send(request)
        return self.reply()

    def close(self):
        self._file.close()
        self.socket.close()


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path / "nerve.sock")
    yield made
    made.end()


@pytest.fixture
def client(served):
    with closing(served.client()) as made:
        yield made


STATUS = {"type": "status"}
ARCHIVE = {"type": "archive"}
FOLLOW = {"type": "follow"}


def test_a_request_is_answered_and_says_who_asked(client):
    """CTL-1"""
    reply = client.ask(STATUS)
    assert (reply["type"], reply["message"]) == ("done", "well")
    assert reply["facts"] == {"pid": os.getpid(), "uid": os.getuid()}


def test_the_socket_is_0600_and_leads_to_the_end_of_any_path(tmp_path):
    """CTL-1"""
    folder = tmp_path / ("d" * 200)
    folder.mkdir(mode=0o755)
    served = Served(folder / "nerve.sock")
    try:
        with closing(served.client()) as client:
            assert client.ask(STATUS)["message"] == "well"
        assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
        assert [path.name for path in folder.iterdir()] == ["nerve.sock"]
    finally:
        served.end()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"what?", "invalid"),
        (b"[]", "invalid"),
        (b'{"type": "explode"}', "invalid"),
        (b'{"type": "status", "after": 3}', "invalid"),
        (b"\xff\xfe{}", "invalid"),
        (b"[" * 100_000, "invalid"),
        (b"x" * 3_000_000, "too_long"),
        (b'{"type": "status", "protocol": 2}', "protocol"),
        (b'{"type": "dance", "protocol": 2, "steps": []}', "protocol"),
        (b'{"type": "stop"}', "unknown_request"),
        (b'{"type": "reload"}', "internal"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_the_next_request_is_answered(client, line, kind):
    """CTL-1"""
    assert client.ask(line)["kind"] == kind
    assert client.ask(STATUS)["message"] == "well"


def test_an_error_of_an_operation_is_logged_with_its_stack(served, client):
    """CTL-1"""
    assert "a broken operation" in client.ask({"type": "reload"})["message"]
    ((source, type_, level, payload),) = served.logged
    assert (source, type_, level) == ("nerve", "control.failed", "error")
    assert "in _fail" in payload["traceback"]


def test_requests_over_one_connection_are_answered_one_after_another(served, client):
    """CTL-1"""
    client.send(ARCHIVE, STATUS)
    assert client.reply()["message"] == "it has begun"
    served.on_loop(lambda: done(served.answers[0], "archived"))
    assert client.reply()["message"] == "archived"
    assert client.reply()["message"] == "well"


def test_an_operation_is_told_when_whoever_asked_has_gone(served):
    """CTL-1"""
    with closing(served.client()) as client:
        client.send(ARCHIVE)
        client.reply()
    assert served.closed.wait(PATIENCE_S)
    served.on_loop(lambda: done(served.answers[0], "to nobody"))


def test_who_has_said_all_it_wants_to_say_still_gets_its_answers(client):
    client.send(STATUS, STATUS)
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.reply()["message"] for _ in range(2)] == ["well", "well"]
    assert client.reply() is None


def test_at_the_end_whoever_waits_is_told_that_nothing_comes(served, client):
    client.send(ARCHIVE)
    client.reply()
    served.on_loop(served.control.end)
    assert client.reply()["kind"] == "stopping"
    assert client.reply() is None


def test_a_flood_of_followers_locks_no_command_out(served, monkeypatch):
    """CTL-1"""
    monkeypatch.setattr(served.control, "_max_connections", 4)
    with ExitStack() as stack:
        followers = [stack.enter_context(closing(served.client())) for _ in range(4)]
        replies = [follower.ask(FOLLOW) for follower in followers]
        assert replies[:3] == [{"type": "news", "newest_id": 7}] * 3
        assert replies[3]["kind"] == "busy"
        client = stack.enter_context(closing(served.client()))
        assert client.ask(STATUS)["message"] == "well"


def test_where_all_connections_are_taken_the_one_silent_longest_makes_room(served, monkeypatch):
    """CTL-1"""
    monkeypatch.setattr(served.control, "_max_connections", 2)
    with ExitStack() as stack:
        silent, _, last = (stack.enter_context(closing(served.client())) for _ in range(3))
        assert last.ask(STATUS)["message"] == "well"
        assert silent.reply() is None


def test_news_say_how_far_the_journal_has_come(served, client):
    """LOG-2"""
    assert client.ask(FOLLOW) == {"type": "news", "newest_id": 7}
    served.on_loop(lambda: served.control.moved(9))
    assert client.reply() == {"type": "news", "newest_id": 9}


def test_a_follower_that_does_not_read_is_told_the_newest_when_it_does(served, client):
    """LOG-2"""
    assert client.ask(FOLLOW)["newest_id"] == 7
    followers = served.control._followers
    for newest_id in range(8, 1_000):
        served.on_loop(lambda: followers.moved(newest_id))  # noqa: B023  it is waited for
        served.on_loop(followers._begin)
    (follower,) = followers._told
    assert follower.has_unsent
    seen = []
    while not seen or seen[-1] < 999:
        seen.append(client.reply()["newest_id"])
    assert len(seen) < 100
    assert seen == sorted(set(seen))
