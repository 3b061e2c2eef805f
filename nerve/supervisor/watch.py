"""What a worker and all its descendants use together: memory, processes.

Parent, on the loop; only `weigh` runs in a thread. A worker limits itself
(`nerve.worker.limits`), and what its kernel limits cannot see is looked for from here: shared
memory, the sum over child processes, how many of them there are.

A look adds up resident sizes, a number that the kernel has ready: 25 us for a worker without
children. The sum is never too low and may be too high, as it counts what processes share once for
each. So a sum over the limit accuses nobody: then the processes are weighed, each page
divided by the number of those that share it and pages of files left out, which the kernel can take
back. That walks page tables, takes milliseconds for each GB, and can wait for a lock that the
worker holds; hence the thread.

Not seen: files in a tmpfs that nobody has mapped; memory that was swapped out; children of a thread
beyond the first MAX_TASKS of its process.
"""

import mmap
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nerve.clock import Clock
from nerve.config.models import GroupConfig
from nerve.config.sizes import BYTES_PER_UNIT, show_size
from nerve.process.kernel import children, read_proc

BUSY_LOOK_S = 0.5
"""Between two looks at a worker that computes, or that loads its senses."""
IDLE_LOOK_S = 5.0
"""Between two looks at one that does neither: what a sense left behind may still grow."""
EARLY_S = 0.1
"""So much too early a call still counts, as timers are not exact and the next one is far away."""
SPREAD = 10
"""Parts of IDLE_LOOK_S to spread the workers over, or fifty would be looked at in one turn."""
REST_FACTOR = 20
"""A look or a weighing is followed by a rest of so many times its length, 5 s at most: so a
worker with a thousand children costs the parent little more than one without."""
WEIGH_TIMEOUT_S = 5.0
"""After it the sum decides. A worker whose pages cannot be counted is not left to grow for that."""
MAX_TASKS = 256
"""Threads of one process that are asked for their children in a look, 5 us each."""
COUNTED_BEYOND = 100
"""Processes over the limit that are still counted, to say by how much it was exceeded."""

_STATE, _RESIDENT_PAGES = 0, 21
"""Places in /proc/PID/stat from the state on (proc(5): fields 3 and 24)."""
_RESIDENT, _SHARED = 1, 2
"""Places in /proc/PID/statm; what is resident and not shared is anonymous."""
_OWN = (b"Pss_Anon:", b"Pss_Shmem:")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a worker and its descendants use at one moment.

    Attributes:
        resident_bytes: all of them together.
        processes: the descendants that are alive.
        pids: of all of them, the worker first.
        is_complete: False where there were more than were counted.
    """

    resident_bytes: int = 0
    processes: int = 0
    pids: tuple[int, ...] = ()
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that was exceeded.

    Attributes:
        limit: its key under `groups.<group>` in nerve.yaml.
        allowed: its value, in bytes or processes.
        measured: what was found instead.
        message: both, as what the worker does: `uses 1.2 GB of memory, limit 1 GB`.
        pids: of the processes that were counted, the worker first.
    """

    limit: Literal["memory", "processes"]
    allowed: int
    measured: int
    message: str
    pids: tuple[int, ...] = ()


class Watch:
    """Looks at one worker, now and then; made anew for its replacement."""

    def __init__(self, pid: int, limits: GroupConfig, clock: Clock) -> None:
        self._pid = pid
        self._limits = limits
        self._clock = clock
        self._looked_at = clock.monotonic() - pid % SPREAD * IDLE_LOOK_S / SPREAD
        self._rest_s = 0.0
        self._weighing: _Weighing | None = None

    @property
    def is_weighing(self) -> bool:
        """Whether a verdict is some milliseconds away, so that it pays to check again soon."""
        return self._weighing is not None

    def check(self, *, is_busy: bool) -> Excess | None:
        """Look, if it is time to, and return what was exceeded; to be called every BUSY_LOOK_S.

        Raises nothing.
        """
        if self._weighing is not None:
            return self._verdict(self._weighing)
        began = self._clock.monotonic()
        interval_s = BUSY_LOOK_S if is_busy else IDLE_LOOK_S
        if began - self._looked_at < max(interval_s - EARLY_S, self._rest_s):
            return None
        usage = look(self._pid, most=self._limits.processes + COUNTED_BEYOND)
        self._rest(began)
        excess = exceeded(usage, self._limits)
        if excess is None or excess.limit == "processes":
            return excess
        with suppress(RuntimeError):  # no thread to be had: the next look tries again
            self._weighing = _Weighing(usage, self._clock)
        return None

    def _verdict(self, weighing: "_Weighing") -> Excess | None:
        if not weighing.is_over:
            return None
        self._weighing = None
        self._rest(weighing.began)
        return exceeded(weighing.usage, self._limits)

    def _rest(self, began: float) -> None:
        self._looked_at = self._clock.monotonic()
        self._rest_s = min(IDLE_LOOK_S, REST_FACTOR * (self._looked_at - began))


class _Weighing:
    """A weighing under way. Its thread holds nothing, so that it can be left behind."""

    def __init__(self, usage: Usage, clock: Clock) -> None:
        self.began = clock.monotonic()
        self.usage = usage
        self._clock = clock
        self._thread = threading.Thread(target=self._weigh, name="weighing", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether `usage` has been weighed, or there was no waiting for it any longer."""
        is_late = self._clock.monotonic() - self.began > WEIGH_TIMEOUT_S
        return is_late or not self._thread.is_alive()

    def _weigh(self) -> None:
        self.usage = replace(self.usage, resident_bytes=weigh(self.usage.pids))


def exceeded(usage: Usage, limits: GroupConfig) -> Excess | None:
    """Tell which limit is exceeded, and by how much."""
    if usage.processes > limits.processes:
        count = f"{usage.processes:,}{'' if usage.is_complete else ' or more'}"
        message = f"has {count} child processes, limit {limits.processes:,}"
        return Excess("processes", limits.processes, usage.processes, message, usage.pids)
    if usage.resident_bytes > limits.memory_bytes:
        used, limit = show_size(usage.resident_bytes), show_size(limits.memory_bytes)
        message = f"uses {used} of memory, limit {limit}"
        return Excess("memory", limits.memory_bytes, usage.resident_bytes, message, usage.pids)
    return None


def look(pid: int, *, most: int) -> Usage:
    """Add up a process and its descendants, no more than `most` of these.

    What is gone counts nothing; raises nothing.
    """
    resident_bytes, pids = 0, list[int]()
    waiting = deque([pid])
    while waiting and len(pids) <= most:
        process = waiting.popleft()
        size_bytes = _resident_bytes(process)
        if size_bytes is not None:
            resident_bytes += size_bytes
            pids.append(process)
            waiting += children(process, most_tasks=MAX_TASKS)
    return Usage(resident_bytes, max(0, len(pids) - 1), tuple(pids), is_complete=not waiting)


def weigh(pids: tuple[int, ...]) -> int:
    """Add up what these processes hold that is no page of a file, in bytes; may block."""
    return sum(_own_bytes(pid) for pid in pids)


def _resident_bytes(pid: int) -> int | None:
    """Resident size in bytes; None for a process that is gone or waits to be reaped."""
    stat = read_proc(f"/proc/{pid}/stat")
    # The fields follow the name, which stands in parentheses and may hold any byte.
    fields = stat[stat.rfind(b")") + 2 :].split()
    if not stat or fields[_STATE] in {b"Z", b"X"}:
        return None
    return int(fields[_RESIDENT_PAGES]) * mmap.PAGESIZE


def _own_bytes(pid: int) -> int:
    with suppress(OSError):
        rows = [
            line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
        ]
        own = [int(row[1]) for row in rows if row[0] in _OWN]
        if own:
            return sum(own) * BYTES_PER_UNIT["KB"]
    # Not ours to read, as with a program of another user's; or a kernel before 5.3.
    pages = read_proc(f"/proc/{pid}/statm").split()
    return (int(pages[_RESIDENT]) - int(pages[_SHARED])) * mmap.PAGESIZE if pages else 0
