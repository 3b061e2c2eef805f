"""How busy the processors are, told when it changes.

Each look keeps the kernel's counters of processor time and compares them with those
of the look before. They lie in this sense's own database, not in memory, so that a
restarted worker goes on where the old one stopped. The first look, and the first
one after a reboot, has nothing to compare with and gives the average since boot.

A signal is given at the first look, when the load becomes high or normal again, when
it has moved far from what the last signal said, and otherwise as a rare heartbeat.
Steal time counts as busy, waiting for a disk does not.
"""

from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa
from pydantic import Field

import nerve

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S
LEAVE_MARGIN_POINTS = 5.0
"""How far below `high_percent` the load must fall to be normal again."""
MIN_WINDOW_S = 0.1
"""The counters move in steps of 10 ms; a shorter window would tell noise."""
RESET_SLACK_S = 1.0
"""The kernel lets a counter slip back by a tick or two; more than this is a reboot."""


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.cpu-usage.options`."""

    high_percent: float = Field(
        90.0, ge=10, le=100, description="From this load on the processors count as busy."
    )
    change_points: float = Field(
        25.0, gt=0, le=100, description="Tell when the load moved this far from the last signal."
    )
    per_core: bool = Field(
        default=False, description="Tell the load of each processor core as well."
    )
    heartbeat_minutes: float = Field(
        10.0, gt=0, le=1440, description="Tell at least this often, changed or not."
    )


metadata = sa.MetaData()
cores = sa.Table(
    "cores",
    metadata,
    sa.Column("core", sa.Integer, primary_key=True),
    sa.Column("busy_s", sa.Float, nullable=False),
    sa.Column("total_s", sa.Float, nullable=False),
)
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("busy_percent", sa.Float, nullable=False),
    sa.Column("load_1min", sa.Float, nullable=False),
    sa.Column("load_5min", sa.Float, nullable=False),
    sa.Column("load_15min", sa.Float, nullable=False),
    sa.Column("high", sa.Boolean, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False),
    sa.Index("readings_at_us", "at_us"),
)
retention = {"readings": nerve.Retention(column="at_us", keep="7d")}


class CoreTime(NamedTuple):
    """Seconds that one core was busy, and seconds that passed for it."""

    busy_s: float
    total_s: float


def compute(db: sa.Connection, _peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Look once; a signal if the load is news."""
    options: Options = ctx.options
    at_us = round(ctx.now.timestamp() * US_PER_S)
    before, now = _stored_times(db), _read_times()
    since_boot = _started_anew(before, now)
    window = now if since_boot else _between(before, now)
    if sum(time.total_s for time in window) < MIN_WINDOW_S * len(window):
        return None
    _store_times(db, now)
    told = db.execute(
        sa.select(readings).where(readings.c.told).order_by(readings.c.id.desc()).limit(1)
    ).first()
    reading = _reading(at_us, window, told, options)
    reason = _reason(reading, told, options)
    db.execute(sa.insert(readings).values(**reading, told=reason is not None))
    if reason is None:
        return None
    return _payload(reading, reason, window, since_boot=since_boot, per_core=options.per_core)


def _read_times() -> list[CoreTime]:
    return [_core_time(times) for times in psutil.cpu_times(percpu=True)]


def _core_time(times: Any) -> CoreTime:
    # Linux counts the time of guests in user and nice already.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    total_s = sum(times) - guests
    return CoreTime(total_s - times.idle - getattr(times, "iowait", 0.0), total_s)


def _stored_times(db: sa.Connection) -> list[CoreTime]:
    rows = db.execute(sa.select(cores.c.busy_s, cores.c.total_s).order_by(cores.c.core))
    return [CoreTime(row.busy_s, row.total_s) for row in rows]


def _store_times(db: sa.Connection, times: list[CoreTime]) -> None:
    db.execute(sa.delete(cores))
    db.execute(sa.insert(cores), [{"core": core, **t._asdict()} for core, t in enumerate(times)])


def _started_anew(before: list[CoreTime], now: list[CoreTime]) -> bool:
    return len(before) != len(now) or any(
        new.total_s < old.total_s - RESET_SLACK_S or new.busy_s < old.busy_s - RESET_SLACK_S
        for old, new in zip(before, now, strict=True)
    )


def _between(before: list[CoreTime], now: list[CoreTime]) -> list[CoreTime]:
    return [
        CoreTime(max(0.0, new.busy_s - old.busy_s), max(0.0, new.total_s - old.total_s))
        for old, new in zip(before, now, strict=True)
    ]


def _percent(times: list[CoreTime]) -> float:
    total_s = sum(time.total_s for time in times)
    busy_s = sum(time.busy_s for time in times)
    return round(min(100.0, 100 * busy_s / total_s), 1) if total_s else 0.0


def _reading(at_us: int, window: list[CoreTime], told: Any, options: Options) -> dict[str, Any]:
    busy_percent = _percent(window)
    margin = LEAVE_MARGIN_POINTS if told is not None and told.high else 0.0
    load = [round(value, 2) for value in psutil.getloadavg()]
    return {
        "at_us": at_us,
        "busy_percent": busy_percent,
        "load_1min": load[0],
        "load_5min": load[1],
        "load_15min": load[2],
        "high": busy_percent >= options.high_percent - margin,
    }


def _reason(reading: dict[str, Any], told: Any, options: Options) -> str | None:
    if told is None:
        return "first"
    if reading["high"] != told.high:
        return "high" if reading["high"] else "normal"
    if abs(reading["busy_percent"] - told.busy_percent) >= options.change_points:
        return "change"
    # A negative age means that the clock was set back; telling once too often is harmless.
    if not 0 <= reading["at_us"] - told.at_us < options.heartbeat_minutes * US_PER_MINUTE:
        return "heartbeat"
    return None


def _payload(
    reading: dict[str, Any],
    reason: str,
    window: list[CoreTime],
    *,
    since_boot: bool,
    per_core: bool,
) -> dict[str, Any]:
    numbers = {key: reading[key] for key in reading if key not in {"at_us", "high"}}
    period = " since boot" if since_boot else ""
    plural = "" if len(window) == 1 else "s"
    summary = (
        f"CPU {reading['busy_percent']:.0f} % busy{period}, "
        f"load {reading['load_1min']:.1f} on {len(window)} core{plural}"
    )
    payload = {"summary": summary, "reason": reason, "high": reading["high"], **numbers}
    payload["cores"] = len(window)
    if per_core:
        payload["core_busy_percent"] = [_percent([time]) for time in window]
    return payload
