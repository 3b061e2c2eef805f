"""The command: looks once, or again and again, and ends with its exit code."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import click

from nerve.cli.boundary import explain
from nerve.cli.output import emit, emit_json, is_terminal, json_option
from nerve.cli.settings import Settings, config_options
from nerve.cli.sheet import Sheet, coloured, plain
from nerve.cli.status.needs import needs_of
from nerve.cli.status.objects import objects
from nerve.cli.status.picture import Picture, look
from nerve.cli.status.screen import SHOW_ALL, screen
from nerve.cli.wording import visible_lines, wrapped
from nerve.errors import Exit, NerveError

DEFAULT_WATCH_S = 2.0
MIN_WATCH_S, MAX_WATCH_S = 0.2, 3_600.0
PIPE_CELLS, PIPE_LINES = 120, 60
"""Of a screen where stdout is no terminal."""
PROMPT_LINES = 2
"""Left for the shell's prompt, so that the first line stays in sight."""


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Take how often to look; a name that stands in its place is told where it belongs."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError as error:
        told = f"{value!r} is no number of seconds; names stand before --watch"
        raise click.BadParameter(told, context, parameter) from error
    return min(max(seconds, MIN_WATCH_S), MAX_WATCH_S)


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve status                   how everything is, what needs you first\n"
    "  nerve status web disk          a group with its senses, and a sense\n"
    "  nerve status --watch           the same again and again, until Ctrl-C\n"
    "  nerve status --json            for a program: one object for each thing\n"
    "\nExit codes: 0 it runs and all is well, 1 it runs and something needs you, "
    "69 it does not run."
)
@click.argument("targets", nargs=-1, metavar="[SENSE|GROUP]...")
@click.option(
    "--watch",
    callback=_seconds,
    is_flag=False,
    flag_value=str(DEFAULT_WATCH_S),
    metavar="[SECONDS]",
    help=f"Look again every so often, {DEFAULT_WATCH_S:g} seconds by default, until Ctrl-C.",
)
@click.option("--all", "show_all", is_flag=True, help="All groups and senses, however many.")
@json_option
@config_options
@click.pass_context
def status(
    context: click.Context,
    targets: tuple[str, ...],
    watch: float | None,
    show_all: bool,
    as_json: bool,
) -> Exit:
    """Show how everything is, and what needs you, with nerve running or not."""
    settings: Settings = context.obj
    located = settings.whereabouts()

    def find() -> Picture:
        return look(settings, located, targets)

    if watch is None:
        return _once(find(), as_json=as_json, show_all=show_all)
    with suppress(KeyboardInterrupt):
        if as_json or not is_terminal():
            _again(find, watch, as_json=as_json, show_all=show_all)
        _live(find, watch, show_all=show_all, colour=context.color is not False)
    return Exit.OK


def _once(picture: Picture, *, as_json: bool, show_all: bool) -> Exit:
    needs = needs_of(picture)
    if as_json:
        for said in objects(picture, needs):
            emit_json(said)
    else:
        size = shutil.get_terminal_size() if is_terminal() else None
        width, height = (
            (size.columns, size.lines - PROMPT_LINES) if size else (PIPE_CELLS, PIPE_LINES)
        )
        sheet = Sheet(width, None if show_all else height, coloured)
        for line in screen(picture, needs, sheet):
            emit(line)
    if picture.absence is not None:
        explain(picture.absence)
        return Exit.NOTHING_RUNNING
    return Exit.FOUND if needs else Exit.OK


def _again(find: Callable[[], Picture], seconds: float, *, as_json: bool, show_all: bool) -> None:
    """Print a block each time; what goes wrong is said, and looked at again."""
    while True:
        try:
            _once(find(), as_json=as_json, show_all=show_all)
        except NerveError as error:
            explain(error)
        if not as_json:
            emit("")
        time.sleep(seconds)


def _live(find: Callable[[], Picture], seconds: float, *, show_all: bool, colour: bool) -> None:
    """Draw it in place, until Ctrl-C or q."""
    # Here, because only this needs the terminal's modes.
    from nerve.cli.canvas import Canvas

    paint = coloured if colour else plain
    with Canvas() as canvas:
        picture: Picture | NerveError = _found(find)
        due = time.monotonic() + seconds
        while True:
            height = None if show_all else canvas.height
            canvas.draw(_lines(picture, Sheet(canvas.width, height, paint)))
            if canvas.wait(due - time.monotonic()) == "q":
                return
            if time.monotonic() >= due:
                picture, due = _found(find), time.monotonic() + seconds


def _found(find: Callable[[], Picture]) -> Picture | NerveError:
    try:
        return find()
    except NerveError as error:  # shown, and over perhaps at the next look
        return error


def _lines(found: Picture | NerveError, sheet: Sheet) -> list[str]:
    if not isinstance(found, Picture):
        return sheet.fitted(_words(found, sheet), SHOW_ALL)
    below = ["", *_words(found.absence, sheet)] if found.absence is not None else []
    height = None if sheet.height is None else max(1, sheet.height - len(below))
    lines = [*screen(found, needs_of(found), replace(sheet, height=height)), *below]
    return sheet.fitted(lines, SHOW_ALL)


def _words(error: NerveError, sheet: Sheet) -> list[str]:
    said = [*visible_lines(str(error)), *visible_lines(error.hint)]
    return [line for text in said for line in wrapped(text, sheet.width)]
