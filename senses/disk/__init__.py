"""How full the file systems are, told when one fills up, comes or goes.

By default it looks at `/` and at file systems on local devices, each device once at its
shortest mount point. The list comes from the kernel's mount table, so a network mount
whose server is away is never touched, and cannot hang this sense; who names it in
`mounts` has chosen otherwise. A file system is *full* when its space or its inodes are
used up to a threshold, or, if it is large, when few bytes are left.

A signal is given at the first look, when a file system becomes full, recovers, appears,
is gone (once), or has moved far from what the last signal said, and otherwise as a
rare heartbeat. Every signal tells all file systems.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa
from pydantic import Field

import nerve

from .tables import metadata, mounts, note_told, store, told

__all__ = ["Options", "compute", "metadata", "retention"]

retention = {"readings": nerve.Retention(column="at_us", keep="30d")}

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S
BYTES_PER_MIB = 2**20
BYTES_PER_GIB = 2**30
LEAVE_MARGIN_POINTS = 2.0
"""How far below `full_percent` a full file system must fall to have recovered."""
LEAVE_FACTOR = 1.2
"""How many times `free_mib` must be free again for a full file system to have recovered."""
LARGE_FACTOR = 10
"""`free_mib` counts only on file systems this many times as large: /boot is always small."""
MAX_MOUNTS = 100
MAX_EVENTS_IN_SUMMARY = 3


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.disk.options`."""

    full_percent: float = Field(
        90.0, ge=10, le=100, description="Full from this share of space or inodes on."
    )
    free_mib: int = Field(
        1024, ge=0, le=2**30, description="Full when less is free, on large file systems."
    )
    change_points: float = Field(
        5.0, gt=0, le=100, description="Tell when a share moved this far from the last signal."
    )
    mounts: list[str] = Field(
        default=[],
        max_length=MAX_MOUNTS,
        description="Look at these mount points only, of whatever type. Empty: all local ones.",
    )
    ignore_types: list[str] = Field(
        default=["squashfs", "iso9660", "udf", "erofs"],
        description="File system types to leave out: these are full by nature.",
    )
    heartbeat_minutes: float = Field(
        30.0, gt=0, le=1440, description="Tell at least this often, changed or not."
    )


class Usage(NamedTuple):
    """What one file system holds; `free_bytes` is what programs without special rights get."""

    mount: str
    total_bytes: int
    free_bytes: int
    used_percent: float
    inodes_percent: float


class Event(NamedTuple):
    """What happened to a mount point: full, recovered, changed, appeared or gone."""

    mount: str
    event: str


def compute(db: sa.Connection, _peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Look once; a signal if a file system is news."""
    options: Options = ctx.options
    at_us = round(ctx.now.timestamp() * US_PER_S)
    before = {row.mount: row for row in db.execute(sa.select(mounts))}
    usages = [usage for mount in _mount_points(options) if (usage := _measure(mount))]
    full = {usage.mount for usage in usages if _is_full(usage, before.get(usage.mount), options)}
    told_us = db.scalar(sa.select(told.c.at_us))
    events = _events(before, usages, full, options) if told_us is not None else []
    reason = "events" if events else _reason_of_time(told_us, at_us, options)
    store(db, at_us, _rows(usages, full, before, renew=reason is not None))
    if reason is None:
        return None
    note_told(db, at_us)
    return _payload(usages, full, events, reason)


def _mount_points(options: Options) -> list[str]:
    if options.mounts:
        mounted = {part.mountpoint for part in psutil.disk_partitions(all=True)}
        return sorted(mounted.intersection(options.mounts))
    by_device: dict[str, str] = {}
    # all=False: types on real devices only, which leaves network and memory file systems out.
    parts = psutil.disk_partitions(all=False)
    for part in sorted(parts, key=lambda part: len(part.mountpoint)):
        if part.fstype not in options.ignore_types:
            by_device.setdefault(part.device, part.mountpoint)
    # In a container `/` is an overlay, which is on no device.
    return sorted({"/", *by_device.values()})[:MAX_MOUNTS]


def _measure(mount: str) -> Usage | None:
    """Read one file system; None if it went away just now or cannot be read."""
    try:
        # Containers mount single files, such as /etc/hosts, from the host's device.
        sizes = os.statvfs(mount) if Path(mount).is_dir() else None
    except OSError:
        return None
    if sizes is None or not sizes.f_blocks:
        return None
    used = sizes.f_blocks - sizes.f_bfree
    return Usage(
        mount=mount.encode("utf-8", "replace").decode(),  # a path may be no valid text
        total_bytes=sizes.f_blocks * sizes.f_frsize,
        free_bytes=sizes.f_bavail * sizes.f_frsize,
        # As df reckons: blocks kept back for root belong to neither side.
        used_percent=_share(used, used + sizes.f_bavail),
        inodes_percent=_share(sizes.f_files - sizes.f_favail, sizes.f_files),
    )


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _is_full(usage: Usage, before: Any, options: Options) -> bool:
    was_full = before is not None and before.full
    limit_percent = options.full_percent - (LEAVE_MARGIN_POINTS if was_full else 0)
    if max(usage.used_percent, usage.inodes_percent) >= limit_percent:
        return True
    free_bytes = options.free_mib * BYTES_PER_MIB
    large = usage.total_bytes >= LARGE_FACTOR * free_bytes
    return large and usage.free_bytes < free_bytes * (LEAVE_FACTOR if was_full else 1)


def _events(
    before: dict[str, Any], usages: list[Usage], full: set[str], options: Options
) -> list[Event]:
    seen = {usage.mount for usage in usages}
    events = [Event(mount, "gone") for mount in before if mount not in seen]
    for usage in usages:
        event = _event(usage, before.get(usage.mount), usage.mount in full, options)
        if event:
            events.append(Event(usage.mount, event))
    return events


def _event(usage: Usage, before: Any, full: bool, options: Options) -> str | None:
    if full and (before is None or not before.full):
        return "full"
    if before is None:
        return "appeared"
    if before.full and not full:
        return "recovered"
    moved = abs(usage.used_percent - before.told_percent)
    return "changed" if moved >= options.change_points else None


def _reason_of_time(told_us: int | None, at_us: int, options: Options) -> str | None:
    if told_us is None:
        return "first"
    # A negative age means that the clock was set back; telling once too often is harmless.
    due = not 0 <= at_us - told_us < options.heartbeat_minutes * US_PER_MINUTE
    return "heartbeat" if due else None


def _rows(
    usages: list[Usage], full: set[str], before: dict[str, Any], *, renew: bool
) -> list[dict[str, Any]]:
    return [
        {
            **usage._asdict(),
            "full": usage.mount in full,
            "told_percent": usage.used_percent if renew else before[usage.mount].told_percent,
        }
        for usage in usages
    ]


def _payload(
    usages: list[Usage], full: set[str], events: list[Event], reason: str
) -> dict[str, Any]:
    return {
        "summary": _summary(usages, events),
        "reason": reason,
        "full": sorted(full),
        "events": [event._asdict() for event in events],
        "mounts": [usage._asdict() for usage in usages],
    }


def _summary(usages: list[Usage], events: list[Event]) -> str:
    by_mount = {usage.mount: usage for usage in usages}
    told_first = events[:MAX_EVENTS_IN_SUMMARY]
    sentences = [_sentence(by_mount.get(mount), mount, event) for mount, event in told_first]
    if len(events) > len(told_first):
        sentences.append(f"and {len(events) - len(told_first)} more")
    if not sentences and usages:
        fullest = max(usages, key=lambda usage: usage.used_percent)
        sentences = [_sentence(fullest, fullest.mount, f"fullest of {len(usages)}")]
    return "; ".join(sentences) or "No file system to look at"


def _sentence(usage: Usage | None, mount: str, event: str) -> str:
    if usage is None:
        return f"{mount} is gone"
    if usage.inodes_percent > usage.used_percent:
        return f"{mount} {event}: {usage.inodes_percent:.0f} % of its inodes used"
    free = usage.free_bytes / BYTES_PER_GIB
    return f"{mount} {event}: {usage.used_percent:.0f} % used, {free:.1f} GiB free"
