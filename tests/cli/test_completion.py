"""What a shell is answered, and what it costs nobody."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from nerve.cli.completion import ARGUMENTS, SHELLS, TAKES
from nerve.cli.program import COMMANDS


@pytest.fixture
def complete(project):
    """Complete a line as a shell does; `line` ends where the cursor stands."""

    def run(line, shell="bash", **more):
        words = line.split(" ")
        environ = {"_NERVE_COMPLETE": f"{shell}_complete", "COMP_WORDS": line}
        environ["COMP_CWORD"] = words[-1] if shell == "fish" else str(len(words) - 1)
        done = project.process(env={**environ, **more})
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split("\n")[:-1]

    return run


def test_commands_are_completed(complete):
    assert complete("nerve sta") == ["plain,status"]
    assert f"plain,{next(iter(COMMANDS))}" in complete("nerve ")


def test_names_of_senses_and_groups_come_from_nerve_yaml(complete):
    assert complete("nerve why ") == ["plain,disk", "plain,cpu-usage"]
    assert complete("nerve why c") == ["plain,cpu-usage"]
    assert complete("nerve status ho") == ["plain,host"]
    assert complete("nerve status disk ") == ["plain,cpu-usage", "plain,host", "plain,default"]
    assert complete("nerve logs --sense d") == ["plain,disk"]
    assert complete("nerve db upgrade d") == ["plain,disk"]
    assert complete("nerve cursor set disk ") == ["plain,cpu-usage"]


def test_options_are_completed(complete):
    assert complete("nerve status --wa") == ["plain,--watch"]
    assert complete("nerve -c") == ["plain,-c"]


def test_another_configuration_is_looked_into(complete, project):
    project.write("other.yaml", "senses: {heat: {group: roof}}\n")
    assert complete("nerve -c other.yaml why ") == ["plain,heat"]
    assert complete("nerve status -c other.yaml ") == ["plain,heat", "plain,roof"]
    assert complete("nerve why ", NERVE_CONFIG="other.yaml") == ["plain,heat"]
    assert complete("nerve -c oth") == ["file,oth"]


@pytest.mark.parametrize("text", ["}{", "senses: 7", "", "senses: {disk: ${NOPE}}", None])
def test_whatever_is_wrong_nothing_is_said(complete, project, text):
    if text is None:
        project.config.unlink()
    else:
        project.write("nerve.yaml", text)
    assert complete("nerve why zz") in ([], [""])
    assert complete("nerve nonsense ") in ([], [""])


def test_zsh_and_fish_are_told_what_a_command_does(complete):
    assert complete("nerve sta", "zsh") == ["plain", "status", COMMANDS["status"][1]]
    assert complete("nerve sta", "fish") == [f"plain,status\t{COMMANDS['status'][1]}"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_says_how_it_is_installed(project, shell):
    done = project.nerve("completion", shell)
    assert done.exit_code == 0
    assert f"# To install it, {SHELLS[shell]}\n" in done.stdout
    assert f"_NERVE_COMPLETE={shell}_complete" in done.stdout
    assert done.stderr == ""


def test_bash_itself_completes_with_the_script(project):
    script = project.nerve("completion", "bash").stdout
    (project.folder / "completion.bash").write_text(script)
    asked = (
        "source completion.bash; COMP_WORDS=(nerve why d); COMP_CWORD=2;"
        ' _nerve_completion nerve; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        cwd=project.folder,
        env={**project.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "disk\n"


def test_fish_itself_shows_what_a_command_does_up_to_the_end(project):
    script = project.nerve("completion", "fish").stdout
    assert script.count("string split") == 1
    assert 'string split --max 1 "," $completion' in script
    if shutil.which("fish") is None:
        return
    (project.folder / "completion.fish").write_text(script)
    done = subprocess.run(
        ["fish", "--no-config", "-c", "source completion.fish; complete -C 'nerve stat'"],
        cwd=project.folder,
        env={**project.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"status\t{COMMANDS['status'][1]}\n"


def test_each_command_that_takes_names_completes_them():
    for name, (home, _) in COMMANDS.items():
        module, _, attribute = home.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        arguments = [p.name for p in command.params if isinstance(p, click.Argument)]
        kinds = [ARGUMENTS[argument] for argument in arguments if argument in ARGUMENTS]
        if name in TAKES:
            assert kinds, f"{name} takes no names"
            assert kinds[0] in TAKES[name]
