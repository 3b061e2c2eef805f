"""Which senses are in quarantine, and until when, from the journal. Read-only.

A row stays after its time: the sense is then *on trial*, tried once at its next cause, and free
when that ends in whatever way. A journal that an older nerve has written has no such rows.
"""

import sqlite3
from zoneinfo import ZoneInfo

from nerve.cli.journal import has_table, open_journal
from nerve.cli.wording import local_time
from nerve.clock import rfc3339
from nerve.config import Loaded
from nerve.errors import NothingHasRun
from nerve.store.batch import Quarantine
from nerve.store.journal_reading import quarantines


def held(loaded: Loaded) -> dict[str, Quarantine]:
    """Return the quarantines by sense, those on trial included; none where nothing has run."""
    try:
        with open_journal(loaded) as reader:
            return held_in(reader)
    except NothingHasRun:
        return {}


def held_in(reader: sqlite3.Connection) -> dict[str, Quarantine]:
    """Return the quarantines that an open journal has."""
    stored = quarantines(reader) if has_table(reader, "quarantine") else []
    return {found.sense: found for found in stored}


def is_on_trial(quarantine: Quarantine, now_us: int) -> bool:
    """Whether its time is over; it is not forgotten before the sense has run."""
    return quarantine.until_us <= now_us


def end_of(quarantine: Quarantine, now_us: int, zone: ZoneInfo) -> str:
    """Say when it ends: a date and time of a zone, or `on trial`."""
    on_trial = is_on_trial(quarantine, now_us)
    return "on trial" if on_trial else local_time(quarantine.until_us, zone)


def as_json(quarantine: Quarantine | None, now_us: int) -> dict[str, object] | None:
    """Return it for `--json`; None for a sense that is free."""
    if quarantine is None:
        return None
    return {
        "state": "on_trial" if is_on_trial(quarantine, now_us) else "quarantined",
        "since": rfc3339(quarantine.since_us),
        "until": rfc3339(quarantine.until_us),
        "times": quarantine.times,
        "reason": quarantine.reason,
    }
