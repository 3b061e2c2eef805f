"""`nerve pause`: let a sense not run until it is resumed.

While nerve runs it is asked to; while none does, the command writes logs.db in its place. A paused
sense is loaded and migrated as always; its triggers are counted as `paused`. What
other senses signal meanwhile waits behind its cursor, and is taken up as its reflex says
(`missed`) when it is resumed.
"""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import click

from nerve.cli.asking import ask, running
from nerve.cli.journal import has_table, open_journal
from nerve.cli.output import emit, emit_json, json_option, say, say_hanging
from nerve.cli.ownership import asked_here, entry_of, owned_journal
from nerve.cli.remote import Remote
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import local_time, visible
from nerve.clock import SystemClock, rfc3339
from nerve.config import Loaded
from nerve.config.targets import senses_of
from nerve.config.whereabouts import Located
from nerve.errors import Exit, NothingHasRun
from nerve.store.batch import Batch, Pause
from nerve.store.journal_reading import pauses
from nerve.supervisor import holds
from nerve.wire.control import MAX_REASON_CHARS, PauseRequest


@click.command(
    epilog="\b\nExamples:\n"
    '  nerve pause disk --reason "the array is rebuilt until Friday"\n'
    "  nerve pause web                          all senses of the group web\n"
    "  nerve resume disk                        lets it run again\n"
    "\nWhere a sense and a group have one name, the sense is meant; group:NAME is the group. "
    "A compute that runs comes to its end. What waits, and what comes, is counted as `paused`; "
    "signals of others are taken up when the sense is resumed, as its reflex says (missed)."
)
@click.argument("targets", nargs=-1, required=True, metavar="SENSE|GROUP...")
@click.option("--reason", default="", help="Shown wherever somebody asks why it does not run.")
@json_option
@config_options
@click.pass_obj
def pause(settings: Settings, targets: tuple[str, ...], reason: str, as_json: bool) -> Exit:
    """Let senses not run until they are resumed, whether or not nerve runs."""
    reason = reason.strip()[:MAX_REASON_CHARS]
    if (remote := running(settings.whereabouts())) is not None:
        return _ask(remote, PauseRequest(targets=targets, reason=reason), as_json=as_json)
    loaded = settings.load()
    senses = senses_of(loaded.config, targets)
    for paused in _pause(loaded, senses, loaded.redactor.text(reason)):
        _show(as_object(paused), as_json=as_json)
    return Exit.OK


def _ask(remote: Remote, request: PauseRequest, *, as_json: bool) -> Exit:
    with remote:
        reply = ask(remote, request)
    facts: dict[str, Any] = dict(reply.facts)
    for paused in facts["senses"]:
        _show(paused, as_json=as_json)
    for sense in facts["running"]:
        say(f"{visible(sense)} runs now, and comes to its end")
    if not reply.is_good:
        say_hanging("", visible(reply.message))
    return Exit.OK if reply.is_good else Exit.FOUND


def _show(paused: dict[str, object], *, as_json: bool) -> None:
    sense = visible(str(paused["sense"]))
    if as_json:
        emit_json(paused)
    else:
        emit(f"{sense} is paused; `nerve resume {sense}` lets it run again")


def paused_in(located: Located) -> dict[str, Pause]:
    """Return the pauses by sense; none where nothing has run, or before there were any."""
    try:
        with open_journal(located) as reader:
            found = pauses(reader) if has_table(reader, "paused") else []
    except NothingHasRun:
        return {}
    return {pause.sense: pause for pause in found}


def as_object(pause: Pause) -> dict[str, object]:
    """Return it for `--json`."""
    return {"sense": pause.sense, "since": rfc3339(pause.since_us), "reason": pause.reason}


def in_words(pause: Pause, zone: ZoneInfo) -> str:
    """Say since when, and why where somebody said that."""
    why = f": {visible(pause.reason)}" if pause.reason else ""
    return f"paused since {local_time(pause.since_us, zone)}{why}"


def _pause(loaded: Loaded, senses: Sequence[str], reason: str) -> list[Pause]:
    """Raises AlreadyRunning, NothingHasRun, StateError."""
    with open_journal(loaded):
        pass  # one that is not there is not made here
    with owned_journal(loaded) as journal:
        now_us = SystemClock().now_us()
        paused = [Pause(sense, now_us, reason) for sense in senses]
        by = asked_here("nerve pause")
        entries = [entry_of(loaded, *holds.paused(one, by)) for one in paused]
        journal.commit(Batch(list(entries), paused={one.sense: one for one in paused}))
    return paused
