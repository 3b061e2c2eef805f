"""docs/commands.md, from the commands of click and what they say with --help."""

import inspect

import click

from nerve.cli.program import program
from tests.docs.markdown import anchor, table

EVERYWHERE = {"config", "set", "help"}
"""Options of most commands: the head of the page tells what they do."""


def made():
    """Return the part of the page that is made."""
    found = list(commands())
    rows = [
        (f"[`{path}`](#{anchor(path)})", command.get_short_help_str(limit=200))
        for path, command, _ in found
        if not isinstance(command, click.Group)
    ]
    parts = [_section(path, command, context) for path, command, context in found]
    return "\n\n".join([table(("command", "what it does"), rows), *parts]) + "\n"


def commands():
    """Return (path, command, context) of each command, groups before their own."""
    yield from _below(click.Context(program, info_name="nerve"))


def _below(context):
    group = context.command
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = click.Context(command, info_name=name, parent=context)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from _below(inner)


def _section(path, command, context):
    parts = [f"{'#' * (1 + path.count(' '))} {path}", inspect.cleandoc(command.help)]
    if not isinstance(command, click.Group):
        parts.append("    " + command.get_usage(context).removeprefix("Usage: "))
    if options := list(_options(command, context)):
        parts.append(table(("option", "what it does"), options))
    parts += _epilog(command.epilog or "")
    return "\n\n".join(part.replace("\b\n", "") for part in parts)


def _options(command, context):
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and record[1] and parameter.name not in EVERYWHERE:
            yield f"`{record[0]}`", record[1]


def _epilog(epilog):
    """Return the parts of what stands below the options: examples as code, sentences as such."""
    parts, before = [], None
    for line in epilog.replace("\b\n", "").splitlines():
        kind = "code" if line.startswith("  ") else "text" if line.strip() else None
        if kind and kind == before:
            parts[-1] += f"\n{_shown(line)}"
        elif kind:
            parts.append(_shown(line))
        before = kind
    return parts


def _shown(line):
    return f"  {line}" if line.startswith("  ") else line
