"""Which processes there are, told when they become too many, too large, or pile up dead.

Each look keeps the processor time of every process, and the next one makes shares of
the difference; a process is known again by its id and its start together, because
ids are used again. Processes end while they are being read, and some may not be read;
both are left out without a word. Command lines are not read at all: they hold secrets.

A signal is given at the first look, when a trouble (too many processes, too many zombies,
one process with too much memory) begins or ends, when the number of processes has moved
far from what the last signal said, and otherwise as a rare heartbeat.
"""

from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa
from pydantic import Field

import nerve

from .tables import metadata, readings, top, tracked

__all__ = ["Options", "compute", "metadata", "retention"]

retention = {"readings": nerve.Retention(column="at_us", keep="7d")}

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S
BYTES_PER_MIB = 2**20
LEAVE_FACTOR = 0.9
"""A trouble ends when its value has fallen below this part of the threshold."""
CLOCKS_AGREE_S = 1.0
CLOCKS_AGREE_SHARE = 0.01
"""Two clocks agree within a second plus this share of the time: adjusting one takes longer."""
SAME_START_S = 2.0
"""Start times are reckoned from the time of boot, which moves when the clock is set."""
MAX_TRACKED = 10_000
"""Processes whose processor time is kept; those that used most."""


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.processes.options`."""

    top: int = Field(
        5, ge=1, le=50, description="How many processes to tell and keep, by memory and by CPU."
    )
    max_count: int = Field(
        2000, ge=1, le=10**7, description="Trouble `count`: at least so many processes."
    )
    max_zombies: int = Field(
        10, ge=1, le=10**6, description="Trouble `zombies`: at least so many dead but not reaped."
    )
    max_rss_percent: float = Field(
        50.0, gt=0, le=100, description="Trouble `rss`: one has this share of the memory."
    )
    change_percent: float = Field(
        50.0, gt=0, le=10**6, description="Tell when the number changed so much since last told."
    )
    heartbeat_minutes: float = Field(
        30.0, gt=0, le=1440, description="Tell at least this often, changed or not."
    )


class Process(NamedTuple):
    """One process; `cpu_percent` is of one core, None where nothing is known to compare with."""

    pid: int
    name: str
    zombie: bool
    rss_bytes: int
    started_s: float
    cpu_s: float
    cpu_percent: float | None = None


def compute(db: sa.Connection, _peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Look once; a signal if the processes are news."""
    options: Options = ctx.options
    at_us, clock_s = round(ctx.now.timestamp() * US_PER_S), ctx.clock()
    processes = _with_shares(db, _look(), _elapsed_s(db, at_us, clock_s))
    newest_first = sa.select(readings).order_by(readings.c.id.desc()).limit(1)
    told = db.execute(newest_first.where(readings.c.told)).first()
    reading: dict[str, Any] = {
        "at_us": at_us,
        "clock_s": clock_s,
        "count": len(processes),
        "zombies": sum(process.zombie for process in processes),
    }
    reading["troubles"] = ",".join(_troubles(reading, _largest(processes), told, options))
    reason = _reason(reading, told, options)
    _store(db, {**reading, "told": reason is not None}, processes, options.top)
    return None if reason is None else _payload(reading, processes, reason, options.top)


def _look() -> list[Process]:
    wanted = ["name", "status", "memory_info", "cpu_times", "create_time"]
    # process_iter leaves out what ends meanwhile, and gives None for what may not be read.
    found = [_process(process.pid, process.info) for process in psutil.process_iter(wanted)]
    return [process for process in found if process is not None]


def _process(pid: int, seen: dict[str, Any]) -> Process | None:
    if seen["create_time"] is None:
        return None
    memory, times = seen["memory_info"], seen["cpu_times"]
    return Process(
        pid=pid,
        # A name is any bytes; what is no UTF-8 would fit neither a row nor JSON.
        name=(seen["name"] or "?").encode("utf-8", "replace").decode(),
        zombie=seen["status"] == psutil.STATUS_ZOMBIE,
        rss_bytes=memory.rss if memory else 0,
        started_s=seen["create_time"],
        cpu_s=times.user + times.system if times else 0.0,
    )


def _elapsed_s(db: sa.Connection, at_us: int, clock_s: float) -> float | None:
    """Seconds since the last look; None if the machine rebooted, slept, or had its clock set."""
    last = db.execute(sa.select(readings).order_by(readings.c.id.desc()).limit(1)).first()
    if last is None:
        return None
    elapsed_s = clock_s - last.clock_s
    difference_s = abs((at_us - last.at_us) / US_PER_S - elapsed_s)
    agree = difference_s <= CLOCKS_AGREE_S + CLOCKS_AGREE_SHARE * elapsed_s
    return elapsed_s if elapsed_s > 0 and agree else None


def _with_shares(
    db: sa.Connection, processes: list[Process], elapsed_s: float | None
) -> list[Process]:
    if elapsed_s is None:
        return processes
    before = {row.pid: row for row in db.execute(sa.select(tracked))}
    return [
        process._replace(
            cpu_percent=round(100 * _used_s(process, before.get(process.pid)) / elapsed_s, 1)
        )
        for process in processes
    ]


def _used_s(process: Process, before: Any) -> float:
    """Processor seconds since the last look; all of them for a process that is new."""
    if before is None or abs(process.started_s - before.started_s) > SAME_START_S:
        return process.cpu_s
    return max(0.0, process.cpu_s - float(before.cpu_s))


def _largest(processes: list[Process]) -> int:
    return max((process.rss_bytes for process in processes), default=0)


def _troubles(
    reading: dict[str, Any], largest_bytes: int, told: Any, options: Options
) -> list[str]:
    before = told.troubles.split(",") if told is not None else []
    shares = {
        "count": reading["count"] / options.max_count,
        "zombies": reading["zombies"] / options.max_zombies,
        "rss": 100 * largest_bytes / psutil.virtual_memory().total / options.max_rss_percent,
    }
    return [
        trouble
        for trouble, share in shares.items()
        if share >= (LEAVE_FACTOR if trouble in before else 1)
    ]


def _reason(reading: dict[str, Any], told: Any, options: Options) -> str | None:
    if told is None:
        return "first"
    if reading["troubles"] != told.troubles:
        return "troubles"
    moved = abs(reading["count"] - told.count)
    if 100 * moved >= options.change_percent * told.count:
        return "change"
    # A negative age means that the clock was set back; telling once too often is harmless.
    if not 0 <= reading["at_us"] - told.at_us < options.heartbeat_minutes * US_PER_MINUTE:
        return "heartbeat"
    return None


def _by_memory(processes: list[Process], number: int) -> list[Process]:
    return sorted(processes, key=lambda process: -process.rss_bytes)[:number]


def _by_cpu(processes: list[Process], number: int) -> list[Process]:
    busy = [process for process in processes if process.cpu_percent]
    return sorted(busy, key=lambda process: -(process.cpu_percent or 0))[:number]


def _store(
    db: sa.Connection, reading: dict[str, Any], processes: list[Process], number: int
) -> None:
    reading_id = db.scalar(sa.insert(readings).returning(readings.c.id), reading)
    best = {*_by_memory(processes, number), *_by_cpu(processes, number)}
    _insert(db, top, [{"reading_id": reading_id, **process._asdict()} for process in best])
    db.execute(sa.delete(tracked))
    kept = sorted(processes, key=lambda process: -process.cpu_s)[:MAX_TRACKED]
    _insert(db, tracked, [process._asdict() for process in kept])


def _insert(db: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    names = table.c.keys()
    if rows:
        db.execute(sa.insert(table), [{name: row[name] for name in names} for row in rows])


def _payload(
    reading: dict[str, Any], processes: list[Process], reason: str, number: int
) -> dict[str, Any]:
    by_memory, by_cpu = _by_memory(processes, number), _by_cpu(processes, number)
    parts = [f"{reading['count']} processes, {reading['zombies']} of them zombies"]
    if by_memory:
        parts.append(f"most memory: {by_memory[0].name} {_mib(by_memory[0].rss_bytes)}")
    if by_cpu:
        parts.append(f"most CPU: {by_cpu[0].name} {by_cpu[0].cpu_percent:.0f} %")
    return {
        "summary": "; ".join(parts),
        "reason": reason,
        "troubles": [trouble for trouble in reading["troubles"].split(",") if trouble],
        "count": reading["count"],
        "zombies": reading["zombies"],
        "top_memory": [_told(process) for process in by_memory],
        "top_cpu": [_told(process) for process in by_cpu],
    }


def _told(process: Process) -> dict[str, Any]:
    told = ("pid", "name", "rss_bytes", "cpu_percent")
    return {name: getattr(process, name) for name in told}


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / BYTES_PER_MIB:,.0f} MiB"
