"""`nerve restart`: have the nerve that runs replace the workers of groups."""

import shlex

import click

from nerve.cli.asking import ask
from nerve.cli.output import emit_hanging, emit_json, json_option, say_hint
from nerve.cli.remote import connect
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import visible_lines
from nerve.errors import Exit
from nerve.wire.control import RestartRequest


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve restart host                       after a sense of it was changed\n"
    "  nerve restart web db                     also groups that were given up\n"
    "\nA compute that runs may come to its end, or to its hard deadline; what waits stays. "
    "Deaths of the group's workers are forgotten, quarantines are not: `nerve resume` ends those.\n"
    "\nExit codes: 0 all of them came up, 1 one did not or one of its senses is unavailable, "
    "69 no nerve runs."
)
@click.argument("groups", nargs=-1, required=True, metavar="GROUP...")
@json_option
@config_options
@click.pass_obj
def restart(settings: Settings, groups: tuple[str, ...], as_json: bool) -> Exit:
    """Replace the workers of groups: changed senses are loaded. Needs a running nerve."""
    located = settings.whereabouts()
    with connect(located) as remote:
        reply = ask(remote, RestartRequest(groups=groups))
    if as_json:
        emit_json({**reply.facts, "message": reply.message, "good": reply.is_good})
    else:
        for line in visible_lines(reply.message):
            emit_hanging("", line)
        if not reply.is_good:
            say_hint(f"`nerve status {shlex.join(groups)}` tells what is the matter")
    return Exit.OK if reply.is_good else Exit.FOUND
