"""`nerve completion`, and what it makes the shell ask: how a command line may go on.

A press of a key: so it is quick, says nothing whatever goes wrong, and changes nothing. Names are
read from nerve.yaml as it is written, without its models, and no command is imported for them;
options are looked up in the command itself. `nerve.cli.main` comes here instead of to the
program when a shell asks, which it does with COMPLETION_VARIABLE in the environment.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Flag, auto
from itertools import pairwise
from pathlib import Path

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from nerve.cli import COMPLETION_VARIABLE
from nerve.cli.output import emit, is_terminal, say

SHELLS = {
    "bash": 'in ~/.bashrc:  eval "$(nerve completion bash)"',
    "zsh": 'in ~/.zshrc, after compinit:  eval "$(nerve completion zsh)"',
    "fish": "in ~/.config/fish/config.fish:  nerve completion fish | source",
}
"""How it is installed in each."""
MAX_NAMES = 500
"""Shown at a time; more are of no use to anybody, and one more letter leaves fewer."""


class Kind(Flag):
    """Which names a command takes."""

    SENSE = auto()
    GROUP = auto()


TAKES = {
    "status": Kind.SENSE | Kind.GROUP,
    "why": Kind.SENSE,
    "trigger": Kind.SENSE,
    "pause": Kind.SENSE | Kind.GROUP,
    "resume": Kind.SENSE | Kind.GROUP,
    "restart": Kind.GROUP,
    "describe": Kind.SENSE,
    "query": Kind.SENSE,
    "test": Kind.SENSE,
}
"""Commands whose arguments are names."""
ARGUMENTS = {
    "sense": Kind.SENSE,
    "senses": Kind.SENSE,
    "group": Kind.GROUP,
    "groups": Kind.GROUP,
    "target": Kind.SENSE,
    "source": Kind.SENSE,
    "targets": Kind.SENSE | Kind.GROUP,
}
"""What an argument of this name takes, of any other command."""
SPLIT_AT_ALL, SPLIT_AT_FIRST = 'string split ","', 'string split --max 1 ","'
"""In fish: what an answer is taken apart with, its kind before the comma."""
_CONFIG = ("-c", "--config")
_NAMED = ("--sense", "--source")


@click.command(
    epilog="\b\nExamples:\n" + "\n".join(f"  {how}" for how in SHELLS.values()),
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options and names of senses."""
    first, _, rest = _template(shell).partition("\n")
    if not first.startswith("#"):  # zsh has to find its own word in the first line
        first, rest = f"# To install it, {SHELLS[shell]}", f"{first}\n{rest}"
    else:
        rest = f"# To install it, {SHELLS[shell]}\n{rest}"
    emit(f"{first}\n{rest}" % _shell(shell).source_vars())
    if is_terminal():
        say(f"to install it, {SHELLS[shell]}")


def _template(shell: str) -> str:
    # click's function for fish takes a text for several where it has a comma, and shows the first.
    return _shell(shell).source_template.replace(SPLIT_AT_ALL, SPLIT_AT_FIRST)


def complete() -> None:
    """Answer a shell on stdout; of whatever goes wrong nothing is seen."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
    with suppress(BaseException):  # the line that somebody types is not to be disturbed
        shell = _shell(os.environ[COMPLETION_VARIABLE].partition("_")[0])
        words, incomplete = shell.get_completion_args()
        items = list(_items(shell, words, incomplete))
        print("\n".join(shell.format_completion(item) for item in items))  # noqa: T201  for the shell


def _shell(name: str) -> ShellComplete:
    # Here, as `completion` is itself a command of the program.
    from nerve.cli.program import program

    found = get_completion_class(name)
    assert found is not None  # noqa: S101  click has the three of SHELLS
    return found(program, {}, "nerve", COMPLETION_VARIABLE)


def _items(
    shell: ShellComplete, words: Sequence[str], incomplete: str
) -> Iterator[CompletionItem[str]]:
    last = words[-1] if words else ""
    command = next((word for word in _without_options(words)), None)
    if last in _CONFIG:
        yield CompletionItem(incomplete, type="file")
    elif last in _NAMED:
        yield from _names(words, incomplete, Kind.SENSE)
    elif command is None and not incomplete.startswith("-"):
        yield from _commands(incomplete)
    elif command in TAKES and not incomplete.startswith("-"):
        yield from _names(words, incomplete, TAKES[command])
    else:
        yield from _as_click(shell, words, incomplete)


def _without_options(words: Sequence[str]) -> Iterator[str]:
    """Yield the words that are neither options of the program nor their values."""
    for before, word in zip(("", *words), words, strict=False):
        if not word.startswith("-") and before not in (*_CONFIG, "--set"):
            yield word


def _commands(incomplete: str) -> Iterator[CompletionItem[str]]:
    from nerve.cli.program import COMMANDS

    for name, (_, text) in COMMANDS.items():
        if name.startswith(incomplete):
            yield CompletionItem(name, help=text)


def _names(words: Sequence[str], incomplete: str, kind: Kind) -> Iterator[CompletionItem[str]]:
    # Here, because only names need the file.
    from nerve.config.names import DEFAULT_GROUP
    from nerve.config.tree import plain
    from nerve.config.whereabouts import find_config, read_tree

    chosen = [word for before, word in pairwise(words) if before in _CONFIG]
    path = find_config(chosen[-1] if chosen else None, os.environ, Path.cwd())
    senses = plain(read_tree(path))["senses"]
    names = list(senses) if Kind.SENSE in kind else []
    if Kind.GROUP in kind:
        groups = ((sense or {}).get("group") or DEFAULT_GROUP for sense in senses.values())
        names += [name for name in groups if isinstance(name, str)]
    fitting = [n for n in dict.fromkeys(names) if n.startswith(incomplete) and n not in words]
    yield from (CompletionItem(name) for name in fitting[:MAX_NAMES])


def _as_click(
    shell: ShellComplete, words: Sequence[str], incomplete: str
) -> Iterator[CompletionItem[str]]:
    """Ask the command itself; names where its next argument is called like one."""
    yield from shell.get_completions([*words], incomplete)
    if incomplete.startswith("-"):
        return
    command: click.Command | None = shell.cli
    for word in _without_options(words):
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    kind = Kind(0)
    for parameter in command.params if command is not None else ():
        if isinstance(parameter, click.Argument):
            kind |= ARGUMENTS.get(parameter.name or "", Kind(0))
    if kind:
        yield from _names(words, incomplete, kind)
