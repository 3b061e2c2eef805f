import contextlib
import os
import secrets
import time
from pathlib import Path

import pytest

from nerve.process import cgroup
from nerve.process.cgroup import (
    Allowance,
    Cgroup,
    allowance,
    delegated,
    directory_name,
    remove_leftovers,
)
from nerve.process.kernel import is_alive

IN_A_SESSION_OF_ITS_OWN = """
import os, sys, time
from pathlib import Path
from nerve.process.cgroup import Cgroup
Cgroup(Path(sys.argv[1])).enter()
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


def is_over(pid):
    """Whether a killed process, which is not ours to wait for, has ended within 30 s."""
    give_up = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < give_up:
        time.sleep(0.005)
    return not is_alive(pid)


@pytest.fixture
def place():
    """A cgroup of this test's own; skips where none can be made."""
    try:
        path = cgroup._mounted_at() / f"nerve-test-{secrets.token_hex(4)}"
        path.mkdir()
    except (OSError, LookupError) as error:
        pytest.skip(f"no cgroup v2 to write in: {error}")
    if not (path / "cgroup.kill").exists():
        path.rmdir()
        pytest.skip("this kernel has no cgroup.kill")
    yield path
    for directory in (*path.glob("*/"), path):
        Cgroup(directory).kill()
        Cgroup(directory).remove()


def test_a_worker_and_what_called_setsid_die_of_one_write(place, programs):
    """RUN-3, RUN-10"""
    mine = Cgroup(place / directory_name("boot", "web", 1))
    mine.create()
    worker, child = programs.say(IN_A_SESSION_OF_ITS_OWN, mine.path)
    inside = {int(pid) for pid in (mine.path / "cgroup.procs").read_text().split()}
    assert inside == {worker.pid, int(child)}
    mine.kill()
    worker.wait(30)
    assert is_over(int(child))


def test_a_cgroup_that_is_gone_is_killed_and_removed_without_a_word(tmp_path):
    """RUN-10"""
    gone = Cgroup(tmp_path / "none")
    gone.kill()
    gone.remove()
    with pytest.raises(OSError):
        gone.enter()


def test_only_a_delegated_cgroup_is_divided(place, monkeypatch):
    monkeypatch.setattr(cgroup, "_own", lambda: f"/{place.name}")
    if os.geteuid() == 0:
        assert delegated() is None
        try:
            os.setxattr(place, "user.delegate", b"1")
        except OSError as error:
            pytest.skip(f"no extended attributes here: {error}")
    assert delegated() == place


def test_what_earlier_runs_left_is_killed_and_only_theirs(place, programs, monkeypatch):
    """RUN-10"""
    monkeypatch.setattr(cgroup, "delegated", lambda: place)
    left, other = (Cgroup(place / directory_name(boot, "g", 1)) for boot in ("old", "other"))
    for each in (left, other):
        each.create()
    worker, child = programs.say(IN_A_SESSION_OF_ITS_OWN, left.path)
    remove_leftovers(["old"])
    worker.wait(30)
    assert is_over(int(child))
    assert other.path.exists()
    remove_leftovers(["old"])  # the first time something in it still died
    with contextlib.suppress(FileNotFoundError):
        assert not (left.path / "cgroup.procs").read_text()


def test_no_cgroup_v2_is_no_error(monkeypatch):
    def missing():
        raise LookupError("no cgroup v2")

    monkeypatch.setattr(cgroup, "_mounted_at", missing)
    assert delegated() is None
    assert Path(directory_name("b", "g", 2)).name == "nerve-b-g-2"


def test_the_lowest_limit_on_the_way_up_is_what_a_process_may_have(tmp_path, monkeypatch):
    inner = tmp_path / "system.slice" / "nerve.service"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner / "pids.max").write_text("200\n")
    (inner.parent / "memory.max").write_text("1048576\n")
    (tmp_path / "pids.max").write_text("100\n")
    monkeypatch.setattr(cgroup, "_mounted_at", lambda: tmp_path)
    monkeypatch.setattr(cgroup, "_own", lambda _pid: "/system.slice/nerve.service")
    assert allowance(os.getpid()) == Allowance(1048576, 100)


def test_a_process_that_is_gone_has_no_limits():
    assert allowance(2**22 + 1) == Allowance()
