"""What commands print: data to stdout, talk to stderr.

Colours are click's: it leaves them out where the stream is no terminal, and the
program tells it to where NO_COLOR is set.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import click

from nerve.cli.wording import (
    cells,
    cut,
    hanging,
    json_text,
    padded,
    visible,
    visible_lines,
)

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_GAP = "  "


def say(text: str) -> None:
    """Talk to the person, on stderr; nobody listening is no error."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def say_hanging(head: str, text: str, colour: str | None = None) -> None:
    """Talk in a visible text beside its head, which is coloured; without one all is."""
    style = partial(click.style, fg=colour) if colour else str
    lines = hanging(head, text, _width_of_stderr(), str if head else style)
    if head:
        lines[0] = style(lines[0][: len(head)]) + lines[0][len(head) :]
    for line in lines:
        say(line.rstrip())


def say_hint(hint: str) -> None:
    """Talk of what to do, below what is the matter."""
    head = "  hint: "
    for line in visible_lines(hint):
        say_hanging(head, line)
        head = " " * len(head)


def emit(line: str) -> None:
    """Put one line of data on stdout."""
    with stdout_named():
        click.echo(line)


def emit_hanging(head: str, text: str, colour: str | None = None) -> None:
    """Put a visible text beside its head on stdout; a terminal wraps it, with its indent."""
    for line in hanging(head, text, terminal_width()):
        emit(click.style(line.rstrip(), fg=colour) if colour and line.strip() else line.rstrip())


def emit_json(value: Any) -> None:
    """Put one JSON value on stdout, as one line."""
    emit(json_text(value))


def emit_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, wrap: bool = True) -> None:
    """Put aligned columns on stdout, as wide as they are.

    On a terminal the last column is wrapped to what is left for it, or with `wrap=False`
    every line is cut.
    """
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(columns, *shown, strict=True)]
    for row, bold in ((columns, True), *((row, False) for row in shown)):
        for line in _lines(row, widths, wrap=wrap):
            emit(click.style(line, bold=True) if bold else line)


def emit_tab_separated(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    r"""Put tab-separated columns with a header on stdout; tab, newline and \ are escaped."""
    for row in (columns, *rows):
        emit("\t".join(visible(cell.replace("\\", "\\\\")) for cell in row))


def is_terminal() -> bool:
    """Tell whether a person looks at stdout."""
    return sys.stdout.isatty()


def terminal_width() -> int | None:
    """Return the terminal's present width in cells; None where stdout is none."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def _width_of_stderr() -> int | None:
    """Its own: stdout may be a pipe beside it."""
    if not sys.stderr.isatty():
        return None
    if os.environ.get("COLUMNS", "").isdecimal():  # as shutil.get_terminal_size() takes it
        return int(os.environ["COLUMNS"]) or None
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or None
    except OSError:
        return None


@contextlib.contextmanager
def stdout_named() -> Iterator[None]:
    """Let an OSError that is raised inside say that it concerns standard output."""
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise


def json_option(command: _Decorated) -> _Decorated:
    """Add `--json` to a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


def _lines(row: Sequence[str], widths: Sequence[int], *, wrap: bool) -> list[str]:
    *before, last = [padded(cell, width) for cell, width in zip(row, widths, strict=True)]
    head, text, width = "".join(cell + _GAP for cell in before), last.rstrip(), terminal_width()
    if wrap:
        return [line.rstrip() for line in hanging(head, text, width)]
    line = (head + text).rstrip()
    return [line if width is None else cut(line, width)]
