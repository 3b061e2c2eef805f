"""`nerve resume`: end the quarantine of a sense before its time.

While nerve runs its parent keeps the quarantines and alone writes logs.db, so this command
refuses then. While none runs it takes the state directory's lock, and is the one writer
itself; the end and the row of the log that tells of it are one transaction.
"""

import json
from collections.abc import Collection
from zoneinfo import ZoneInfo

import click

from nerve.cli.journal import open_journal, own_journal
from nerve.cli.output import emit, emit_json, json_option, say
from nerve.cli.quarantines import as_json as quarantine_as_json
from nerve.cli.quarantines import end_of, held_in
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import visible
from nerve.clock import SystemClock, rfc3339
from nerve.config import Loaded
from nerve.errors import Exit
from nerve.store.journal import Batch, LogEntry, Quarantine


@click.command(
    epilog="\b\nExample:\n  nerve resume disk                        after it was mended"
)
@click.argument("senses", nargs=-1, required=True, metavar="SENSE...")
@json_option
@config_options
@click.pass_obj
def resume(settings: Settings, senses: tuple[str, ...], as_json: bool) -> Exit:
    """End the quarantine of senses. Refuses while nerve runs.

    They run again with the next start of nerve. Exit 1 if one of them is in no quarantine.
    """
    loaded = settings.load()
    for sense in senses:
        require_sense(loaded, sense)
    lifted = _lift(loaded, senses)
    for sense in dict.fromkeys(senses):
        _show(loaded, sense, lifted.get(sense), as_json=as_json)
    return Exit.OK if lifted.keys() >= set(senses) else Exit.FOUND


def _lift(loaded: Loaded, senses: Collection[str]) -> dict[str, Quarantine]:
    """End what is held of `senses`; return it. Raises NothingHasRun, AlreadyRunning, StateError."""
    with open_journal(loaded) as reader:
        asked = [sense for sense in held_in(reader) if sense in senses]
    if not asked:  # then nobody has to be asked for the lock
        return {}
    hint = (
        "a running nerve cannot be told to resume a sense: stop it, "
        f"`nerve resume {' '.join(asked)}`, start it again"
    )
    with own_journal(loaded, hint) as journal:
        found = {held.sense: held for held in journal.quarantines() if held.sense in asked}
        entries = [_entry(loaded, held) for held in found.values()]
        journal.commit(Batch(list(entries), quarantines=dict.fromkeys(found)))
    return found


def _entry(loaded: Loaded, held: Quarantine) -> LogEntry:
    until = rfc3339(held.until_us)
    message = f"its quarantine until {until} was ended by `nerve resume`"
    payload = {"message": message, "until": until, "times": held.times, "reason": held.reason}
    text = json.dumps(loaded.redactor.json(payload), ensure_ascii=False)
    return LogEntry(SystemClock().now_us(), held.sense, "quarantine.lifted", "info", None, text)


def _show(loaded: Loaded, sense: str, lifted: Quarantine | None, *, as_json: bool) -> None:
    now_us = SystemClock().now_us()
    if as_json:
        resumed = {"sense": sense, "resumed": lifted is not None}
        emit_json({**resumed, "quarantine": quarantine_as_json(lifted, now_us)})
    elif lifted is not None:
        end = end_of(lifted, now_us, ZoneInfo(loaded.config.timezone))
        was = end if end == "on trial" else f"in quarantine until {end}"
        emit(f"{sense} is free again; it was {was}: {visible(lifted.reason)}")
    if lifted is None:
        say(f"{sense} is not in quarantine")
