"""Asking a nerve, from the side of the commands."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from nerve.cli import remote as remote_module
from nerve.cli.asking import running
from nerve.cli.remote import NotRunning, Refused, RunsElsewhere, connect
from nerve.cli.wakeups import POLL_S, Wakeups
from nerve.config import load_config
from nerve.errors import Exit, NerveError, StateForbidden
from nerve.process.listening import Peer
from nerve.supervisor.answers import done
from nerve.wire.control import (
    MAX_REQUEST_BYTES,
    ArchiveRequest,
    ReloadRequest,
    StatusRequest,
    StopRequest,
    TriggerRequest,
)
from tests.served import PATIENCE_S, Served


@pytest.fixture
def loaded(project):
    project.state.create()
    return load_config(project.config, environ={})


@pytest.fixture
def served(loaded, project):
    made = Served(project.state.socket_path)
    yield made
    made.end()


def test_a_request_is_answered_and_what_happens_on_the_way_is_told(served, loaded):
    """CTL-1"""
    told = []

    def tell(progress):
        told.append(progress.message)
        served.on_loop(lambda: done(served.answers[0], "archived", days=3))

    with connect(loaded) as remote:
        reply = remote.ask(ArchiveRequest(), told=tell)
        assert (told, reply.message, reply.facts) == (["it has begun"], "archived", {"days": 3})
        assert remote.ask(StatusRequest()).message == "well"
        assert remote.pid == os.getpid()


def test_a_refusal_is_an_error_with_its_hint_and_exit_code(served, loaded):
    with connect(loaded) as remote:
        with pytest.raises(Refused, match="does not answer 'stop'"):
            remote.ask(StopRequest())
        with pytest.raises(Refused, match="a broken operation") as caught:
            remote.ask(ReloadRequest())
    assert caught.value.kind == "internal"
    assert caught.value.exit_code == Exit.INTERNAL
    assert "nerve logs" in caught.value.hint


def test_a_command_of_another_version_is_told_which_of_both_is_older(served, loaded):
    """CTL-1"""
    for protocol, older in ((0, "the command is older"), (9, "the command is newer")):
        with connect(loaded) as remote, pytest.raises(Refused, match=older):
            remote.ask(StatusRequest(protocol=protocol))


@pytest.fixture
def address(project, short_path):
    """Of the control socket."""
    return str(short_path / project.state.socket_path.relative_to(project.folder))


def test_without_a_nerve_it_says_how_to_start_one(loaded, address):
    """CTL-2"""
    with pytest.raises(NotRunning) as caught:
        connect(loaded)
    assert caught.value.exit_code == 69
    assert "nerve run" in caught.value.hint
    with closing(socket.socket(socket.AF_UNIX)) as left:  # by a nerve that was killed
        left.bind(address)
    with pytest.raises(NotRunning, match="no nerve runs"):
        connect(loaded)


@pytest.mark.parametrize("change", ["state_dir was changed", "the directory was moved"])
def test_a_nerve_that_has_this_configuration_and_another_directory_is_named(
    loaded, project, change
):
    """CTL-2: in a directory that nerve.yaml does not name any more it would not be found."""
    there = project.state.root
    with pytest.raises(NotRunning) as caught:
        connect(loaded)
    assert not isinstance(caught.value, RunsElsewhere)
    lock = project.state.lock(project.config)
    try:
        if change == "the directory was moved":
            there = there.rename(project.folder / "elsewhere")
        else:
            loaded = load_config(project.config, environ={}, overrides=["state_dir=new"])
        with pytest.raises(RunsElsewhere, match=f"process {os.getpid()} runs one") as caught:
            connect(loaded)
        assert f"NERVE_STATE_DIR={there} nerve stop" in caught.value.hint
        assert running(loaded) is None
        other = load_config(project.write("other.yaml", "senses: {}\n"), environ={})
        other = replace(other, state_dir=project.folder / "new")
        with pytest.raises(NotRunning, match="no nerve runs") as caught:
            connect(other)
        assert not isinstance(caught.value, RunsElsewhere)
    finally:
        os.close(lock)


def test_what_other_programs_hold_under_the_name_of_our_lock_is_passed_over(loaded, tmp_path):
    """CTL-2: its contents are theirs, and no process id with a path."""
    with (tmp_path / "lock").open("w+b") as theirs:
        theirs.write(b"1\nno\0path")
        theirs.flush()
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(NotRunning, match="no nerve runs") as caught:
            connect(loaded)
    assert not isinstance(caught.value, RunsElsewhere)


def test_a_nerve_that_cannot_be_asked_is_named(loaded, project):
    """CTL-2"""
    lock = project.state.lock()
    try:
        with pytest.raises(NotRunning, match=f"process {os.getpid()} runs nerve") as caught:
            connect(loaded)
    finally:
        os.close(lock)
    assert "older nerve" in caught.value.hint


def test_a_nerve_that_ends_before_it_has_answered_is_an_error(served, loaded):
    def end(_):
        threading.Thread(target=served.on_loop, args=(served.control.end,)).start()

    with connect(loaded) as remote, pytest.raises(Refused, match="stopped before") as caught:
        remote.ask(ArchiveRequest(), told=end)
    assert caught.value.exit_code == 69


def test_a_nerve_that_dies_is_not_waited_for(served, loaded):
    def die(_):
        (connection,) = served.control._connections
        served.on_loop(connection.close)

    with connect(loaded) as remote, pytest.raises(NotRunning, match="ended before"):
        remote.ask(ArchiveRequest(), told=die)


def test_status_is_not_waited_for_longer_than_its_time(served, loaded, monkeypatch):
    monkeypatch.setattr(remote_module, "STATUS_TIMEOUT_S", 0.05)
    served.handlers["status"] = lambda *_: None
    with connect(loaded) as remote, pytest.raises(NotRunning, match="does not answer"):
        remote.ask(StatusRequest())


def test_a_nerve_that_is_stopped_is_not_waited_for(loaded, address, monkeypatch):
    monkeypatch.setattr(remote_module, "LOOK_EVERY_S", 0.05)
    code = (
        "import socket, sys\n"
        "listening = socket.socket(socket.AF_UNIX)\n"
        "listening.bind(sys.argv[1])\n"
        "listening.listen()\n"
        "print(flush=True)\n"
        "listening.accept()[0].recv(1)\n"
    )
    command = [sys.executable, "-c", code, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            process.send_signal(signal.SIGSTOP)
            with connect(loaded) as remote, pytest.raises(NotRunning) as caught:
                remote.ask(ArchiveRequest())
        finally:
            process.kill()
    assert f"kill -CONT {process.pid}" in caught.value.hint
    assert "what was asked for is done then" in caught.value.hint


def test_a_request_that_is_too_long_is_not_sent(served, loaded):
    with connect(loaded) as remote:
        with pytest.raises(NerveError, match="over the limit"):
            remote.ask(TriggerRequest(sense="disk", payload="x" * MAX_REQUEST_BYTES))
        assert remote.ask(StatusRequest()).message == "well"


@pytest.mark.parametrize("said", [b"what?\n", b'{"type": "news", "newest_id": 3}\n'])
def test_an_answer_that_is_none_says_that_the_versions_may_differ(loaded, address, said):
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(address)
        listening.listen()
        with connect(loaded) as remote:
            answering, _ = listening.accept()
            with closing(answering):
                answering.sendall(said)
                with pytest.raises(NerveError, match="cannot be understood") as caught:
                    remote.ask(StatusRequest())
    assert "version" in caught.value.hint


def test_another_users_nerve_is_out_of_reach_and_says_whose_it_is(other_user, checkout):
    """CTL-1"""
    (other_user.folder / "nerve.yaml").write_text("senses: {}\nstate_dir: data\n")
    state = other_user.folder / "data"
    state.mkdir(mode=0o755)
    (state / "lock").touch()
    served = Served(state / "nerve.sock")
    try:
        said = other_user.run(
            """
            try:
                connect(SimpleNamespace(state_dir=Path(sys.argv[1])))
            except NerveError as error:
                print(type(error).__name__, int(error.exit_code), error.hint)
            """,
            state,
            imports="from pathlib import Path\nfrom types import SimpleNamespace\n"
            "from nerve.cli.remote import connect\nfrom nerve.errors import NerveError\n",
        )
    finally:
        served.end()
    assert said.startswith(f"{StateForbidden.__name__} {Exit.NO_PERMISSION.value} ")
    assert "root" in said


def test_the_socket_of_somebody_else_in_a_directory_of_ours_is_not_believed(
    served, loaded, monkeypatch
):
    """CTL-1"""
    monkeypatch.setattr(remote_module, "peer_of", lambda _: Peer(pid=1, uid=12_345))
    with pytest.raises(NerveError, match="user 12345 answers"):
        connect(loaded)


def test_nothing_heavy_is_imported_to_ask():
    code = (
        "import sys, nerve.cli.remote\n"
        "heavy = {'asyncio', 'sqlalchemy', 'rich', 'yaml', 'nerve.supervisor', 'nerve.config'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_nerve_can_be_asked_while_its_groups_still_start(project, background, loaded):
    """CTL-1"""
    project.write("nerve.yaml", "senses:\n  disk: {}\n")
    project.sense(
        "disk", "import time\ntime.sleep(60)\ndef compute(db, peers, ctx):\n    return {}\n"
    )
    process = background("run")
    assert "nerve.started" in process.stdout.readline()
    with connect(loaded) as remote, suppress(Refused):
        remote.ask(StatusRequest())


# --- following --------------------------------------------------------------------------------


def test_a_pause_ends_with_news_and_misses_none_that_came_before_it(served, loaded):
    """LOG-2"""
    with Wakeups(loaded) as wakeups:
        wakeups.pause()  # the first news comes at once
        served.on_loop(lambda: served.control.moved(8))
        served.on_loop(lambda: served.control.moved(9))
        wakeups.pause()
        assert wakeups._remote is not None


def test_when_nerve_ends_followers_look_for_themselves_and_ask_the_next_one(
    served, loaded, project, monkeypatch
):
    """LOG-2"""
    monkeypatch.setattr("nerve.cli.wakeups.CONNECT_EVERY_S", 0.0)
    slept = []
    monkeypatch.setattr("nerve.cli.wakeups.time.sleep", slept.append)
    with Wakeups(loaded) as wakeups:
        wakeups.pause()
        served.on_loop(served.control.end)
        wakeups.pause()
        assert wakeups._remote is None
        wakeups.pause()
        assert slept == [POLL_S]
        another = Served(project.state.socket_path)
        try:
            wakeups.pause()
            assert wakeups._remote is not None
        finally:
            another.end()


def test_followers_that_nerve_has_no_room_for_look_for_themselves(served, loaded, monkeypatch):
    """LOG-2"""
    monkeypatch.setattr(served.control, "_max_connections", 1)
    slept = []
    monkeypatch.setattr("nerve.cli.wakeups.time.sleep", slept.append)
    with Wakeups(loaded) as wakeups:
        wakeups.pause()
        wakeups.pause()
        assert slept == [POLL_S]


def test_logs_are_followed_over_the_end_of_one_nerve_and_the_start_of_another(project, background):
    """LOG-2"""
    project.write(
        "nerve.yaml",
        "senses:\n  disk: {}\nreflexes:\n  - {kind: sense, sense: disk, interval: 100ms}\n",
    )
    project.sense("disk", "def compute(db, peers, ctx):\n    return {}\n")
    first = background("run")
    assert any(" signal " in line for line in first.stdout)
    follower = background("logs", "-f", "--since-id", "0", "--json")
    seen = []

    def see(condition):
        while True:
            entry = follower.stdout.readline()
            seen.append(int(re.search(r'"id": ?(\d+)', entry)[1]))
            if condition(entry):
                return

    see(lambda entry: '"signal"' in entry)
    first.send_signal(signal.SIGTERM)
    see(lambda entry: "nerve.stopped" in entry)
    assert first.wait(PATIENCE_S) == 0
    assert not project.state.socket_path.exists()
    background("run")
    see(lambda entry: "nerve.started" in entry)
    see(lambda entry: '"signal"' in entry)
    assert seen == list(range(1, len(seen) + 1))
