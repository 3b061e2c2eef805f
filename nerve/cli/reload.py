"""`nerve reload`: a nerve that runs goes on with what nerve.yaml says now.

The nerve that runs reads and checks the file, so this command works with one that is at fault, and
shows what is wrong with it. All that it needs itself is the state directory.
"""

import click

from nerve.cli.output import emit, emit_json, json_option, say_hanging, say_hint
from nerve.cli.remote import connect
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import visible, visible_lines
from nerve.errors import Exit
from nerve.wire.control import DoneReply, ProgressReply, ReloadRequest


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve reload                             after nerve.yaml or a sense changed\n"
    "  nerve reload --check                     what would be done, or is wrong\n"
    "  nerve reload --json | jq .groups         for another program\n"
    "\nExit codes: 0 all of it is done, 1 a sense did not come up again, 69 no nerve runs, 78 the "
    "configuration is at fault and the old one runs on."
)
@click.option("--check", is_flag=True, help="Only say what would be done, or what is wrong.")
@json_option
@config_options
@click.pass_obj
def reload(settings: Settings, check: bool, as_json: bool) -> Exit:
    """Have the nerve that runs read its configuration again.

    Everything is checked first, and on any error the old configuration runs on. Only what has
    changed is restarted: reflexes, timers and throttles change at once, other settings of a sense
    and changed code replace the worker of its group. `kill -HUP` does the same.
    """
    with connect(settings.whereabouts()) as remote:
        reply = remote.ask(ReloadRequest(check=check), told=_tell)
    assert isinstance(reply, DoneReply)  # noqa: S101  a status is no answer to this
    if as_json:
        emit_json({"message": reply.message, **reply.facts})
    else:
        for line in visible_lines(reply.message):
            emit(line)
        if not reply.is_good:
            say_hint("`nerve status` tells what is the matter, and what to type")
    return Exit.OK if reply.is_good else Exit.FOUND


def _tell(progress: ProgressReply) -> None:
    say_hanging("", visible(progress.message))
