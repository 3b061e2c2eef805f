"""`nerve resume`: end the pause of a sense, or its quarantine before its time.

While nerve runs its parent keeps the quarantines and alone writes logs.db, so this command
refuses then. The end and the row of the log that tells of it are one transaction.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import click

from nerve.cli.journal import open_journal
from nerve.cli.output import emit, emit_json, json_option, say
from nerve.cli.ownership import owned_journal
from nerve.cli.pause import as_object, in_words, paused_in
from nerve.cli.quarantines import as_json as quarantine_as_json
from nerve.cli.quarantines import end_of, held_in
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import visible
from nerve.clock import SystemClock, rfc3339
from nerve.config import Loaded
from nerve.errors import Exit
from nerve.store.batch import Batch, LogEntry, Pause, Quarantine


@click.command(
    epilog="\b\nExample:\n  nerve resume disk                        after it was mended"
)
@click.argument("senses", nargs=-1, required=True, metavar="SENSE...")
@json_option
@config_options
@click.pass_obj
def resume(settings: Settings, senses: tuple[str, ...], as_json: bool) -> Exit:
    """End the pause or the quarantine of senses. Refuses while nerve runs.

    They run again with the next start of nerve. Exit 1 if one of them has neither.
    """
    loaded = settings.load()
    for sense in senses:
        require_sense(loaded, sense)
    ended = _end(loaded, senses)
    for sense in dict.fromkeys(senses):
        _show(loaded, sense, ended, as_json=as_json)
    return Exit.OK if ended.senses >= set(senses) else Exit.FOUND


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended, by sense."""

    quarantines: dict[str, Quarantine] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)

    @property
    def senses(self) -> set[str]:
        """Those that are free now."""
        return self.quarantines.keys() | self.pauses.keys()


def _end(loaded: Loaded, senses: Collection[str]) -> Ended:
    """End what holds `senses`; return it. Raises NothingHasRun, AlreadyRunning, StateError."""
    with open_journal(loaded) as reader:
        held = held_in(reader)
    asked = sorted((held.keys() | paused_in(loaded).keys()) & set(senses))
    if not asked:  # then nobody has to be asked for the lock
        return Ended()
    command = f"nerve resume {' '.join(asked)}"
    with owned_journal(loaded, task="resume a sense", command=command) as journal:
        ended = Ended(
            {held.sense: held for held in journal.quarantines() if held.sense in asked},
            {pause.sense: pause for pause in journal.pauses() if pause.sense in asked},
        )
        entries = [_entry(loaded, held) for held in ended.quarantines.values()]
        entries += [_pause_entry(pause) for pause in ended.pauses.values()]
        over = (dict.fromkeys(ended.quarantines), dict.fromkeys(ended.pauses))
        journal.commit(Batch(list(entries), quarantines=over[0], paused=over[1]))
    return ended


def _pause_entry(pause: Pause) -> LogEntry:
    message = f"its pause since {rfc3339(pause.since_us)} was ended by `nerve resume`"
    text = json.dumps({"message": message, "reason": pause.reason}, ensure_ascii=False)
    return LogEntry(SystemClock().now_us(), pause.sense, "sense.resumed", "info", None, text)


def _entry(loaded: Loaded, held: Quarantine) -> LogEntry:
    until = rfc3339(held.until_us)
    message = f"its quarantine until {until} was ended by `nerve resume`"
    payload = {"message": message, "until": until, "times": held.times, "reason": held.reason}
    text = json.dumps(loaded.redactor.json(payload), ensure_ascii=False)
    return LogEntry(SystemClock().now_us(), held.sense, "quarantine.lifted", "info", None, text)


def _show(loaded: Loaded, sense: str, ended: Ended, *, as_json: bool) -> None:
    now_us = SystemClock().now_us()
    lifted, pause = ended.quarantines.get(sense), ended.pauses.get(sense)
    if as_json:
        resumed = {"sense": sense, "resumed": sense in ended.senses}
        held = {"quarantine": quarantine_as_json(lifted, now_us), "pause": as_object(pause)}
        emit_json({**resumed, **held})
    elif pause is not None:
        emit(f"{sense} is free again; it was {in_words(pause, ZoneInfo(loaded.config.timezone))}")
    if lifted is not None and not as_json:
        end = end_of(lifted, now_us, ZoneInfo(loaded.config.timezone))
        was = end if end == "on trial" else f"in quarantine until {end}"
        emit(f"{sense} is free again; it was {was}: {visible(lifted.reason)}")
    if sense not in ended.senses:
        say(f"{sense} is neither paused nor in quarantine")
