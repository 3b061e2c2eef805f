"""What `nerve run` shows to whom; what it does is tested in tests/runtime."""

import contextlib
import os
import pty
import signal as signals
import subprocess
import sys
import threading
import time

import pytest

from nerve.cli.announcing import Announcer
from nerve.cli.run import _say_end, _write_out
from nerve.store.sqlite import open_reader
from nerve.supervisor.ledger import Tally

COUNTING = """\
import itertools

numbers = itertools.count(1)


def compute(db, peers, ctx):
    number = next(numbers)
    if number == 1:
        raise LookupError("lost")
    return {"summary": f"count {number}"}
"""


def closing(*descriptors):
    """Close descriptors in the child, after subprocess has put its pipes there."""
    return lambda: [os.close(descriptor) for descriptor in descriptors]


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
    header, where, end = [said["payload"]["message"] for said in json_lines(done.stderr)]
    assert "1 sense in 1 group" in header
    assert str(counting.folder / "data") in where
    assert "0 signals, 1 failure" in end


def test_with_json_a_refusal_is_a_json_line_too(counting, json_lines):
    """CTL-3"""
    counting.write("nerve.yaml", "senses: {disk: {timeout: soon, group: 7}}\n")
    done = counting.process("run", "--json")
    assert done.returncode == 78
    assert done.stdout == ""
    (said,) = json_lines(done.stderr)
    assert said["level"] == "error"
    assert said["payload"]["exit_code"] == 78
    assert "nerve.yaml:1:26: senses.disk.timeout" in said["payload"]["message"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (LookupError("lost"), 70, "an error of nerve itself: LookupError: lost"),
        (OSError(5, "Input/output error", "/srv/x"), 74, "/srv/x: Input/output error"),
    ],
)
def test_with_json_what_nobody_has_foreseen_is_a_json_line_too(
    counting, json_lines, monkeypatch, error, code, said
):
    """CTL-3"""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("nerve.cli.run._run", fail)
    monkeypatch.setenv("NERVE_DEBUG", "1")
    done = counting.nerve("run", "--json")
    assert (done.exit_code, done.stdout) == (code, "")
    (told,) = json_lines(done.stderr)
    assert (told["payload"]["message"], told["payload"]["exit_code"]) == (said, code)
    assert ("traceback" in told["payload"]) == (code == 70)


@pytest.fixture
def to_journal(counting):
    """Run nerve once with both streams as systemd connects them to its journal."""

    def run(*arguments):
        reader, writer = os.pipe()
        found = os.fstat(writer)
        done = counting.process(
            *("run", "--once", *arguments),
            env={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"},
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)
        with open(reader) as journal:
            return done.returncode, journal.read().splitlines()

    return run


def test_in_the_journal_of_systemd_each_line_has_its_priority_and_no_time(to_journal):
    code, lines = to_journal()
    assert code == 1
    assert all(line[:3] in {"<3>", "<4>", "<6>"} for line in lines)
    assert any(line.startswith("<3>disk compute.error: LookupError: lost") for line in lines)
    assert any(line.startswith("<6>nerve ") and "1 sense in 1 group" in line for line in lines)


def test_in_the_journal_of_systemd_json_lines_have_their_priority_as_well(to_journal, json_lines):
    _, lines = to_journal("--json")
    entries = json_lines("\n".join(line[3:] for line in lines))
    levels = {entry.get("level"): line[:3] for entry, line in zip(entries, lines, strict=True)}
    assert levels["error"] == "<3>"
    assert levels["info"] == "<6>"


def test_in_the_journal_of_systemd_a_refusal_is_an_error_with_its_hint(counting, to_journal):
    counting.write("nerve.yaml", "senses: {disk: {timout: 5s}}\n")
    code, lines = to_journal()
    assert code == 78
    assert lines
    assert all(line.startswith("<3>") for line in lines)


def test_another_pipe_is_no_journal_though_systemd_has_started_it(counting):
    done = counting.process("run", "--once", env={"JOURNAL_STREAM": "1:1"})
    assert not done.stdout.startswith("<")
    assert not done.stderr.startswith("<")


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
    assert "disk     compute.error: LookupError: lost" in text
    assert "in compute" in text
    assert "disk     count 2" in text
    assert "worker.ready" not in text
    assert "\x1b" not in text


def test_a_closed_stdout_does_not_bring_nerve_down(counting, background):
    """CTL-3"""
    process = background("run")
    while "signal disk" not in process.stdout.readline():
        pass
    process.stdout.close()
    with contextlib.closing(open_reader(counting.state.journal_path)) as reader:
        newest = "SELECT max(id) FROM signals"
        (before,) = reader.execute(newest).fetchone()
        give_up = time.monotonic() + 30
        while reader.execute(newest).fetchone()[0] < before + 5:
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.01)
    process.send_signal(signals.SIGTERM)
    assert process.wait(30) == 0
    assert "stopped after" in process.stderr.read()


def test_a_full_disk_behind_stdout_is_said_once_and_ends_in_74(counting):
    """LOG-6"""
    counting.sense("disk")
    with open("/dev/full", "w") as full:
        done = counting.process("run", "--once", stdout=full)
    assert done.returncode == 74
    assert done.stderr.count("standard output: No space left on device") == 1


@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_without_standard_streams_it_runs_as_with_them(counting, closed):
    """CTL-3"""
    counting.sense("disk")
    done = counting.process("run", "--once", preexec_fn=closing(*closed))
    assert done.returncode == 0
    assert (2 in closed) == (done.stderr == "")
    with contextlib.closing(open_reader(counting.state.journal_path)) as reader:
        assert reader.execute("SELECT count(*) FROM logs").fetchone()[0] > 0


def test_what_could_not_be_recorded_is_told_in_the_last_line(capsys):
    """LOG-6"""
    _say_end(Announcer(as_json=False, environ={}), Tally(unrecorded=3), 1.0)
    assert "3 entries could not be written to logs.db" in capsys.readouterr().err


def test_a_terminal_that_was_made_non_blocking_is_waited_for(monkeypatch):
    """CTL-3"""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 1_000_000 + "\n"
    with open(reader) as ours, open(writer, "w") as theirs:
        monkeypatch.setattr("sys.stdout", theirs)
        thread = threading.Thread(target=_write_out, args=(text,))
        thread.start()
        assert ours.read(len(text)) == text
        thread.join(30)


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
    assert "Ctrl-C stops" not in done.stderr
    assert str(os.getpid()) in done.stderr
