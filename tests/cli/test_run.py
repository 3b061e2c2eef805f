"""What `nerve run` shows to whom; what it does is tested in tests/runtime."""

import os
import pty
import signal as signals
import subprocess
import sys
import time
from contextlib import closing

import pytest

from nerve.store.sqlite import open_reader

COUNTING = """\
import itertools

numbers = itertools.count(1)


def compute(db, peers, ctx):
    number = next(numbers)
    if number == 1:
        raise LookupError("lost")
    return {"summary": f"count {number}"}
"""


@pytest.fixture
def counting(project):
    project.write(
        "nerve.yaml",
        "timezone: Europe/Berlin\nsenses: {disk: {}}\n"
        "reflexes: [{kind: sense, sense: disk, interval: 50ms}]\n",
    )
    project.sense("disk", COUNTING)
    return project


def test_stdout_is_data_and_stderr_is_talk(counting, json_lines):
    """CTL-3"""
    done = counting.process("run", "--once", "--json")
    assert done.returncode == 1
    entries = json_lines(done.stdout)
    assert [entry["id"] for entry in entries] == list(range(1, len(entries) + 1))
    header, where, end = done.stderr.splitlines()
    assert "1 sense in 1 group" in header
    assert str(counting.folder / "data") in where
    assert "0 signals, 1 failure" in end


def test_on_a_terminal_a_signal_is_a_readable_line_and_an_error_has_its_frames(counting):
    """CTL-3"""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nerve", "run"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.DEVNULL}
    environ = {**counting.environ, "NO_COLOR": "1"}
    with (
        open(ours, "rb", buffering=0) as terminal,
        subprocess.Popen(command, cwd=counting.folder, env=environ, **streams) as process,
    ):
        os.close(theirs)
        shown = b""
        while b"count 3" not in shown:
            shown += terminal.read(65_536)
        process.send_signal(signals.SIGINT)
        assert process.wait(30) == 0
    text = shown.decode()
    assert "disk  compute.error: LookupError: lost" in text
    assert "in compute" in text
    assert "disk  count 2" in text
    assert "worker.ready" not in text
    assert "\x1b" not in text


def test_a_closed_stdout_does_not_bring_nerve_down(counting, background):
    """CTL-3"""
    process = background("run")
    while "signal disk" not in process.stdout.readline():
        pass
    process.stdout.close()
    with closing(open_reader(counting.state.journal_path)) as reader:
        newest = "SELECT max(id) FROM signals"
        (before,) = reader.execute(newest).fetchone()
        while reader.execute(newest).fetchone()[0] < before + 5:
            assert process.poll() is None
            time.sleep(0.01)
    process.send_signal(signals.SIGTERM)
    assert process.wait(30) == 0
    assert "stopped after" in process.stderr.read()


def test_a_faulty_configuration_starts_nothing(counting):
    """CFG-1"""
    counting.write("nerve.yaml", "senses: {disk: {timeout: soon}}\n")
    done = counting.process("run")
    assert done.returncode == 78
    assert done.stdout == ""
    assert not (counting.folder / "data").exists()


def test_a_second_nerve_on_the_same_state_is_75_and_says_who_holds_it(counting):
    """BOOT-1"""
    counting.state.create()
    lock = counting.state.lock()
    try:
        done = counting.process("run")
    finally:
        os.close(lock)
    assert done.returncode == 75
    assert str(os.getpid()) in done.stderr
