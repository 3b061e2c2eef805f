"""What logs.db tells of trouble that lasts: groups given up, quarantines, pauses, storage, time."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from nerve.cli.doctor.finding import Finding, note, sound, warning
from nerve.cli.doctor.finding import error as failing
from nerve.cli.doctor.holding import zone_of
from nerve.cli.doctor.patient import Patient
from nerve.cli.entries import Damaged, Entry, of_table
from nerve.cli.journal import has_table
from nerve.cli.pause import in_words
from nerve.cli.quarantines import end_of, held_in, is_on_trial
from nerve.cli.wording import counted, local_time, sentence
from nerve.clock import US_PER_S
from nerve.config.durations import format_duration
from nerve.errors import ConfigurationInvalid
from nerve.store.batch import Pause, Quarantine
from nerve.store.journal_reading import newest_id, pauses

Held = TypeVar("Held", Quarantine, Pause)

MAX_ROWS = 1_000
"""Of one type, the newest."""
CRASHES_US = 86_400 * US_PER_S
"""In which runs that ended without a word are counted."""
MAX_CRASHES = 1
"""More of them in that time are a pattern."""
AHEAD_US = 5 * US_PER_S
"""So far the newest entry may lie after the clock, which time services move a little."""


def look_at_log(patient: Patient) -> Iterator[Finding]:
    """Look for what the log says is still wrong."""
    is_held, zone = patient.holder is not None, zone_of(patient)
    failed = {name for name, described in patient.described.items() if described.fault}
    with patient.reading(patient.state.journal_path) as reader:
        started = _newest(reader, "nerve.started")
        found = [
            *_unavailable_findings(reader, failed, started, is_held=is_held),
            *group_findings(_given_up(reader, started), zone, is_held=is_held),
            *_storage_findings(reader, zone),
            *crash_findings(_rows(reader, "nerve.crashed", 0), patient.now_us),
            *_time_findings(reader, zone, patient),
            *quarantine_findings(
                _configured(patient, held_in(reader).values()), patient.now_us, zone
            ),
        ]
        if has_table(reader, "paused"):
            found += pause_findings(_configured(patient, pauses(reader)), zone)
    yield from found
    if not found:
        yield sound("no trouble that lasts")


def group_findings(rows: Iterable[Entry], zone: ZoneInfo, *, is_held: bool) -> Iterator[Finding]:
    """Say which groups were given up in the present or the last run."""
    for row in rows:
        when, told = local_time(row.at_us, zone), sentence(row.payload)
        hint = _hint(row.payload)
        if is_held:
            fact = f"group {row.source} was given up at {when}: {told}"
            yield failing(fact, why="its senses do not run", hint=hint)
        else:
            fact = f"group {row.source} was given up in the last run, at {when}: {told}"
            yield warning(fact, why="the next start tries it again", hint=hint)


def crash_findings(rows: Iterable[Entry], now_us: int) -> Iterator[Finding]:
    """Say how many runs were killed lately."""
    lately = [row for row in rows if row.at_us > now_us - CRASHES_US]
    if len(lately) > MAX_CRASHES:
        yield warning(
            f"{counted(len(lately), 'run')} ended without a word within a day",
            why="something kills nerve, or the machine goes down",
            hint="look into the kernel's log for its out-of-memory killer, and at who stops it",
        )


def quarantine_findings(
    held: Iterable[Quarantine], now_us: int, zone: ZoneInfo
) -> Iterator[Finding]:
    """Say which senses are in quarantine or on trial."""
    for one in held:
        if is_on_trial(one, now_us):
            yield note(f"{one.sense} is on trial after a quarantine: {one.reason}")
        else:
            end = end_of(one, now_us, zone)
            yield warning(
                f"{one.sense} is in quarantine until {end}: {one.reason}",
                why="it does not run until then",
                hint=f"mend it; to end it earlier: nerve resume {one.sense}",
            )


def pause_findings(paused: Iterable[Pause], zone: ZoneInfo) -> Iterator[Finding]:
    """Say which senses somebody has paused."""
    for one in paused:
        yield note(f"{one.sense} is {in_words(one, zone)}", hint=f"nerve resume {one.sense}")


def time_findings(newest_us: int, now_us: int, zone: ZoneInfo) -> Iterator[Finding]:
    """Say when the clock lies before what was recorded last."""
    ahead_us = newest_us - now_us
    if ahead_us <= AHEAD_US:
        return
    ahead = format_duration(ahead_us // US_PER_S * 1_000)
    yield warning(
        f"the clock lies {ahead} before the newest entry of logs.db, {local_time(newest_us, zone)}",
        why="it was set back, or ran ahead then: cron, the times in the log and what counts as old "
        "go by it",
        hint="set the clock right, and have a time service keep it",
    )


def _configured(patient: Patient, found: Iterable[Held]) -> Iterator[Held]:
    """Leave out senses that are not configured any more; none where that cannot be told."""
    try:
        senses = patient.loaded.config.senses
    except ConfigurationInvalid:
        yield from found
    else:
        yield from (one for one in found if one.sense in senses)


def _unavailable_findings(
    reader: sqlite3.Connection, failed: set[str], started: int, *, is_held: bool
) -> Iterator[Finding]:
    """Say which senses were unavailable in this run, have not run since, and can be loaded now."""
    if not is_held:  # then the next start tries them, and what loading says is news enough
        return
    outcomes = dict(reader.execute("SELECT sense, max(last_at_us) FROM outcomes GROUP BY sense"))
    for row in _latest_each(_rows(reader, "sense.unavailable", started)):
        if row.source in failed or outcomes.get(row.source, 0) > row.at_us:
            continue
        yield failing(
            f"{row.source} is unavailable in the running nerve: {sentence(row.payload)}",
            hint=_hint(row.payload) or "mend it, and restart nerve",
        )


def _given_up(reader: sqlite3.Connection, started: int) -> list[Entry]:
    """Return the last word on each group that was given up in this run, and has no worker since."""
    ready = {row.source: row.id for row in _latest_each(_rows(reader, "worker.ready", started))}
    rows = _latest_each(_rows(reader, "group.fatal", started))
    return [row for row in rows if row.id > ready.get(row.source, 0)]


def _storage_findings(reader: sqlite3.Connection, zone: ZoneInfo) -> Iterator[Finding]:
    recovered = _newest(reader, "storage.recovered")
    for row in _rows(reader, "storage.trouble", recovered)[:1]:
        when = local_time(row.at_us, zone)
        fact = f"since {when} logs.db could not be written: {sentence(row.payload)}"
        yield failing(fact, hint=_hint(row.payload))


def _time_findings(
    reader: sqlite3.Connection, zone: ZoneInfo, patient: Patient
) -> Iterator[Finding]:
    newest = reader.execute(
        "SELECT at_us FROM timeline WHERE id = ?", (newest_id(reader),)
    ).fetchone()
    if newest is not None:
        yield from time_findings(newest[0], patient.now_us, zone)


def latest_row(reader: sqlite3.Connection, type_: str) -> Entry | None:
    """Return the newest row of a type that can be read."""
    return next(iter(_rows(reader, type_, 0)), None)


def _newest(reader: sqlite3.Connection, type_: str) -> int:
    (found,) = reader.execute("SELECT max(id) FROM logs WHERE type = ?", (type_,)).fetchone()
    return int(found or 0)


def _rows(reader: sqlite3.Connection, type_: str, after: int) -> list[Entry]:
    """Return the rows of a type after an id, the newest first; damaged ones are left out."""
    rows = reader.execute(
        "SELECT id, at_us, source, type, level, ref, payload, 'null' FROM logs"
        " WHERE type = ? AND id > ? ORDER BY id DESC LIMIT ?",
        (type_, after, MAX_ROWS),
    ).fetchall()
    return [entry for entry in map(of_table, rows) if not isinstance(entry, Damaged)]


def _latest_each(rows: Iterable[Entry]) -> list[Entry]:
    latest: dict[str, Entry] = {}
    for row in rows:
        latest.setdefault(row.source, row)
    return list(latest.values())


def _hint(payload: Any) -> str:
    return str(payload.get("hint") or "") if isinstance(payload, dict) else ""
