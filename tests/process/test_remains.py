import os
import subprocess
import sys

import pytest

from nerve.process.kernel import environment_has, is_alive, machine_boot
from nerve.process.remains import BOOT_VARIABLE, Found, alive, end, of_others, read_slates
from nerve.process.slate import Line, Owner, Phase, Slate, create

BOOT = "a-boot-of-this-test"
WORKER = """
import os, sys, time
from pathlib import Path
from nerve.process.slate import Phase, Slate
slate = Slate(Path(sys.argv[1]), generation=2, boot="gone")
slate.write(Phase.COMPUTING, "disk", 5)
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


def found(phase, sense="disk"):
    owner = Owner(1, 1, "m", 1, BOOT)
    return Found("web", owner, Line(phase, sense, 1, 0.0) if phase is not None else None)


@pytest.mark.parametrize(
    ("phase", "running"),
    [
        (None, None),
        (Phase.STARTING, None),
        (Phase.IDLE, None),
        (Phase.LOADING, "disk"),
        (Phase.MIGRATING, "disk"),
        (Phase.COMPUTING, "disk"),
    ],
)
def test_a_slate_tells_which_sense_was_running(phase, running):
    """BOOT-4"""
    assert found(phase).was_running == running


def test_a_worker_of_an_earlier_run_and_its_children_are_ended(tmp_path, programs):
    """RUN-10"""
    create(tmp_path / "web")
    worker, child = programs.say(WORKER, tmp_path / "web")
    (left,) = read_slates(tmp_path)
    assert (left.group, left.owner.pid, left.was_running) == ("web", worker.pid, "disk")
    assert alive([left], set()) == [worker.pid]
    end([worker.pid])
    worker.wait(30)
    assert not is_alive(int(child))


def test_what_bears_the_runs_name_is_ended_and_nothing_else():
    """RUN-10"""
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    environments = [{**os.environ, BOOT_VARIABLE: boot} for boot in (BOOT, f"{BOOT}-2")]
    theirs, others = (subprocess.Popen(sleeping, env=env) for env in environments)
    try:
        assert alive([], {BOOT}) == [theirs.pid]
        end([theirs.pid])
        assert theirs.wait(30) == -9
        assert others.poll() is None
    finally:
        others.kill()
        others.wait(30)


def test_what_is_just_being_started_bears_the_runs_name_as_well():
    """RUN-10: its program has begun, and for a moment its environment reads as empty."""
    environment = {**os.environ, BOOT_VARIABLE: BOOT}
    for _ in range(20):
        started = subprocess.Popen(["sleep", "600"], env=environment)
        try:
            assert environment_has(started.pid, BOOT_VARIABLE, {BOOT})
        finally:
            started.kill()
            started.wait(30)


def test_a_process_that_only_got_the_number_is_not_touched():
    """RUN-10"""
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        owner = Owner(stranger.pid, 1, machine_boot(), 1, BOOT)
        assert alive([Found("web", owner, None)], set()) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(30)


def test_what_is_below_a_parent_that_runs_on_with_other_files_is_not_left_over(tmp_path):
    """RUN-10"""
    sleeping = subprocess.Popen(["sleep", "600"])
    journal = tmp_path / "logs.db"
    journal.touch()
    try:
        assert of_others([sleeping.pid], {os.getpid()}, journal) == {sleeping.pid}
        assert of_others([sleeping.pid], {sleeping.pid}, journal) == set()  # it is not below itself
        assert of_others([sleeping.pid], set(), journal) == set()
        with journal.open():
            assert of_others([sleeping.pid], {os.getpid()}, journal) == set()
    finally:
        sleeping.kill()
        sleeping.wait(30)


def test_slates_that_cannot_be_read_are_left_out(tmp_path):
    """RUN-5"""
    (tmp_path / "empty").touch()
    (tmp_path / "garbage").write_bytes(os.urandom(8192))
    create(tmp_path / "good")
    Slate(tmp_path / "good", generation=1, boot="b").write(Phase.IDLE)
    assert [left.group for left in read_slates(tmp_path)] == ["good"]
