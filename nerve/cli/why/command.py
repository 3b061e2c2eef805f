"""The command: asks about now, or with `--at` about a moment in the past."""

from zoneinfo import ZoneInfo

import click

from nerve.cli.journal import open_journal
from nerve.cli.moments import parse_moment
from nerve.cli.numbers import number_option
from nerve.cli.output import json_option, say_hanging
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.why import past, present
from nerve.cli.why.looks import look
from nerve.cli.wording import visible
from nerve.clock import SystemClock

DEFAULT_LAST = 5
MAX_LAST = 1_000


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve why disk                           its last run, and what comes next\n"
    "  nerve why disk --last 50                 more of what became of its triggers\n"
    '  nerve why disk --at "2026-11-26 03:15"   what it did then; also --at 03:15'
)
@click.argument("sense")
@number_option(
    "--last",
    1,
    MAX_LAST,
    default=DEFAULT_LAST,
    show_default=True,
    help="How many decisions to show; the same one again and again is one.",
)
@click.option("--at", "moment", metavar="TIME", help="Ask about a moment in the past.")
@json_option
@config_options
@click.pass_obj
def why(settings: Settings, sense: str, last: int, moment: str | None, as_json: bool) -> None:
    """Say why a sense ran, or did not, and what comes next."""
    loaded = settings.load()
    require_sense(loaded, sense)
    zone, now_us = ZoneInfo(loaded.config.timezone), SystemClock().now_us()
    at_us = _moment_us(moment, now_us, zone)
    with open_journal(loaded) as reader:
        if at_us is not None:
            then = past.look(loaded, reader, sense, last, at_us)
            emit_past = past.as_json if as_json else past.show
            emit_past(then, loaded.config.senses[sense], zone)
            return
        known = look(loaded, reader, sense, last, now_us)
        for fault in known.faults:
            say_hanging("nerve: ", f"{visible(str(fault))}; the journal alone was asked", "red")
        if as_json:
            present.as_json(known, loaded, zone)
        else:
            present.show(known, loaded, zone, settings.words())


def _moment_us(moment: str | None, now_us: int, zone: ZoneInfo) -> int | None:
    if moment is None:
        return None
    try:
        return parse_moment(moment, now_us=now_us, zone=zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error
