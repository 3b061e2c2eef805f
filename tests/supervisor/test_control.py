"""The control socket with real sockets and clients; only the operations are made up."""

import errno
import json
import os
import resource
import socket
import stat
from contextlib import ExitStack, closing, suppress

import pytest

from nerve.supervisor import connection, control, door, followers
from nerve.supervisor.answers import done
from tests.served import PATIENCE_S, Served


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
        clients = [stack.enter_context(closing(served.client())) for _ in range(4)]
        replies = [client.ask(FOLLOW) for client in clients]
        assert replies[:3] == [{"type": "news", "newest_id": 7}] * 3
        assert replies[3]["kind"] == "busy"
        client = stack.enter_context(closing(served.client()))
        assert client.ask(STATUS)["message"] == "well"


def test_where_all_connections_are_taken_the_one_silent_longest_makes_room(served, monkeypatch):
    """CTL-1"""
    monkeypatch.setattr(served.control, "_max_connections", 2)
    with ExitStack() as stack:
        silent = stack.enter_context(closing(served.client()))
        assert silent.ask(STATUS)["message"] == "well"
        served.advance(1)
        _, last = (stack.enter_context(closing(served.client())) for _ in range(2))
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
    told = served.control._followers
    for newest_id in range(8, 1_000):
        served.on_loop(lambda: told.moved(newest_id))  # noqa: B023  it is waited for
        served.on_loop(told._begin)
    (follower,) = told._told
    assert follower.has_unsent
    seen = []
    while not seen or seen[-1] < 999:
        seen.append(client.reply()["newest_id"])
    assert len(seen) < 100
    assert seen == sorted(set(seen))


def test_a_request_that_comes_a_byte_at_a_time_is_answered_and_holds_nobody_up(served, client):
    """CTL-1"""
    with closing(served.client()) as other:
        for byte in json.dumps(STATUS).encode():
            client.socket.send(bytes([byte]))
            assert other.ask(STATUS)["message"] == "well"
    client.send(b"")
    assert client.reply()["message"] == "well"


def test_a_client_that_vanishes_in_the_middle_of_a_request_leaves_nothing(served):
    """CTL-1"""
    for _ in range(50):
        with closing(served.client()) as client:
            client.socket.send(b'{"type": "sta')
    with closing(served.client()) as client:
        assert client.ask(STATUS)["message"] == "well"
    served.wait_until(lambda: not served.control._connections)


def test_a_flood_of_requests_from_one_client_lets_another_one_in_between(served, client):
    """CTL-1"""
    flood = json.dumps(STATUS).encode() + b"\n"
    with closing(served.client()) as other:
        client.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                client.socket.send(flood * 1_000)
        assert other.ask(STATUS)["message"] == "well"
        held = served.on_loop(
            lambda: [made._lines.waiting_bytes for made in served.control._connections]
        )
        assert max(held) <= connection.AHEAD_BYTES + connection.READ_BYTES


def test_a_client_that_does_not_read_is_let_go_and_what_it_asked_for_is_done(served, client):
    """CTL-1"""
    client.send(ARCHIVE)
    client.reply()
    (answer,) = served.answers
    text = "x" * 1_000_000
    served.on_loop(lambda: [answer.progress(text) for _ in range(20)])
    assert served.closed.wait(PATIENCE_S)
    served.on_loop(lambda: done(answer, "to nobody"))
    with closing(served.client()) as other:
        assert other.ask(STATUS)["message"] == "well"


@pytest.mark.parametrize(("limit", "request_"), [("IDLE_S", b'{"type":'), ("STALLED_S", b"")])
def test_who_asks_nothing_or_takes_nothing_is_let_go_in_time(served, client, limit, request_):
    """CTL-1"""
    if limit == "STALLED_S":
        client.send(ARCHIVE)
        client.reply()
        served.on_loop(lambda: done(served.answers[0], "x" * 4_000_000))
    else:
        client.socket.send(request_)
    with closing(served.client()) as waiting:
        waiting.send(ARCHIVE)
        assert waiting.reply()["type"] == "progress"
        served.advance(getattr(connection, limit) - 1)
        served.on_loop(served.control.look)
        assert len(served.control._connections) == 2
        served.advance(2)
        served.on_loop(served.control.look)
        assert len(served.control._connections) == 1


def test_a_thousand_connections_at_once_are_survived(served):
    """CTL-1"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    try:
        with ExitStack() as stack:
            for _ in range(1_000):
                stack.enter_context(closing(served.client()))
            client = stack.enter_context(closing(served.client()))
            assert client.ask(STATUS)["message"] == "well"
            assert len(served.control._connections) <= control.MAX_CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refuse(served, monkeypatch, *numbers):
    """Have the system refuse the next connections; returns what has not been refused yet."""
    refusals = iter(numbers)
    listening = served.control._door._listening.socket

    class Short:
        fileno = listening.fileno
        close = listening.close

        def accept(self):
            if number := next(refusals, 0):
                raise OSError(number, os.strerror(number))
            return listening.accept()

    monkeypatch.setattr(served.control._door._listening, "socket", Short())
    return refusals


def test_without_a_free_descriptor_the_one_silent_longest_makes_room_at_once(served, monkeypatch):
    """CTL-1"""
    monkeypatch.setattr(door, "ACCEPT_AGAIN_S", 3600.0)
    with closing(served.client()) as last:
        assert last.ask(STATUS)["message"] == "well"
        refuse(served, monkeypatch, errno.EMFILE)
        with closing(served.client()) as client:
            assert client.ask(STATUS)["message"] == "well"
            assert last.reply() is None
    assert served.types() == []


def test_connections_leave_files_to_the_workers(served, monkeypatch):
    """CTL-1"""
    with closing(served.client()) as silent:
        assert silent.ask(STATUS)["message"] == "well"
        monkeypatch.setattr(served.control, "_files", control.SPARE_FILES)
        monkeypatch.setattr(control, "FEW_CONNECTIONS", 1)
        with closing(served.client()) as client:
            assert client.ask(STATUS)["message"] == "well"
            assert silent.reply() is None
            client.send(ARCHIVE)
            client.reply()
            with closing(served.client()) as late:
                assert late.reply()["kind"] == "busy"


def test_without_a_free_descriptor_connections_wait_and_the_loop_does_not_spin(served, monkeypatch):
    """CTL-1"""
    monkeypatch.setattr(door, "ACCEPT_AGAIN_S", 0.01)
    refusals = refuse(served, monkeypatch, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    with closing(served.client()) as client:
        assert client.ask(STATUS)["message"] == "well"
    assert next(refusals, None) is None
    assert served.types() == ["control.short"]
    assert "ulimit -n" in served.logged[0][3]["hint"]


def test_another_user_is_turned_away_without_a_word_and_logged_now_and_then(other_user):
    """CTL-1"""
    served = Served(other_user.folder / "nerve.sock")
    try:
        served.path.chmod(0o666)
        for _ in range(3):
            said = other_user.run(
                """
                connected = socket.socket(socket.AF_UNIX)
                connected.connect(sys.argv[1])
                try:
                    connected.sendall(b'{"type": "status"}\\n')
                    print(connected.recv(100))
                except OSError:
                    print(b"")
                """,
                served.path,
            )
            assert said == "b''"
    finally:
        served.end()
    ((_, type_, level, payload),) = served.logged
    assert (type_, level, payload["uid"]) == ("control.stranger", "warning", other_user.uid)


def test_rows_about_what_others_do_are_written_once_a_minute_and_say_how_many(served, client):
    served.handlers["resume"] = served.handlers["reload"]
    for _ in range(5):
        client.ask({"type": "reload"})
    assert len(served.logged) == 1
    client.ask({"type": "resume", "targets": ["disk"]})
    assert len(served.logged) == 2
    served.advance(61)
    client.ask({"type": "reload"})
    assert served.logged[2][3]["left_out"] == 4


def test_a_socket_that_was_deleted_is_made_anew(served):
    """CTL-1"""
    served.path.unlink()
    served.on_loop(served.control.look)
    with closing(served.client()) as client:
        assert client.ask(STATUS)["message"] == "well"
    assert served.types() == ["control.lost"]


def test_where_there_can_be_no_socket_that_is_said_once_and_it_is_tried_again(tmp_path):
    """CTL-1"""
    path = tmp_path / "nerve.sock"
    path.mkdir()
    served = Served(path)
    try:
        for _ in range(3):
            served.on_loop(served.control.look)
        assert served.types() == ["control.unavailable"]
        path.rmdir()
        served.on_loop(served.control.look)
        assert served.types() == ["control.unavailable", "control.available"]
        with closing(served.client()) as client:
            assert client.ask(STATUS)["message"] == "well"
    finally:
        served.end()


def test_a_reply_with_half_a_character_or_too_long_is_a_reply_all_the_same(served, client):
    client.send(ARCHIVE, ARCHIVE)
    client.reply()
    served.on_loop(lambda: done(served.answers[0], "the file \udce9"))
    assert client.reply()["message"] == "the file ?"
    client.reply()
    served.on_loop(lambda: done(served.answers[1], "x" * 9_000_000))
    assert client.reply()["kind"] == "too_long"


def test_only_the_first_final_reply_is_sent(served, client):
    client.send(ARCHIVE)
    client.reply()

    def end_twice():
        done(served.answers[0], "first")
        done(served.answers[0], "second")
        served.answers[0].progress("third")

    served.on_loop(end_twice)
    assert client.reply()["message"] == "first"
    assert client.ask(STATUS)["message"] == "well"


def test_a_follower_is_told_at_most_so_often_and_one_news_stands_for_all_before(
    served, client, monkeypatch
):
    """LOG-2"""
    monkeypatch.setattr(followers, "NEWS_EVERY_S", 1_000.0)
    assert client.ask(FOLLOW)["newest_id"] == 7
    told = served.control._followers
    served.on_loop(lambda: told.moved(8))
    assert client.reply()["newest_id"] == 8
    for newest_id in (9, 10, 11):
        served.on_loop(lambda: told.moved(newest_id))  # noqa: B023  it is waited for
    assert set(told._told.values()) == {8}
    served.on_loop(told._begin)  # as the timer would
    assert client.reply()["newest_id"] == 11


def test_many_followers_are_told_a_few_at_a_time_and_each_of_them_is(served, monkeypatch):
    """LOG-2"""
    monkeypatch.setattr(followers, "TOLD_AT_ONCE", 2)
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(served.client())) for _ in range(7)]
        assert {client.ask(FOLLOW)["newest_id"] for client in clients} == {7}

        def begin():
            served.control.moved(8)
            served.control._followers._begin()
            return list(served.control._followers._told.values()).count(8)

        assert served.on_loop(begin) == 2
        assert {client.reply()["newest_id"] for client in clients} == {8}
