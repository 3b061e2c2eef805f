"""What the network interfaces carry, told when one goes down, errs, or is busy.

Each look keeps the kernel's counters of each interface, and the next one makes rates of
the difference. An interface whose counters went backwards (it was re-created, the
machine rebooted, a 32-bit counter wrapped) has no rate for one look. The time between
two looks is taken on the monotonic clock and must agree with the wall clock; where
it does not, the machine rebooted, slept, or had its clock set, and there is no
rate either: no number is better than a wrong one.

A signal is given at the first look, when an interface comes, goes, goes up or down,
or when errors, drops or traffic pass their threshold or fall to half of it, and
otherwise as a rare heartbeat.
"""

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa
from pydantic import Field

import nerve

from .tables import interfaces, metadata, note_told, store, told

__all__ = ["Options", "compute", "metadata", "retention"]

retention = {"readings": nerve.Retention(column="at_us", keep="7d")}

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S
S_PER_MINUTE = 60
BYTES_PER_MB = 1_000_000
LEAVE_FACTOR = 0.5
"""A trouble ends when its rate has fallen to this part of the threshold."""
CLOCKS_AGREE_S = 1.0
CLOCKS_AGREE_SHARE = 0.01
"""Two clocks agree within a second plus this share of the time: adjusting one takes longer."""
MAX_INTERFACES = 200
MAX_EVENTS_IN_SUMMARY = 3


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.network.options`."""

    ignore: list[str] = Field(
        default=["lo", "veth*"],
        description="Interfaces to leave out; `*` stands for any characters.",
    )
    busy_mb_per_s: float = Field(
        100.0, gt=0, le=1e6, description="Trouble `busy`: million bytes per second, both ways."
    )
    errors_per_minute: float = Field(
        10.0, gt=0, le=1e9, description="Trouble `errors`: packets damaged, both ways."
    )
    drops_per_minute: float = Field(
        600.0,
        gt=0,
        le=1e9,
        description="Trouble `drops`: packets dropped, both ways. A few are normal on Linux.",
    )
    heartbeat_minutes: float = Field(
        30.0, gt=0, le=1440, description="Tell at least this often, changed or not."
    )


COUNTERS = ("received_bytes", "sent_bytes", "errors", "drops")


class Event(NamedTuple):
    """What happened to an interface: appeared, gone, up, down, or a trouble or its end."""

    interface: str
    event: str


def compute(db: sa.Connection, _peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Look once; a signal if an interface is news."""
    options: Options = ctx.options
    at_us = round(ctx.now.timestamp() * US_PER_S)
    before = {row.name: row for row in db.execute(sa.select(interfaces))}
    seen = _look(at_us, ctx.clock(), options)
    rates = {name: rate for name in seen if (rate := _rates(before.get(name), seen[name]))}
    for name, row in seen.items():
        row["troubles"] = ",".join(_troubles(before.get(name), rates.get(name), options))
    told_us = db.scalar(sa.select(told.c.at_us))
    events = _events(before, seen) if told_us is not None else []
    reason = "events" if events else _reason_of_time(told_us, at_us, options)
    store(db, at_us, seen, rates)
    if reason is None:
        return None
    note_told(db, at_us)
    return _payload(seen, rates, events, reason)


def _look(at_us: int, clock_s: float, options: Options) -> dict[str, dict[str, Any]]:
    # nowrap would add up wrapped counters in the memory of this process, which a
    # restart loses; a step backwards would then be our own doing.
    counters = psutil.net_io_counters(pernic=True, nowrap=False)
    states = psutil.net_if_stats()
    names = [
        name
        for name in sorted(counters.keys() & states.keys())
        if not any(fnmatchcase(name, pattern) for pattern in options.ignore)
    ]
    return {
        name: {
            "name": name,
            "at_us": at_us,
            "clock_s": clock_s,
            "is_up": states[name].isup,
            **_totals(counters[name]),
        }
        for name in names[:MAX_INTERFACES]
    }


def _totals(counters: Any) -> dict[str, int]:
    return {
        "received_bytes": counters.bytes_recv,
        "sent_bytes": counters.bytes_sent,
        "errors": counters.errin + counters.errout,
        "drops": counters.dropin + counters.dropout,
    }


def _rates(before: Any, now: dict[str, Any]) -> dict[str, float] | None:
    """Make rates per second; None where there is nothing sound to compare with."""
    if before is None or any(now[key] < getattr(before, key) for key in COUNTERS):
        return None
    elapsed_s = now["clock_s"] - before.clock_s
    wall_s = (now["at_us"] - before.at_us) / US_PER_S
    tolerance_s = CLOCKS_AGREE_S + CLOCKS_AGREE_SHARE * elapsed_s
    if elapsed_s <= 0 or abs(wall_s - elapsed_s) > tolerance_s:
        return None
    return {f"{key}_per_s": (now[key] - getattr(before, key)) / elapsed_s for key in COUNTERS}


def _troubles(before: Any, rates: dict[str, float] | None, options: Options) -> list[str]:
    old = before.troubles.split(",") if before is not None and before.troubles else []
    if rates is None:
        return old
    bytes_per_s = rates["received_bytes_per_s"] + rates["sent_bytes_per_s"]
    shares = {
        "busy": bytes_per_s / (options.busy_mb_per_s * BYTES_PER_MB),
        "errors": rates["errors_per_s"] * S_PER_MINUTE / options.errors_per_minute,
        "drops": rates["drops_per_s"] * S_PER_MINUTE / options.drops_per_minute,
    }
    return [
        trouble
        for trouble, share in shares.items()
        if (share > LEAVE_FACTOR if trouble in old else share >= 1)
    ]


def _events(before: dict[str, Any], seen: dict[str, dict[str, Any]]) -> list[Event]:
    events = [Event(name, "gone") for name in before if name not in seen]
    for name, now in seen.items():
        events += [Event(name, event) for event in _changes(before.get(name), now)]
    return events


def _changes(before: Any, now: dict[str, Any]) -> list[str]:
    if before is None:
        return ["appeared"]
    link = "up" if now["is_up"] else "down"
    changes = [link] if now["is_up"] != before.is_up else []
    old, new = before.troubles.split(","), now["troubles"].split(",")
    changes += [f"{trouble} began" for trouble in new if trouble and trouble not in old]
    changes += [f"{trouble} ended" for trouble in old if trouble and trouble not in new]
    return changes


def _reason_of_time(told_us: int | None, at_us: int, options: Options) -> str | None:
    if told_us is None:
        return "first"
    # A negative age means that the clock was set back; telling once too often is harmless.
    due = not 0 <= at_us - told_us < options.heartbeat_minutes * US_PER_MINUTE
    return "heartbeat" if due else None


def _payload(
    seen: dict[str, dict[str, Any]],
    rates: dict[str, dict[str, float]],
    events: list[Event],
    reason: str,
) -> dict[str, Any]:
    listed = [
        {
            "name": name,
            "is_up": row["is_up"],
            "troubles": [trouble for trouble in row["troubles"].split(",") if trouble],
            **{key: round(rate, 1) for key, rate in rates.get(name, {}).items()},
        }
        for name, row in seen.items()
    ]
    return {
        "summary": _summary(seen, rates, events),
        "reason": reason,
        "events": [event._asdict() for event in events],
        "interfaces": listed,
    }


def _summary(
    seen: dict[str, dict[str, Any]], rates: dict[str, dict[str, float]], events: list[Event]
) -> str:
    up = [name for name, row in seen.items() if row["is_up"]]
    parts = [f"{name}: {event}" for name, event in events[:MAX_EVENTS_IN_SUMMARY]]
    if len(events) > len(parts):
        parts.append(f"and {len(events) - len(parts)} more")
    parts.append(f"{len(up)} of {len(seen)} interfaces up")
    if rates:
        received = sum(rate["received_bytes_per_s"] for rate in rates.values()) / BYTES_PER_MB
        sent = sum(rate["sent_bytes_per_s"] for rate in rates.values()) / BYTES_PER_MB
        parts.append(f"{received:.2f} MB/s in, {sent:.2f} MB/s out")
    return "Network " + "; ".join(parts)
