"""The command: draws again and again and listens to keys, or prints one table."""

import time
from collections import deque
from contextlib import suppress

import click

from nerve.cli.boundary import explain
from nerve.cli.canvas import Canvas
from nerve.cli.output import emit, emit_json, is_terminal, json_option
from nerve.cli.settings import Settings, config_options
from nerve.cli.sheet import Sheet, coloured, plain
from nerve.cli.status.picture import look
from nerve.cli.top.sample import Sample, sample
from nerve.cli.top.tables import ALL_KEYS, DEFAULT_KEY, KEYS, lines_of, objects_of
from nerve.cli.wording import visible_lines, wrapped
from nerve.config.whereabouts import Located
from nerve.errors import Exit, NerveError

EVERY_S = 3.0
"""Longer than what makes two looks comparable."""
WINDOW = 4
"""Looks back, so that a sense that runs every few seconds is not now twice as busy and now idle."""
SNAPSHOT_S = 1.0
"""Between the two looks of which one table is made."""
PIPE_CELLS, PIPE_LINES = 120, 60


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve top                                until q\n"
    "  nerve top | cat                          one table\n"
    "\nKeys: b busy, m memory, r runs, t how long it took, l late, f failures, n name; "
    "q or Ctrl-C ends it. Without a terminal it prints one table.\n"
)
@json_option
@config_options
@click.pass_context
def top(context: click.Context, as_json: bool) -> Exit:
    """Show what costs most, live: CPU and memory of groups, computes of senses."""
    settings: Settings = context.obj
    located = settings.whereabouts()
    if as_json or not is_terminal():
        return _once(settings, located, as_json=as_json)
    with suppress(KeyboardInterrupt):
        _live(settings, located, colour=context.color is not False)
    return Exit.OK


def _once(settings: Settings, located: Located, *, as_json: bool) -> Exit:
    before = sample(look(settings, located, ()))
    if before.picture.absence is not None:
        explain(before.picture.absence)
        return Exit.NOTHING_RUNNING
    time.sleep(SNAPSHOT_S)
    now = sample(look(settings, located, ()))
    if as_json:
        for said in objects_of(before, now):
            emit_json(said)
    else:
        for line in lines_of(before, now, DEFAULT_KEY, Sheet(PIPE_CELLS, PIPE_LINES, plain)):
            emit(line)
    return Exit.OK


def _live(settings: Settings, located: Located, *, colour: bool) -> None:
    key, earlier = DEFAULT_KEY, deque[Sample](maxlen=WINDOW)
    now, fault = _sampled(settings, located)
    due = time.monotonic() + SNAPSHOT_S  # soon, as the first has nothing to be compared with
    with Canvas() as canvas:
        while True:
            sheet = Sheet(canvas.width, canvas.height, coloured if colour else plain)
            if now is None:
                canvas.draw(_told(fault, sheet))
            else:
                before = earlier[0] if earlier else None
                canvas.draw(lines_of(before, now, key, sheet, KEYS))
            pressed = canvas.wait(due - time.monotonic())
            if pressed == "q":
                return
            key = pressed if pressed in ALL_KEYS else key
            if time.monotonic() >= due:
                earlier.extend([now] if now is not None else ())
                due = time.monotonic() + EVERY_S
                now, fault = _sampled(settings, located)


def _sampled(settings: Settings, located: Located) -> tuple[Sample | None, NerveError | None]:
    """Look at all; what goes wrong is shown, and over perhaps at the next look."""
    try:
        return sample(look(settings, located, ())), None
    except NerveError as error:
        return None, error


def _told(fault: NerveError | None, sheet: Sheet) -> list[str]:
    if fault is None:
        return []
    said = [*visible_lines(str(fault)), *visible_lines(fault.hint)]
    return [line for text in said for line in wrapped(text, sheet.width)]
