"""What processes use: processor time and wake-ups, from /proc, and memory of several.

A thread's /proc/PID/task/TID/schedstat has its time in nanoseconds; /proc/PID/stat counts
ticks of 10 ms, in which a process at rest does nothing. What threads have used that end
between two readings is lost; nerve at rest has none of these.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.figures import Memory, p50

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """What some processes have used so far.

    Attributes:
        cpu_ns: processor time.
        wakeups: how often one of their threads went to sleep of its own accord.
    """

    cpu_ns: int
    wakeups: int

    @classmethod
    def of(cls, pids: Sequence[int]) -> Self:
        """Read it from the kernel; a process or thread that ends meanwhile does not count."""
        cpu_ns = wakeups = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(OSError):
                        cpu_ns += _cpu_ns(task)
                        wakeups += _wakeups(task)
        return cls(cpu_ns, wakeups)


@dataclass(frozen=True, slots=True)
class Rates:
    """What processes use while time goes by: percent of one processor, wake-ups per second."""

    cpu_percent: float
    wakeups_per_s: float


def rates(groups: dict[str, list[int]], seconds: float) -> dict[str, Rates]:
    """Let so much time go by; what each group of processes used in it."""
    before, began = {name: Usage.of(pids) for name, pids in groups.items()}, time.monotonic_ns()
    time.sleep(seconds)
    after, elapsed_ns = (
        {n: Usage.of(pids) for n, pids in groups.items()},
        time.monotonic_ns() - began,
    )
    return {
        name: Rates(
            100 * (after[name].cpu_ns - before[name].cpu_ns) / elapsed_ns,
            (after[name].wakeups - before[name].wakeups) * NS_PER_S / elapsed_ns,
        )
        for name in groups
    }


def of_median(pids: Sequence[int]) -> Memory:
    """The memory of the median process."""
    found = [Memory.of(pid) for pid in pids]
    return Memory(p50([each.pss for each in found]), p50([each.uss for each in found]))


def of_all(pids: Sequence[int]) -> Memory:
    """The memory of all of them together."""
    found = [Memory.of(pid) for pid in pids]
    return Memory(sum(each.pss for each in found), sum(each.uss for each in found))


def _cpu_ns(task: Path) -> int:
    return int((task / "schedstat").read_text().split()[0])


def _wakeups(task: Path) -> int:
    _, _, rest = (task / "status").read_text().partition("\nvoluntary_ctxt_switches:")
    return int(rest.split()[0])
