"""`nerve trigger`: have the nerve that runs run a sense now.

The trigger goes through the flow control of the sense as every other does, so it may have to wait,
and may join one that waits already. With `--wait` the command tells what came of the compute.
"""

import json
import sys
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from nerve.cli.asking import ask
from nerve.cli.output import emit_hanging, emit_json, json_option, say, say_hint
from nerve.cli.remote import connect
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import json_text, local_times, visible, visible_lines
from nerve.errors import ConfigurationInvalid, Exit, NerveError
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
    "\nThrottle, rest, quarantine and pause hold for it as for every other trigger; while the "
    "sense runs or waits it joins the one that waits, with all payloads. Should nerve be killed "
    "before it has run, it is lost. Ctrl-C ends the waiting, and not the compute.\n"
    "\nExit codes: 0 it was taken, and with --wait it ended with a signal or none, 1 it was not "
    "taken, or failed, 69 no nerve runs."
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
            request = TriggerRequest(sense=sense, payload=value, wait=wait)
            reply = ask(remote, request, lambda told: _standing(settings, told, wait=wait))
        except KeyboardInterrupt:
            say("no longer waited for; what was asked for goes on")
            raise
    if as_json:
        emit_json({**reply.facts, "message": reply.message, "good": reply.is_good})
    else:
        _show(settings, reply)
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


def _standing(settings: Settings, told: str, *, wait: bool) -> str:
    """Say what it waits for, and where that may be long, how not to."""
    local = _in_our_times(settings, told)
    return f"{local}; Ctrl-C ends the waiting alone" if wait and local != told else local


def _in_our_times(settings: Settings, told: str) -> str:
    """Write times in the zone of nerve.yaml, which is read for that alone; it may be at fault."""
    if local_times(told, UTC) == told:
        return told
    try:
        return local_times(told, ZoneInfo(settings.load().config.timezone))
    except ConfigurationInvalid:
        return told


def _show(settings: Settings, reply: DoneReply) -> None:
    payload = reply.facts.get("payload")
    shown = "" if payload is None else f" {json_text(payload)}"
    message = reply.message if "outcome" in reply.facts else _in_our_times(settings, reply.message)
    emit_hanging("", visible(message) + shown)
    fault = reply.facts.get("fault")
    if isinstance(fault, dict):
        if traceback := str(fault.get("traceback", "")).rstrip():
            for line in visible_lines(traceback):
                emit_hanging("  ", line)
        if hint := fault.get("hint"):
            say_hint(str(hint))
