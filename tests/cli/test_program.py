import subprocess
import sys

import click
import pytest

from nerve.cli.program import COMMANDS, program
from nerve.version import VERSION

HEAVY = ("pydantic", "sqlalchemy", "alembic", "rich", "yaml", "asyncio", "nerve.config.models")


def modules_after(arguments):
    code = (
        "import sys\nsys.argv = ['nerve', *%r]\n"
        "from nerve.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % (arguments,)], capture_output=True, text=True, timeout=30
    )
    return set(done.stderr.split())


def test_help_imports_click_and_nothing_heavy():
    assert not modules_after(["--help"]).intersection(HEAVY)


def test_run_imports_neither_sqlalchemy_nor_alembic():
    assert not modules_after(["run", "--help"]).intersection({"sqlalchemy", "alembic"})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text_that_begins_as_the_list_says(project, command):
    done = project.nerve(command, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: nerve {command}")


@pytest.mark.parametrize("group", ["new", "list", "db", "config"])
def test_no_help_text_in_a_list_is_cut_on_80_columns(project, group):
    done = project.nerve(group, "--help", terminal_width=80)
    assert "..." not in done.stdout.partition("Commands:")[2]


def every_command(path, command):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every_command([*path, name], command.get_command(context, name))


@pytest.mark.parametrize("columns", [80, 140])
def test_no_line_of_any_help_text_is_wider_than_the_terminal(project, columns):
    """CTL-3"""
    for path, command in every_command([], program):
        done = project.nerve(*path, "--help", terminal_width=columns)
        too_wide = [line for line in done.stdout.splitlines() if len(line) > columns]
        assert not too_wide, path
        assert isinstance(command, click.Group) or "Example" in done.stdout, path


def test_bounds_of_numbers_are_told_in_words_and_not_where_they_tell_nothing(project):
    told = project.nerve("logs", "--help", terminal_width=100).stdout
    assert "1 to 100,000" in told
    assert "x<=" not in told
    assert str(2**63 - 1) not in told
    assert project.nerve("logs", "--limit", "0").exit_code == 2


def test_a_slip_in_a_command_is_a_usage_error_with_a_suggestion(project):
    done = project.nerve("singals")
    assert done.exit_code == 2
    assert 'Did you mean "signals"?' in done.stderr
    assert done.stdout == ""


def test_the_version_is_printed(project):
    assert project.nerve("--version").stdout == f"nerve {VERSION}\n"


def test_the_configuration_may_be_named_before_and_after_the_command(project):
    other = project.write("other.yaml", "senses: {only: {}}")
    before = project.nerve("-c", str(other), "list", "senses")
    after = project.nerve("list", "senses", "-c", str(other))
    assert before.stdout == after.stdout
    assert "only" in before.stdout


def test_set_overrides_a_key_before_and_after_the_command(project):
    one = ["--set", "senses.disk.group=one"]
    two = ["--set", "senses.cpu-usage.group=two"]
    shown = project.nerve(*one, "config", "show", *two).stdout
    assert "group: one" in shown
    assert "group: two" in shown
