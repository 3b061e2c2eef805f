"""Space and inodes, and how long they last at the pace at which nerve has written lately.

The pace is what logs.db itself shows: how many entries a day, and how large they are. logs.db grows
by that until its oldest rows are as old as `retention` allows; from then on it is the archive that
grows, by the size of its files. What senses store for themselves is not in it.
"""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from nerve.cli.doctor.finding import Finding, error, sound, warning
from nerve.cli.doctor.patient import Patient
from nerve.clock import US_PER_MS, US_PER_S
from nerve.config.models import RetentionConfig
from nerve.config.sizes import BYTES_PER_UNIT, show_size
from nerve.errors import ConfigurationInvalid, StateError
from nerve.store.dayfile import archived_days
from nerve.store.journal_reading import newest_id

LEAST_BYTES = 64 * BYTES_PER_UNIT["MB"]
"""With less, a checkpoint or a day's file of the archive may not fit."""
SCARCE_BYTES = 1 * BYTES_PER_UNIT["GB"]
SCARCE_SHARE = 0.05
"""Both together: 5 % of a large disk are plenty."""
SCARCE_INODES = 10_000
SOON_DAYS = 3.0
IN_SIGHT_DAYS = 30.0
LATELY_US = 7 * 86_400 * US_PER_S
"""Of which the pace is taken."""
LEAST_SPAN_US = 3_600 * US_PER_S
"""Of less than an hour no pace can be told."""
SAMPLE_IDS = 2_000
"""The newest entries, whose size is looked at."""
ROW_OVERHEAD_BYTES = 100
"""Of an entry besides its texts: numbers, its place in indexes, half-filled pages."""
ARCHIVE_SHARE = {"none": 1.0, "gzip": 0.1}
"""Of what rows take in logs.db, what they take in the archive, while it has no files to ask."""
_DAY_US = 86_400 * US_PER_S


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has left for this user; None where it does not count inodes."""

    total_bytes: int
    free_bytes: int
    free_inodes: int | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast nerve writes.

    Attributes:
        bytes_per_day: into logs.db.
        archive_bytes_per_day: into the archive, once rows are old enough.
        growing_days: for how long logs.db itself still grows.
        kept_days: after which files of the archive are deleted; None for never.
    """

    bytes_per_day: float
    archive_bytes_per_day: float
    growing_days: float
    kept_days: float | None

    def days_until(self, free_bytes: int) -> float | None:
        """Return after how many days so much space is used up; None for never."""
        while_growing = self.bytes_per_day * self.growing_days
        if free_bytes <= while_growing:
            return free_bytes / self.bytes_per_day
        rest = free_bytes - while_growing
        if not self.archive_bytes_per_day:
            return None
        days = rest / self.archive_bytes_per_day
        is_kept_below = self.kept_days is not None and days > self.kept_days
        return None if is_kept_below else self.growing_days + days


def look_at_space(patient: Patient) -> Iterator[Finding]:
    """Compare what is free with what is written."""
    there = os.statvfs(patient.state.root)
    inodes = there.f_favail if there.f_files else None
    room = Room(there.f_blocks * there.f_frsize, there.f_bavail * there.f_frsize, inodes)
    yield from space_findings(room, _pace_of(patient))


def space_findings(room: Room, pace: Pace | None) -> Iterator[Finding]:
    """Say what runs out, and when."""
    free = f"{show_size(room.free_bytes)} of {show_size(room.total_bytes)} are free"
    days = None if pace is None else pace.days_until(room.free_bytes)
    told = free if days is None else f"{free}; at this pace the disk is full {_in(days)}"
    fact = f"logs.db takes {show_size(round(pace.bytes_per_day))} a day" if pace else ""
    why = f"nothing is recorded or acknowledged without space{f'; {fact}' if fact else ''}"
    hint = "free some, or keep less: `retention` and `compress: gzip` in nerve.yaml"
    is_scarce = room.free_bytes < min(SCARCE_BYTES, SCARCE_SHARE * room.total_bytes)
    if room.free_bytes < min(LEAST_BYTES, room.total_bytes // 4) or _is_below(days, SOON_DAYS):
        yield error(told, why=why, hint=hint)
    elif is_scarce or _is_below(days, IN_SIGHT_DAYS):
        yield warning(told, why=why, hint=hint)
    elif room.free_inodes is None or room.free_inodes >= SCARCE_INODES:
        yield sound(f"{told}{f'; {fact}' if fact else ''}")
    if room.free_inodes is not None and room.free_inodes < SCARCE_INODES:
        make = error if room.free_inodes == 0 else warning
        yield make(
            f"{room.free_inodes:,} inodes are free: so many more files can be made",
            why="a full table of inodes is a full disk, however much space is left",
            hint="delete small files that nobody needs on that file system",
        )


def _pace_of(patient: Patient) -> Pace | None:
    """Take it from the journal; None where that is missing, cannot be read, or is too young."""
    try:
        retention = patient.loaded.config.retention
    except ConfigurationInvalid:
        retention = RetentionConfig()
    try:
        with patient.reading(patient.state.journal_path) as reader:
            return pace_in(reader, retention, patient.now_us)
    except (StateError, sqlite3.Error):
        return None


def pace_in(reader: sqlite3.Connection, retention: RetentionConfig, now_us: int) -> Pace | None:
    """Measure it; None where the journal spans less than LEAST_SPAN_US."""
    last_id = newest_id(reader)
    oldest = _entry_from(reader, 1)
    if oldest is None:
        return None
    since_id, since_us = _entry_at(reader, oldest, last_id, now_us - LATELY_US)
    span_us = now_us - since_us
    if span_us < LEAST_SPAN_US:
        return None
    per_day = (last_id - since_id + 1) * _mean_bytes(reader, last_id) * _DAY_US / span_us
    kept_us = max(retention.logs_ms, retention.signals_ms) * US_PER_MS
    growing_us = max(0, kept_us - (now_us - oldest[1]))
    kept_ms = retention.archived_ms
    return Pace(
        per_day,
        _archived_per_day(reader) or per_day * ARCHIVE_SHARE[retention.compress],
        growing_us / _DAY_US,
        None if kept_ms is None else kept_ms * US_PER_MS / _DAY_US,
    )


def _entry_from(reader: sqlite3.Connection, entry_id: int) -> tuple[int, int] | None:
    """Return id and time of the first entry from an id on."""
    found = [
        row
        for table in ("logs", "signals")
        for row in reader.execute(
            f"SELECT id, at_us FROM {table} WHERE id >= ? ORDER BY id LIMIT 1",  # noqa: S608  our own names
            (entry_id,),
        )
    ]
    return min(found, default=None)


def _entry_at(
    reader: sqlite3.Connection, oldest: tuple[int, int], last_id: int, at_us: int
) -> tuple[int, int]:
    """Return id and time of the first entry that is not before a time, by bisection."""
    low, high, found = oldest[0], last_id, oldest
    while low < high and found[1] < at_us:
        middle = (low + high) // 2
        entry = _entry_from(reader, middle)
        if entry is None or entry[1] >= at_us:
            high = middle
        else:
            low = middle + 1
        if low == high:
            found = _entry_from(reader, low) or found
    return found


def _mean_bytes(reader: sqlite3.Connection, last_id: int) -> float:
    first = last_id - SAMPLE_IDS
    sizes = [
        size
        for query in (
            "SELECT length(payload) + length(source) + length(type) FROM logs WHERE id > ?",
            "SELECT length(payload) + length(cause) + length(epoch) FROM signals WHERE id > ?",
        )
        for (size,) in reader.execute(query, (first,))
    ]
    return ROW_OVERHEAD_BYTES + (sum(sizes) / len(sizes) if sizes else 0.0)


def _archived_per_day(reader: sqlite3.Connection) -> float:
    """Return the mean size of the last week's files, of both tables; 0 where there are none."""
    by_day: dict[str, int] = {}
    for day in archived_days(reader):
        by_day[day.day] = by_day.get(day.day, 0) + day.bytes
    lately = sorted(by_day)[-7:]
    return sum(by_day[day] for day in lately) / len(lately) if lately else 0.0


def _is_below(days: float | None, limit: float) -> bool:
    return days is not None and days < limit


def _in(days: float) -> str:
    if days < 2:  # noqa: PLR2004  below, hours say more
        return f"in {max(1, round(days * 24))} hours"
    if days < 730:  # noqa: PLR2004  above, years say more
        return f"in {days:,.0f} days"
    return f"in {days / 365:,.0f} years" if days < 365_000 else "in more than a thousand years"  # noqa: PLR2004  nobody counts those
