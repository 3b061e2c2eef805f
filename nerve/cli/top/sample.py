"""What everything has used up at one moment, and what that makes since another. Commands.

Memory is what a worker and all below it hold that is no page of a file, each page divided by those
who share it, as nerve itself weighs it for a group's limits (`supervisor.watch`).
"""

import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from nerve.cli.status.picture import Picture
from nerve.clock import US_PER_S
from nerve.supervisor.watch import look, weigh
from nerve.wire.status import SenseStatus

MAX_PROCESSES = 1_000
"""Looked at below one worker."""
MIN_WINDOW_US = 2 * US_PER_S
"""A shorter time says nothing of senses that run now and then: then it is since nerve has run."""
MINUTE_S = 60.0
PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a worker and all below it: seconds of CPU since their start, bytes, processes."""

    pid: int | None
    cpu_s: float = 0.0
    memory_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment.

    Attributes:
        at: seconds on the monotonic clock.
        usages: of each group, and of nerve itself under the empty name.
    """

    at: float
    picture: Picture
    usages: dict[str, Usage]


@dataclass(frozen=True, slots=True)
class GroupCost:
    """What a group costs: percent of one processor, bytes, processes."""

    name: str
    cpu: float
    memory_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class SenseCost:
    """What a sense costs.

    Attributes:
        busy: percent of the time in which it computed.
        per_minute: computes.
        took_us, late_us: of its last compute; the worst of the last minutes.
        failures: of all that are recorded.
    """

    name: str
    group: str
    busy: float
    per_minute: float
    took_us: int
    late_us: int
    failures: int


def sample(picture: Picture) -> Sample:
    """Look at the processes of all groups."""
    pids = {"": picture.nerve.pid if picture.nerve is not None else None}
    pids |= {group.name: group.pid for group in picture.groups}
    return Sample(
        time.monotonic(), picture, {name: _usage(pid, name) for name, pid in pids.items()}
    )


def group_costs(before: Sample | None, now: Sample) -> list[GroupCost]:
    """Say what each group has cost since another sample; without one since its worker began."""
    return [
        GroupCost(name, _cpu(before, now, name), usage.memory_bytes, usage.processes)
        for name, usage in now.usages.items()
    ]


def sense_costs(before: Sample | None, now: Sample) -> list[SenseCost]:
    """Say what each sense has cost since another sample; without one since nerve has run."""
    nerve = now.picture.nerve
    if nerve is None:
        return []
    earlier: dict[str, SenseStatus] = {}
    since_us = nerve.started_us
    if before is not None and _is_comparable(before.picture, now.picture):
        earlier = {sense.name: sense for sense in before.picture.senses}
        since_us = before.picture.now_us
    passed_us = max(1, now.picture.now_us - since_us)
    return [
        _sense_cost(now.picture, sense, earlier.get(sense.name), passed_us)
        for sense in now.picture.senses
    ]


def _is_comparable(before: Picture, now: Picture) -> bool:
    """Whether it is the same nerve, a while later."""
    if before.nerve is None or now.nerve is None or before.nerve.boot != now.nerve.boot:
        return False
    return now.now_us - before.now_us >= MIN_WINDOW_US


def _sense_cost(
    picture: Picture, sense: SenseStatus, earlier: SenseStatus | None, passed_us: int
) -> SenseCost:
    busy_us = _busy_us(picture.now_us, sense)
    runs = sense.runs
    if earlier is not None:
        busy_us -= _busy_us(picture.now_us - passed_us, earlier)
        runs -= earlier.runs
    ran = picture.files.ran.get(sense.name)
    return SenseCost(
        sense.name,
        sense.group,
        PERCENT * max(0, busy_us) / passed_us,
        max(0, runs) * MINUTE_S * US_PER_S / passed_us,
        sense.took_us or 0,
        sense.worst_late_us or 0,
        ran.failures if ran else 0,
    )


def _busy_us(now_us: int, sense: SenseStatus) -> int:
    """How long it has computed, what it does at this moment included."""
    if sense.phase != "running" or sense.started_us is None:
        return sense.busy_us
    return sense.busy_us + max(0, now_us - sense.started_us)


def _usage(pid: int | None, name: str) -> Usage:
    if pid is None:
        return Usage(None)
    # Below nerve itself are all the workers, and they are counted where they belong.
    looked = look(pid, most=MAX_PROCESSES if name else 0)
    cpu_s = sum(_cpu_s(process, with_ended=bool(name)) for process in looked.pids)
    return Usage(pid, cpu_s, weigh(looked.pids), len(looked.pids))


def _cpu_s(pid: int, *, with_ended: bool) -> float:
    """Seconds of CPU of a process; with those of children that have ended."""
    with suppress(psutil.Error):  # gone, or another user's
        times = psutil.Process(pid).cpu_times()
        ended_s = times.children_user + times.children_system if with_ended else 0.0
        return float(times.user + times.system + ended_s)
    return 0.0


def _cpu(before: Sample | None, now: Sample, name: str) -> float:
    usage = now.usages[name]
    earlier = before.usages.get(name) if before is not None else None
    if before is None or earlier is None or earlier.pid != usage.pid:
        return 0.0
    passed_s = max(0.001, now.at - before.at)
    return PERCENT * max(0.0, usage.cpu_s - earlier.cpu_s) / passed_s
