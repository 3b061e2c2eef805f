"""How well a process keeps a schedule: what it missed, how late it was, and what that cost.

Beside each one that is measured, at the same time, runs the floor (`pacers`), which takes 2 % of a
processor. What the machine does to both, it alone tells.
"""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import p50, p99
from benchmarks.lateness import late_s
from benchmarks.pacers import phases_s
from benchmarks.ticking import NOTES, TELL_EVERY, notes_in
from benchmarks.usage import NS_PER_S, Usage
from nerve.clock import MS_PER_S, US_PER_S
from nerve.process.tree import descendants

WARM_UP_S = 3.0
"""After the start of the schedule, left out: what ten thousand reports of senses lead to."""
LAST_S = 1.0
"""After the window: what was due in time may come late."""
POLL_S = 0.05
BEGIN_PATIENCE_S = 600.0
"""For ten thousand new databases."""
STOP_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be kept: so many senses, each due every so often, for so long."""

    senses: int
    interval_ms: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """Of the ticks that were due in a window; times in milliseconds."""

    due: int
    missed: int
    p50: float
    p99: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Kept:
    """How one process, and all below it, kept a plan.

    Attributes:
        floor: of the floor, in the same window.
        floor_us: processor time of the floor for one tick.
        ready_s: from its launch to the start of its schedule.
        parent, workers: in percent of one processor; the process itself, and all below it.
        parent_us, workers_us: the same for one compute.
    """

    who: str
    senses: int
    late: Late
    floor: Late
    floor_us: float
    ready_s: float
    parent: float
    workers: float
    parent_us: float
    workers_us: float


@dataclass(frozen=True, slots=True)
class _Mark:
    """A moment on the monotonic clock, and what had been used by then, in seconds."""

    at: float
    parent_s: float
    workers_s: float
    floor_s: float


class _Process:
    """One that keeps a plan, and where it notes what."""

    def __init__(self, command: list[str], folder: Path, tell_every: int = 0) -> None:
        self._folder = folder
        self._notes = folder / "notes"
        self._notes.mkdir(parents=True)
        root = str(Path(__file__).parents[1])
        own = {"PYTHONPATH": root, NOTES: str(self._notes), TELL_EVERY: str(tell_every)}
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            command, env={**os.environ, **own}, stdout=subprocess.DEVNULL
        )
        self.start = 0.0

    def await_start(self) -> None:
        """Wait until its schedule begins; raises RuntimeError or TimeoutError."""
        file = self._folder / "start"
        while not (file.exists() and file.stat().st_size):
            self.require_running()
            if time.monotonic() > self._began + BEGIN_PATIENCE_S:
                raise TimeoutError("its schedule does not begin")
            time.sleep(POLL_S)
        self.start = float(file.read_text())

    @property
    def ready_s(self) -> float:
        """From its launch to the start of its schedule."""
        return self.start - self._began

    def require_running(self) -> None:
        """Raise RuntimeError if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"it has ended with {self._process.returncode}")

    def cpu_s(self) -> tuple[float, float]:
        """Processor time of the process, and of all below it."""
        pid = self._process.pid
        both = Usage.of([pid]), Usage.of(descendants(pid))
        return both[0].cpu_ns / NS_PER_S, both[1].cpu_ns / NS_PER_S

    def end(self) -> None:
        """Have it stop."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(STOP_TIMEOUT_S)
        self._process.kill()
        self._process.wait()

    def late(self, plan: Plan, window: tuple[float, float]) -> Late:
        """What was due in a window, and how late that was."""
        began: dict[int, list[float]] = defaultdict(list)
        for number, at in notes_in(self._notes):
            began[number].append(at)
        interval_s = plan.interval_ms / MS_PER_S
        late_ms: list[float] = []
        due = 0
        for number, phase in enumerate(phases_s(plan.senses, plan.interval_ms)):
            first, starts = self.start + phase, sorted(began[number])
            due += sum(1 for _ in _ticks_in(window, first, interval_s))
            for at, late in zip(starts, late_s(starts, first, interval_s), strict=True):
                if window[0] <= at - late < window[1]:
                    late_ms.append(MS_PER_S * late)
        return Late(due, due - len(late_ms), p50(late_ms), p99(late_ms), max(late_ms))


def measure(
    who: str, command: Sequence[str], folder: Path, plan: Plan, tell_every: int, windows: int = 1
) -> list[Kept]:
    """Run a process and the floor for so many windows, and read what both have noted."""
    beside = folder / "floor"
    with contextlib.ExitStack() as stack:
        process = _Process([*command], folder, tell_every)
        stack.callback(process.end)
        process.await_start()
        arguments = (str(beside), str(plan.senses), str(plan.interval_ms))
        floor = _Process([sys.executable, "-m", "benchmarks.pacers", "floor", *arguments], beside)
        stack.callback(floor.end)
        floor.await_start()
        _sleep_until(max(process.start, floor.start) + WARM_UP_S)
        marks = [_mark(process, floor)]
        for _ in range(windows):
            _sleep_until(marks[-1].at + plan.seconds)
            marks.append(_mark(process, floor))
        _sleep_until(marks[-1].at + LAST_S)
        process.require_running()
    return [
        _kept(who, plan, process, floor, begin, end) for begin, end in itertools.pairwise(marks)
    ]


def _mark(process: _Process, floor: _Process) -> _Mark:
    return _Mark(time.monotonic(), *process.cpu_s(), floor.cpu_s()[0])


def _kept(
    who: str, plan: Plan, process: _Process, floor: _Process, begin: _Mark, end: _Mark
) -> Kept:
    window = (begin.at, end.at)
    late, floor_late = process.late(plan, window), floor.late(plan, window)
    computes, lasted_s = late.due - late.missed, end.at - begin.at
    parent_s, workers_s = end.parent_s - begin.parent_s, end.workers_s - begin.workers_s
    return Kept(
        who,
        plan.senses,
        late,
        floor_late,
        US_PER_S * (end.floor_s - begin.floor_s) / floor_late.due,
        process.ready_s,
        100 * parent_s / lasted_s,
        100 * workers_s / lasted_s,
        US_PER_S * parent_s / computes,
        US_PER_S * workers_s / computes,
    )


def _ticks_in(window: tuple[float, float], first: float, interval_s: float) -> Iterator[float]:
    tick = max(0, int((window[0] - first) / interval_s))
    while (at := first + tick * interval_s) < window[1]:
        if at >= window[0]:
            yield at
        tick += 1


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
