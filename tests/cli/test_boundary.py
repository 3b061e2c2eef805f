import os
import signal as signals
import subprocess
import sys

import click
import pytest

from nerve.cli.boundary import guarded, masked
from nerve.config import Redactor
from nerve.errors import AlreadyRunning, Exit, NerveError


def fail_with(error):
    def act():
        raise error

    return act


def test_an_error_of_ours_is_a_line_and_a_hint_and_its_exit_code(capsys):
    """CTL-2"""
    assert guarded(fail_with(NerveError("no such thing", hint="make one"))) == Exit.FOUND
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "nerve: no such thing\n  hint: make one\n"


def test_what_is_said_on_stderr_is_wrapped_between_words_beside_its_head(on_terminal, project):
    """CTL-3"""
    names = ", ".join(f"sense-{n}: {{}}" for n in range(12))
    project.write("nerve.yaml", f"senses: {{{names}}}\n")
    lines = on_terminal("why", "nothing-like-it", code=2, talk=None)
    assert lines[0] == "nerve: nerve.yaml has no sense 'nothing-like-it'"
    assert lines[1].startswith("  hint: the senses are: sense-0, sense-1")
    assert lines[2].startswith("        sense-")
    assert max(map(len, lines)) <= 80


def test_a_fault_of_the_configuration_is_wrapped_beside_its_place(on_terminal, project):
    """CFG-1"""
    project.write("nerve.yaml", "senses: {disk: {timeout: five seconds, group: 'Not A Name'}}\n")
    lines = on_terminal("check", code=78, talk=None)
    first = next(n for n, line in enumerate(lines) if "senses.disk.group" in line)
    assert lines[first].startswith("nerve.yaml:1:")
    assert lines[first + 1].startswith(" " * len("nerve.yaml:1:40: "))
    assert max(map(len, lines)) <= 80


def test_another_parent_ends_in_75(tmp_path):
    error = AlreadyRunning("in use", path=tmp_path, pid=1)
    assert guarded(fail_with(error)) == Exit.ALREADY_RUNNING == 75


def test_an_error_cannot_write_to_the_terminal_behind_our_back(capsys):
    guarded(fail_with(NerveError("\x1b[2Jgone", hint="\x9b1m")))
    assert capsys.readouterr().err == "nerve: \\x1b[2Jgone\n  hint: \\x9b1m\n"


def test_an_error_nobody_expected_is_one_line_and_where_the_traceback_is(capsys, monkeypatch):
    monkeypatch.delenv("NERVE_DEBUG", raising=False)
    assert guarded(fail_with(LookupError("lost"))) == Exit.INTERNAL == 70
    err = capsys.readouterr().err
    assert "LookupError: lost" in err
    assert "NERVE_DEBUG=1" in err
    assert "Traceback" not in err


def test_with_debug_an_error_nobody_expected_shows_its_traceback(capsys, monkeypatch):
    monkeypatch.setenv("NERVE_DEBUG", "1")
    assert guarded(fail_with(LookupError("lost"))) == 70
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_in_a_command_is_130_and_silent(capsys):
    assert guarded(fail_with(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


def test_clicks_own_errors_are_left_to_click():
    with pytest.raises(click.UsageError):
        guarded(fail_with(click.UsageError("what?")))


@pytest.mark.parametrize("kind", [NerveError, LookupError])
def test_a_secret_in_an_error_is_masked(capsys, kind):
    """CFG-8"""

    def act():
        with masked(Redactor(["s3cret-token"])):
            raise kind("bad s3cret-token", *([] if kind is NerveError else [7]))

    guarded(act)
    assert "s3cret-token" not in capsys.readouterr().err


def test_a_command_returns_its_exit_code_or_ends_well():
    assert guarded(lambda: Exit.FOUND) == 1
    assert guarded(lambda: None) == 0


def test_a_faulty_configuration_is_78_with_every_fault_and_their_number(project):
    """CFG-1"""
    project.write("nerve.yaml", "senses:\n  disk: {timeout: soon, gruop: host}\n")
    done = project.nerve("signals")
    assert done.exit_code == Exit.CONFIGURATION == 78
    first, second, last = done.stderr.splitlines()
    assert first.startswith("nerve.yaml:2:19: senses.disk.timeout: ")
    assert second.startswith("nerve.yaml:2:25: senses.disk.gruop: ")
    assert 'did you mean "group"?' in second
    assert last == "nerve: 2 faults in the configuration"


def test_a_missing_configuration_is_78_with_what_to_do(project):
    project.config.unlink()
    done = project.nerve("list", "senses")
    assert done.exit_code == 78
    assert "nerve.yaml" in done.stderr
    assert "--config" in done.stderr
    assert "`nerve init`" in done.stderr


def test_a_reader_that_goes_away_is_no_failure(project, signal):
    """CTL-3"""
    project.record(*(signal() for _ in range(3_000)))
    command = [sys.executable, "-m", "nerve", "signals", "--limit", "3000"]
    with subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert "22 % used" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 0


def test_a_full_disk_behind_stdout_is_told(project, signal):
    """CTL-3"""
    project.record(signal())
    with open("/dev/full", "w") as full:
        done = project.process("signals", stdout=full)
    assert done.returncode == Exit.INPUT_OUTPUT == 74
    assert done.stderr == "nerve: standard output: No space left on device\n"


def test_without_stdout_a_command_does_what_it_does(project, signal):
    """CTL-3"""
    project.record(signal())
    done = project.process("logs", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_ctrl_c_while_following_ends_with_0(project, background, signal):
    """LOG-2"""
    project.record(signal())
    process = background("signals", "-f")
    assert "22 % used" in process.stdout.readline()
    process.send_signal(signals.SIGINT)
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


def test_no_colour_where_there_is_no_terminal(project, log):
    """CTL-3"""
    project.record(log(level="error"))
    assert "\x1b" not in project.nerve("logs").stdout
    assert "\x1b" in project.nerve("logs", color=True).stdout


def test_no_color_is_honoured_on_a_terminal(project, log):
    """CTL-3"""
    project.record(log(level="error"))
    assert "\x1b" not in project.nerve("logs", color=True, env={"NO_COLOR": "1"}).stdout
