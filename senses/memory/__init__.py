"""How much memory is left, told when it changes.

Watches three things: the memory that programs could still get (`available`, which
counts caches that the kernel would give back), the swap in use, and, where the
kernel measures it, the share of time in which some program stood still waiting for
memory (pressure stall information). Each has a threshold; being beyond one is a
*trouble*, and a trouble ends only a margin before its threshold, so that a value
which trembles around it is told once.

A signal is given at the first look, when a trouble begins or ends, when the available
share has moved far from what the last signal said, and otherwise as a rare heartbeat.
"""

from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from pydantic import Field

import nerve

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S
BYTES_PER_GIB = 2**30
STALL_FILE = Path("/proc/pressure/memory")
LEAVE_MARGIN_POINTS = 5.0
"""How far a value must come back behind its threshold for the trouble to end."""


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.memory.options`."""

    low_percent: float = Field(
        10.0, gt=0, le=90, description="Trouble `low`: no more than this share is available."
    )
    swap_percent: float = Field(
        50.0, ge=10, le=100, description="Trouble `swap`: at least this share of swap is used."
    )
    stall_percent: float = Field(
        20.0,
        ge=10,
        le=100,
        description="Trouble `stall`: some program waited for memory at least this share of the "
        "last ten seconds. Without effect on kernels that do not measure it.",
    )
    change_points: float = Field(
        15.0,
        gt=0,
        le=100,
        description="Tell when the available share moved this far from the last signal.",
    )
    heartbeat_minutes: float = Field(
        10.0, gt=0, le=1440, description="Tell at least this often, changed or not."
    )


metadata = sa.MetaData()
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("total_bytes", sa.Integer, nullable=False),
    sa.Column("available_bytes", sa.Integer, nullable=False),
    sa.Column("available_percent", sa.Float, nullable=False),
    sa.Column("swap_total_bytes", sa.Integer, nullable=False),
    sa.Column("swap_used_bytes", sa.Integer, nullable=False),
    sa.Column("swap_percent", sa.Float, nullable=False),
    sa.Column("stall_percent", sa.Float),
    sa.Column("troubles", sa.Text, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False),
    sa.Index("readings_at_us", "at_us"),
)
retention = {"readings": nerve.Retention(column="at_us", keep="7d")}


def compute(db: sa.Connection, _peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Look once; a signal if what is left is news."""
    options: Options = ctx.options
    at_us = round(ctx.now.timestamp() * US_PER_S)
    told = db.execute(
        sa.select(readings).where(readings.c.told).order_by(readings.c.id.desc()).limit(1)
    ).first()
    reading = {"at_us": at_us, **_look()}
    reading["troubles"] = ",".join(_troubles(reading, told, options))
    reason = _reason(reading, told, options)
    db.execute(sa.insert(readings).values(**reading, told=reason is not None))
    return None if reason is None else _payload(reading, reason)


def _look() -> dict[str, Any]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "total_bytes": memory.total,
        "available_bytes": memory.available,
        "available_percent": round(100 * memory.available / memory.total, 1),
        "swap_total_bytes": swap.total,
        "swap_used_bytes": swap.used,
        "swap_percent": round(100 * swap.used / swap.total, 1) if swap.total else 0.0,
        "stall_percent": _stall_percent(),
    }


def _stall_percent() -> float | None:
    # The file may be missing, and where the kernel has the feature switched off the
    # file is there and reading it fails.
    try:
        some = STALL_FILE.read_text(encoding="ascii").splitlines()[0]
        return float(some.split("avg10=")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _troubles(reading: dict[str, Any], told: Any, options: Options) -> list[str]:
    before = told.troubles.split(",") if told is not None else []
    beyond = {
        "low": options.low_percent - reading["available_percent"],
        "swap": reading["swap_percent"] - options.swap_percent,
        "stall": (reading["stall_percent"] or 0.0) - options.stall_percent,
    }
    return [
        trouble
        for trouble, points in beyond.items()
        if points >= (-LEAVE_MARGIN_POINTS if trouble in before else 0)
    ]


def _reason(reading: dict[str, Any], told: Any, options: Options) -> str | None:
    if told is None:
        return "first"
    if reading["troubles"] != told.troubles:
        return "troubles"
    moved = abs(reading["available_percent"] - told.available_percent)
    if moved >= options.change_points:
        return "change"
    # A negative age means that the clock was set back; telling once too often is harmless.
    if not 0 <= reading["at_us"] - told.at_us < options.heartbeat_minutes * US_PER_MINUTE:
        return "heartbeat"
    return None


def _payload(reading: dict[str, Any], reason: str) -> dict[str, Any]:
    troubles = [trouble for trouble in reading["troubles"].split(",") if trouble]
    numbers = {key: reading[key] for key in reading if key not in {"at_us", "troubles"}}
    return {"summary": _summary(reading), "reason": reason, "troubles": troubles, **numbers}


def _summary(reading: dict[str, Any]) -> str:
    sizes = f"{_gib(reading['available_bytes'])} of {_gib(reading['total_bytes'])}"
    parts = [f"Memory {reading['available_percent']:.0f} % available ({sizes})"]
    if reading["swap_total_bytes"]:
        parts.append(f"swap {reading['swap_percent']:.0f} % used")
    if reading["stall_percent"]:
        parts.append(f"programs waited for it {reading['stall_percent']:.0f} % of the time")
    return ", ".join(parts)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / BYTES_PER_GIB:.1f} GiB"
