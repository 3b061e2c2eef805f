"""What commands print: data to stdout, talk to stderr.

Colours are click's: it leaves them out where the stream is no terminal, and the
program tells it to where NO_COLOR is set.
"""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from nerve.cli.wording import cells, cut, json_text, padded, visible

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_GAP = "  "


def say(text: str) -> None:
    """Talk to the person, on stderr; nobody listening is no error."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def emit(line: str) -> None:
    """Put one line of data on stdout."""
    click.echo(line)


def emit_json(value: Any) -> None:
    """Put one JSON value on stdout, as one line."""
    click.echo(json_text(value))


def emit_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Put aligned columns on stdout; on a terminal they are cut to its width."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(columns, *shown, strict=True)]
    emit(click.style(_line(columns, widths), bold=True))
    for row in shown:
        emit(_line(row, widths))


def emit_tab_separated(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    r"""Put tab-separated columns with a header on stdout; tab, newline and \ are escaped."""
    for row in (columns, *rows):
        emit("\t".join(visible(cell.replace("\\", "\\\\")) for cell in row))


def is_terminal() -> bool:
    """Tell whether a person looks at stdout."""
    return sys.stdout.isatty()


def json_option(command: _Decorated) -> _Decorated:
    """Add `--json` to a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


def _line(cells_of_row: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(cells_of_row, widths, strict=True)
    line = _GAP.join(padded(cell, width) for cell, width in pairs).rstrip()
    return cut(line, shutil.get_terminal_size().columns) if is_terminal() else line
