"""`nerve trigger`: have the nerve that runs run a sense now.

The trigger goes through the flow control of the sense as every other does, so it may have to wait,
and may join one that waits already. With `--wait` the command tells what came of the compute.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from nerve.cli.asking import ask
from nerve.cli.output import emit, emit_json, json_option, say
from nerve.cli.remote import connect
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import json_text, visible, visible_lines
from nerve.errors import Exit, NerveError
from nerve.wire.control import MAX_REQUEST_BYTES, DoneReply, TriggerRequest


class BadPayload(NerveError):
    """What `--payload` gives is no JSON value that a sense can be handed."""

    exit_code = Exit.USAGE


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve trigger disk                       ask for a run, and do not wait\n"
    "  nerve trigger disk --wait                and tell what came of it\n"
    '  nerve trigger deploy --wait --payload \'{"version": "1.4"}\'\n'
    "  nerve trigger deploy --payload @request.json\n"
    "\b\nThrottle, rest, quarantine and pause hold for it as for every other trigger; while the\n"
    "sense runs or waits it joins the one that waits, with all payloads. Should nerve be killed\n"
    "before it has run, it is lost. With --wait: exit 0 after a signal or none, else 1; Ctrl-C\n"
    "ends the waiting, and not the compute."
)
@click.argument("sense")
@click.option(
    "--payload",
    metavar="JSON|@FILE|-",
    help="A JSON value for ctx.trigger.payloads; @FILE reads a file, - standard input.",
)
@click.option("--wait", is_flag=True, help="Wait for the outcome, and tell it.")
@json_option
@config_options
@click.pass_obj
def trigger(settings: Settings, sense: str, payload: str | None, wait: bool, as_json: bool) -> Exit:
    """Run a sense now, as far as its flow control lets it. Needs a running nerve."""
    located = settings.whereabouts()
    value = None if payload is None else payload_of(payload)
    with connect(located) as remote:
        try:
            reply = ask(remote, TriggerRequest(sense=sense, payload=value, wait=wait))
        except KeyboardInterrupt:
            say("no longer waited for; what was asked for goes on")
            raise
    if as_json:
        emit_json({**reply.facts, "message": reply.message, "good": reply.is_good})
    else:
        _show(reply)
    return Exit.OK if reply.is_good else Exit.FOUND


def payload_of(payload: str) -> Any:
    """Read what is to be given, as text, @FILE or -; raises BadPayload."""
    try:
        value = json.loads(_text(payload))
    except (ValueError, RecursionError) as error:
        hint = "a string is given with its quotation marks: --payload '\"text\"'"
        raise BadPayload(f"the payload is no JSON: {error}", hint=hint) from error
    if value is None:
        raise BadPayload("null is no payload", hint="leave --payload out to give none")
    return value


def _text(payload: str) -> str:
    if payload == "-":
        return _limited(sys.stdin.buffer.read(MAX_REQUEST_BYTES + 1))
    if payload.startswith("@"):
        with Path(payload[1:]).open("rb") as file:
            return _limited(file.read(MAX_REQUEST_BYTES + 1))
    return payload


def _limited(content: bytes) -> str:
    if len(content) > MAX_REQUEST_BYTES:
        hint = "give the path of a file that the sense reads"
        raise BadPayload(f"the payload is over {MAX_REQUEST_BYTES:,} bytes", hint=hint)
    return content.decode()


def _show(reply: DoneReply) -> None:
    payload = reply.facts.get("payload")
    shown = "" if payload is None else f" {json_text(payload)}"
    emit(visible(reply.message) + shown)
    fault = reply.facts.get("fault")
    if isinstance(fault, dict):
        if traceback := str(fault.get("traceback", "")).rstrip():
            for line in visible_lines(traceback):
                emit(f"  {line}")
        if hint := fault.get("hint"):
            say(f"  hint: {visible(str(hint))}")
