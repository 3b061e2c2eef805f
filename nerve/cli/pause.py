"""`nerve pause`: let a sense not run until it is resumed.

While nerve runs its parent alone writes logs.db, so this command refuses then. A paused
sense is loaded and migrated as always; its triggers are counted as `paused`. What
other senses signal meanwhile waits behind its cursor, and is taken up as its reflex says
(`missed`) when it runs again.
"""

import json
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import click

from nerve.cli.journal import has_table, open_journal
from nerve.cli.output import emit, emit_json, json_option
from nerve.cli.ownership import owned_journal
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import local_time, visible
from nerve.clock import SystemClock, rfc3339
from nerve.config import Loaded
from nerve.errors import NothingHasRun
from nerve.store.batch import Batch, LogEntry, Pause
from nerve.store.journal_reading import pauses

MAX_REASON_CHARS = 500


@click.command(
    epilog="\b\nExample:\n"
    '  nerve pause disk --reason "the array is rebuilt until Friday"\n'
    "  nerve resume disk                        lets it run again"
)
@click.argument("senses", nargs=-1, required=True, metavar="SENSE...")
@click.option("--reason", default="", help="Shown wherever somebody asks why it does not run.")
@json_option
@config_options
@click.pass_obj
def pause(settings: Settings, senses: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Let senses not run until they are resumed. Refuses while nerve runs."""
    loaded = settings.load()
    for sense in senses:
        require_sense(loaded, sense)
    reason = loaded.redactor.text(reason.strip()[:MAX_REASON_CHARS])
    for paused in _pause(loaded, list(dict.fromkeys(senses)), reason):
        if as_json:
            emit_json(as_object(paused))
        else:
            emit(f"{paused.sense} is paused; `nerve resume {paused.sense}` lets it run again")


def paused_in(loaded: Loaded) -> dict[str, Pause]:
    """Return the pauses by sense; none where nothing has run, or before there were any."""
    try:
        with open_journal(loaded) as reader:
            found = pauses(reader) if has_table(reader, "paused") else []
    except NothingHasRun:
        return {}
    return {pause.sense: pause for pause in found}


def as_object(pause: Pause | None) -> dict[str, object] | None:
    """Return it for `--json`; None for a sense that is not paused."""
    if pause is None:
        return None
    return {"sense": pause.sense, "since": rfc3339(pause.since_us), "reason": pause.reason}


def in_words(pause: Pause, zone: ZoneInfo) -> str:
    """Say since when, and why where somebody said that."""
    why = f": {visible(pause.reason)}" if pause.reason else ""
    return f"paused since {local_time(pause.since_us, zone)}{why}"


def _pause(loaded: Loaded, senses: Sequence[str], reason: str) -> list[Pause]:
    """Raises AlreadyRunning, NothingHasRun, StateError."""
    with open_journal(loaded):
        pass  # one that is not there is not made here
    command = f"nerve pause {' '.join(senses)}"
    with owned_journal(loaded, task="pause a sense", command=command) as journal:
        now_us = SystemClock().now_us()
        paused = [Pause(sense, now_us, reason) for sense in senses]
        entries = [_entry(one, now_us) for one in paused]
        journal.commit(Batch(list(entries), paused={one.sense: one for one in paused}))
    return paused


def _entry(paused: Pause, now_us: int) -> LogEntry:
    message = "paused by `nerve pause`" + (f": {paused.reason}" if paused.reason else "")
    text = json.dumps({"message": message}, ensure_ascii=False)
    return LogEntry(now_us, paused.sense, "sense.paused", "warning", None, text)
