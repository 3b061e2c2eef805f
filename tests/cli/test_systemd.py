"""`nerve systemd-unit`: what stands in the unit, and that systemd reads it as it is meant."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.cli.unit import word
from nerve.errors import Exit

SIMPLE = {"t": "\t", "n": "\n", "\\": "\\", '"': '"'}


def settings_of(unit):
    """Every assignment of a unit, the last one of each key, without the comments."""
    lines = [line for line in unit.splitlines() if line and line[0] not in "#["]
    return dict(line.split("=", 1) for line in lines)


def read_word(text, *, in_command=False):
    """Read one word as systemd does: quotes, C escapes, then specifiers and variables."""
    if text.startswith('"'):
        assert text.endswith('"')
        text = text[1:-1]
    else:
        assert not re.search(r"[\s\"'\\;]", text)
    text = re.sub(r"\\(.)", lambda found: SIMPLE[found.group(1)], text)
    assert not re.search(r"%", text.replace("%%", ""))
    text = text.replace("%%", "%")
    if in_command:
        assert "$" not in text.replace("$$", "")
        text = text.replace("$$", "$")
    return text


def verified(tmp_path, unit):
    if shutil.which("systemd-analyze") is None:
        return ""
    file = tmp_path / "nerve-of-a-test.service"
    file.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout if done.returncode or str(file) in done.stdout else ""


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1), st.booleans())
def test_systemd_reads_a_word_as_it_was(text, in_command):
    quoted = word(text, in_command=in_command)
    assert read_word(quoted, in_command=in_command) == text
    assert "\n" not in quoted


def test_stdout_is_the_unit_and_stderr_says_where_it_goes_and_what_enables_it(project):
    """CTL-3"""
    done = project.process("systemd-unit")
    unit = settings_of(done.stdout)
    assert done.stdout.startswith("[Unit]\n")
    assert done.stdout.endswith("WantedBy=multi-user.target\n")
    assert unit["Type"] == "notify"
    assert unit["NotifyAccess"] == "main"
    assert unit["KillMode"] == "mixed"
    assert unit["Delegate"] == "yes"
    assert unit["WorkingDirectory"] == str(project.folder)
    assert "/etc/systemd/system/nerve.service" in done.stderr
    assert "systemctl daemon-reload" in done.stderr
    assert "systemctl enable --now nerve" in done.stderr


def test_what_it_starts_is_this_nerve_with_this_configuration(project):
    unit = settings_of(project.nerve("systemd-unit").stdout)
    program, *words = unit["ExecStart"].split()
    assert os.path.dirname(program) == os.path.dirname(os.path.abspath(sys.executable))
    assert words == ["-c", str(project.config), "run"]
    assert unit["ExecReload"].split()[1:] == ["-c", str(project.config), "reload"]


def test_no_restart_where_it_cannot_help(project):
    unit = settings_of(project.nerve("systemd-unit").stdout)
    assert unit["Restart"] == "on-failure"
    ends = {int(code) for code in unit["RestartPreventExitStatus"].split()}
    assert {Exit.CONFIGURATION, Exit.NO_PERMISSION, Exit.ALREADY_RUNNING} <= ends
    assert not ends & {Exit.INPUT_OUTPUT, Exit.INTERNAL}  # a disk may have room again


def test_a_stop_has_time_for_the_slowest_sense(project):
    short = settings_of(project.nerve("systemd-unit").stdout)["TimeoutStopSec"]
    slow = ("--set", "senses.disk.timeout=10m", "--set", "senses.disk.grace_period=30s")
    done = project.nerve("systemd-unit", *slow)
    unit = settings_of(done.stdout)
    assert int(unit["TimeoutStopSec"]) == int(short) + 10 * 60 + 30 - 35
    assert "run --set senses.disk.timeout=10m" in unit["ExecStart"]


def test_for_your_own_systemd_it_names_no_user_and_another_place(project):
    done = project.nerve("systemd-unit", "--user", "--name", "nerve-web.service")
    unit = settings_of(done.stdout)
    assert "User" not in unit
    assert "ProtectSystem" not in unit
    assert unit["WantedBy"] == "default.target"
    assert "~/.config/systemd/user/nerve-web.service" in done.stderr
    assert "systemctl --user enable --now nerve-web" in done.stderr


def test_what_the_file_takes_from_the_environment_is_named(project):
    project.write(
        "nerve.yaml",
        "senses:\n  disk: {secrets: {token: '${DISK_TOKEN}'}, env: [API_KEY]}\n",
    )
    done = project.nerve("systemd-unit", env={"DISK_TOKEN": "hush", "NERVE_STATE_DIR": "/var/x y"})
    assert "It takes: API_KEY, DISK_TOKEN." in done.stdout
    assert "hush" not in done.output
    assert settings_of(done.stdout)["Environment"] == '"NERVE_STATE_DIR=/var/x y"'


def test_a_state_directory_in_a_place_that_is_protected_is_let_through(project):
    done = project.nerve("systemd-unit", env={"NERVE_STATE_DIR": "/etc/nerve/data"})
    unit = settings_of(done.stdout)
    assert unit["ProtectSystem"] == "full"
    assert unit["ReadWritePaths"] == "/etc/nerve/data"


@pytest.mark.parametrize("folder", ["plain", 'with space %h "quotes" $HOME ü', "back\\slash'x"])
def test_systemd_finds_no_fault_with_it_whatever_the_path(project, tmp_path, folder):
    config = project.write(f"{folder}/nerve.yaml", "senses: {}\n")
    done = project.nerve("-c", str(config), "systemd-unit", "--set", "state_dir='a b'")
    assert done.exit_code == 0, done.output
    unit = settings_of(done.stdout)
    assert unit["WorkingDirectory"].replace("%%", "%") == str(config.parent)
    quoted = re.search(r" -c (.*) run --set ", unit["ExecStart"]).group(1)
    assert read_word(quoted, in_command=True) == str(config)
    assert verified(tmp_path, done.stdout) == ""


@pytest.mark.parametrize("name", ["", "a/b", "a b", "@" * 3, "x" * 300])
def test_a_name_that_no_unit_can_have_is_refused(project, name):
    done = project.nerve("systemd-unit", "--name", name)
    assert done.exit_code == Exit.USAGE
    assert done.stdout == ""


def test_a_path_that_no_unit_can_have_is_refused(project):
    config = project.write("new\nline/nerve.yaml", "senses: {}\n")
    done = project.nerve("-c", str(config), "systemd-unit")
    assert done.exit_code == Exit.USAGE
    assert "cannot stand in a unit" in done.stderr
