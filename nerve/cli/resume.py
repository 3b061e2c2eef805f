"""`nerve resume`: end the pause of a sense, or its quarantine before its time.

While nerve runs it is asked to, and the sense may run at once; while none does, the command writes
logs.db in its place. The end and the row of the log that tells of it are one transaction.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import click

from nerve.cli.asking import ask, running
from nerve.cli.journal import open_journal
from nerve.cli.output import emit, emit_json, json_option, say, say_hanging, say_hint
from nerve.cli.ownership import asked_here, entry_of, owned_journal
from nerve.cli.pause import as_object, in_words, paused_in
from nerve.cli.quarantines import as_json as quarantine_as_json
from nerve.cli.quarantines import end_of, held_in
from nerve.cli.remote import Remote
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import visible
from nerve.clock import SystemClock
from nerve.config import ConfigFaults, Loaded
from nerve.config.targets import senses_of
from nerve.config.whereabouts import Located
from nerve.errors import Exit
from nerve.store.batch import Batch, Pause, Quarantine
from nerve.supervisor import holds
from nerve.wire.control import DoneReply, ResumeRequest


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve resume disk                        after it was mended\n"
    "  nerve resume web                         all senses of the group web\n"
    "\nWhere a sense and a group have one name, the sense is meant; group:NAME is the group.\n"
    "\nExit codes: 0 all of them are free, 1 one had none of these."
)
@click.argument("targets", nargs=-1, required=True, metavar="SENSE|GROUP...")
@json_option
@config_options
@click.pass_obj
def resume(settings: Settings, targets: tuple[str, ...], as_json: bool) -> Exit:
    """End the pause, the quarantine and the rest of senses.

    Where nerve runs they may run at once, else with its next start.
    """
    located = settings.whereabouts()
    if (remote := running(located)) is not None:
        with remote:
            request = ResumeRequest(targets=targets)
            return _ask(located, remote, request, _zone(settings), as_json=as_json)
    loaded = settings.load()
    senses = senses_of(loaded.config, targets)
    ended = _end(loaded, senses)
    for sense in senses:
        _show(sense, ended, ZoneInfo(loaded.config.timezone), as_json=as_json)
    return Exit.OK if ended.senses >= set(senses) else Exit.FOUND


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended, by sense."""

    quarantines: dict[str, Quarantine] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    rests: set[str] = field(default_factory=set)

    @property
    def senses(self) -> set[str]:
        """Those that are free now."""
        return self.quarantines.keys() | self.pauses.keys() | self.rests


def _zone(settings: Settings) -> ZoneInfo:
    """In which times are shown; UTC where nerve.yaml is at fault: one may ask all the same."""
    with contextlib.suppress(ConfigFaults):
        return ZoneInfo(settings.load().config.timezone)
    return ZoneInfo("UTC")


def _ask(
    located: Located, remote: Remote, request: ResumeRequest, zone: ZoneInfo, *, as_json: bool
) -> Exit:
    """Have the nerve that runs do it; what it ends stands in the journal before."""
    with open_journal(located) as reader:
        held = held_in(reader)
    paused = paused_in(located)
    reply = ask(remote, request)
    ended, told = Ended(), _told(reply)
    for one in told:
        sense, words = one["sense"], one["ended"]
        if "pause" in words and sense in paused:
            ended.pauses[sense] = paused[sense]
        if "quarantine" in words and sense in held:
            ended.quarantines[sense] = held[sense]
        if words and sense not in ended.senses:
            ended.rests.add(sense)
    for one in told:
        _show(one["sense"], ended, zone, as_json=as_json)
    if not reply.is_good and all(one["resumed"] for one in told):
        say_hanging("", visible(reply.message))
    return Exit.OK if reply.is_good else Exit.FOUND


def _told(reply: DoneReply) -> list[dict[str, Any]]:
    facts: dict[str, Any] = dict(reply.facts)
    return list(facts["senses"])


def _end(loaded: Loaded, senses: Collection[str]) -> Ended:
    """End what holds `senses`; return it. Raises NothingHasRun, AlreadyRunning, StateError."""
    with open_journal(loaded) as reader:
        held = held_in(reader)
    asked = sorted((held.keys() | paused_in(loaded).keys()) & set(senses))
    if not asked:  # then nobody has to be asked for the lock
        return Ended()
    with owned_journal(loaded) as journal:
        ended = Ended(
            {held.sense: held for held in journal.quarantines() if held.sense in asked},
            {pause.sense: pause for pause in journal.pauses() if pause.sense in asked},
        )
        by = asked_here("nerve resume")
        rows = [holds.lifted(held, by) for held in ended.quarantines.values()]
        rows += [holds.resumed(pause, by) for pause in ended.pauses.values()]
        entries = [entry_of(loaded, *row) for row in rows]
        over = (dict.fromkeys(ended.quarantines), dict.fromkeys(ended.pauses))
        journal.commit(Batch(list(entries), quarantines=over[0], paused=over[1]))
    return ended


def _show(sense: str, ended: Ended, zone: ZoneInfo, *, as_json: bool) -> None:
    now_us = SystemClock().now_us()
    lifted, pause = ended.quarantines.get(sense), ended.pauses.get(sense)
    if as_json:
        resumed = {"sense": sense, "resumed": sense in ended.senses}
        held = {"quarantine": quarantine_as_json(lifted, now_us)}
        emit_json({**resumed, **held, "pause": None if pause is None else as_object(pause)})
    elif pause is not None:
        emit(f"{sense} is free again; it was {in_words(pause, zone)}")
    if lifted is not None and not as_json:
        end = end_of(lifted, now_us, zone)
        was = end if end == "on trial" else f"in quarantine until {end}"
        emit(f"{sense} is free again; it was {was}: {visible(lifted.reason)}")
    if sense in ended.rests and not as_json:
        emit(f"{sense} is free again; it rested, as its worker had died over it")
    if sense not in ended.senses:
        say(f"{sense} is neither paused nor in quarantine")
        say_hint(f"`nerve why {sense}` says what holds it back")
