import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from nerve.process.listening import MODE, Listening, peer_of, reach

PATIENCE_S = 30


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nerve.sock"


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_the_socket_is_for_its_owner_alone_whatever_the_umask_is(path, mask):
    """CTL-1"""
    before = os.umask(mask)
    try:
        listening = Listening(path)
    finally:
        os.umask(before)
    with closing(listening):
        assert stat.S_IMODE(path.stat().st_mode) == MODE
        assert [file.name for file in path.parent.iterdir()] == ["nerve.sock"]
        with closing(reach(path, PATIENCE_S)):
            pass


def test_at_no_instant_others_could_connect(path, monkeypatch):
    """CTL-1"""
    path.parent.chmod(0o777)
    seen = []

    def looking(act):
        def look(*arguments, **named):
            act(*arguments, **named)
            seen.extend(
                (file.name, stat.S_IMODE(file.stat().st_mode)) for file in path.parent.iterdir()
            )

        return look

    monkeypatch.setattr(Path, "chmod", looking(Path.chmod))  # just after `bind`
    monkeypatch.setattr(socket.socket, "bind", looking(socket.socket.bind))
    monkeypatch.setattr(socket.socket, "listen", looking(socket.socket.listen))
    monkeypatch.setattr(os, "rename", looking(os.rename))
    with closing(Listening(path)):
        cradle = ("nerve.sock.new", 0o700)
        assert seen[:-2] == [cradle] * 4
        assert sorted(seen[-2:]) == [("nerve.sock", 0o600), cradle]


def test_what_a_dead_process_has_left_is_replaced(path, short_path):
    """CTL-1"""
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(short_path / path.name))
    cradle = path.with_name("nerve.sock.new")
    cradle.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(short_path / cradle.name / path.name))
    with closing(Listening(path)), closing(reach(path, PATIENCE_S)):
        assert not cradle.exists()


@pytest.mark.parametrize("make", ["write_text", "mkdir", "symlink_to"])
def test_what_is_no_socket_is_left_alone(path, make):
    getattr(path, make)(*{"write_text": ["mine"], "symlink_to": ["elsewhere"]}.get(make, []))
    with pytest.raises(OSError, match="no socket"):
        Listening(path)
    assert [file.name for file in path.parent.iterdir()] == ["nerve.sock"]


def test_a_socket_that_another_one_has_replaced_is_not_removed(path):
    first = Listening(path)
    second = Listening(path)
    assert (first.is_ours(), second.is_ours()) == (False, True)
    first.close()
    with closing(second), closing(reach(path, PATIENCE_S)):
        pass
    assert not path.exists()


def test_a_socket_whose_mode_was_changed_counts_as_another_one(path):
    """CTL-1"""
    with closing(Listening(path)) as listening:
        path.chmod(0o666)
        assert not listening.is_ours()


def test_any_length_of_path_can_be_listened_at_and_reached(tmp_path):
    """CTL-1"""
    folder = tmp_path
    for _ in range(5):
        folder /= "d" * 200
        folder.mkdir()
    path = folder / "nerve.sock"
    with closing(Listening(path)) as listening, closing(reach(path, PATIENCE_S)) as connected:
        accepted, _ = listening.socket.accept()
        with closing(accepted):
            assert peer_of(accepted) == peer_of(connected)
            assert peer_of(accepted).pid == os.getpid()


def test_nothing_stays_open_where_it_cannot_be_made(tmp_path):
    folder = tmp_path / "file"
    folder.write_text("")
    before = set(os.listdir("/proc/self/fd"))
    for path in (
        folder / "nerve.sock",
        tmp_path / "nowhere" / "nerve.sock",
        tmp_path / ("n" * 300),
    ):
        with pytest.raises(OSError):
            Listening(path)
        with pytest.raises(OSError):
            reach(path, PATIENCE_S)
    assert set(os.listdir("/proc/self/fd")) <= before


def test_another_user_is_kept_out_in_a_directory_that_is_open_to_all(other_user):
    """CTL-1"""
    path = other_user.folder / "nerve.sock"
    connect = """
        try:
            socket.socket(socket.AF_UNIX).connect(sys.argv[1])
        except OSError as error:
            print(type(error).__name__)
    """
    with closing(Listening(path)):
        assert other_user.run(connect, path) == "PermissionError"
        path.chmod(0o666)
        assert other_user.run(connect, path) == ""


def test_what_another_user_has_put_in_its_place_is_not_listened_at(other_user):
    """CTL-1"""
    path = other_user.folder / "nerve.sock"
    other_user.folder.chmod(0o1777)
    other_user.run("os.mkdir(sys.argv[1]); open(sys.argv[1] + '/file', 'w')", f"{path}.new")
    with pytest.raises(OSError):
        Listening(path)
    assert not path.exists()
