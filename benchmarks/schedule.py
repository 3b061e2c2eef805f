"""Ten thousand senses on a schedule: what is missed, what is late, and what that costs.

    .venv/bin/python benchmarks/schedule.py [--senses 10000 [...]] [--seconds 120] [--json]

A thousand computes a second, whatever the number of senses: 10 of them every 10 ms, 10,000 every
10 s, in 8 groups, with phases spread over the interval. So the cost of one compute at one size is
to be compared with its cost at another. For each size the same due times are kept by

* a floor, which calls nothing (`pacers`),
* nerve, with senses that do nothing (`ticking`),
* nerve, where every tenth compute returns a small signal,
* APScheduler with 8 processes, if it is installed,

each a process of its own, one after the other. Late is what lies between when a tick was due and
the first line of its compute, stamped there, on the monotonic clock, which all processes share.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.figures import p50, p99
from benchmarks.first_figures import describe_machine
from benchmarks.lateness import late_s
from benchmarks.pacers import name_of, phases_s
from benchmarks.ticking import NOTES, TELL_EVERY, notes_in
from nerve.clock import MS_PER_S, US_PER_S

COMPUTES_PER_S = 1_000
GROUPS = 8
TOLD_EVERY = 10
WARM_UP_S = 3.0
"""After the start of the schedule, left out: what ten thousand reports of senses lead to."""
BEGIN_PATIENCE_S = 600.0
"""For ten thousand new databases."""
STOP_TIMEOUT_S = 120.0
WITHOUT_APSCHEDULER = "APScheduler is left out, as it is not installed: pip install -e '.[bench]'"


@dataclass(frozen=True, slots=True)
class Kept:
    """How one of them kept the schedule.

    Attributes:
        ready_s: from its launch to the start of its schedule.
        p50, p99, maximum: of how late it was, in milliseconds.
        parent, workers: in percent of one processor; the parent alone, and all below it.
        parent_us, workers_us: the same for one compute.
    """

    who: str
    senses: int
    ready_s: float
    due: int
    missed: int
    p50: float
    p99: float
    maximum: float
    parent: float
    workers: float
    parent_us: float
    workers_us: float

    def row(self) -> tuple[str, ...]:
        """As the table shows it."""
        late = (f"{time:.2f}" for time in (self.p50, self.p99, self.maximum))
        cost = (f"{self.parent:.1f}", f"{self.workers:.1f}")
        each = (f"{self.parent_us:.0f}", f"{self.workers_us:.0f}")
        counts = (f"{self.senses:,}", f"{self.due:,}", f"{self.missed:,}")
        return (self.who, *counts, *late, *cost, *each)


def interval_ms_of(senses: int) -> int:
    """The interval at which so many senses are COMPUTES_PER_S together."""
    return senses * MS_PER_S // COMPUTES_PER_S


def make_project(folder: Path, senses: int) -> None:
    """Write nerve.yaml; all senses are one module."""
    names = [name_of(number) for number in range(senses)]
    interval = f"{interval_ms_of(senses)}ms"
    listed = "".join(
        f"  {name}: {{use: benchmarks.ticking, group: g{number % GROUPS}}}\n"
        for number, name in enumerate(names)
    )
    limits = "".join(f"  g{n}: {{open_files: 8192, memory: 4GB}}\n" for n in range(GROUPS))
    reflex = (
        f"{{kind: sense, interval: {interval}, jitter: {interval}, sense: [{', '.join(names)}]}}"
    )
    text = f"senses:\n{listed}groups:\n{limits}reflexes:\n  - {reflex}\n"
    (folder / "nerve.yaml").write_text(text)


def measure(who: str, command: list[str], folder: Path, senses: int, seconds: float) -> Kept:
    """Run one of them for so long, and read what was noted."""
    notes = folder / "notes"
    notes.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), NOTES: str(notes)}
    environment[TELL_EVERY] = str(TOLD_EVERY if "signals" in who else 0)
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        start = _start_of(folder / "start", process)
        _sleep_until(start + WARM_UP_S)
        before, begin = _cpu_s(process.pid), time.monotonic()
        _sleep_until(begin + seconds)
        after, end = _cpu_s(process.pid), time.monotonic()
        _require_running(process)
        _sleep_until(end + 1)  # what was due in time may come late
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)
    finally:
        process.kill()
    late, due = _lateness(notes, start, senses, (begin, end))
    computes, lasted = len(late), end - begin
    spent = [now - then for now, then in zip(after, before, strict=True)]
    times = (p50(late), p99(late), max(late))
    parent, workers = (100 * s / lasted for s in spent)
    parent_us, workers_us = (US_PER_S * s / computes for s in spent)
    ready_s, missed = start - began, due - computes
    return Kept(who, senses, ready_s, due, missed, *times, parent, workers, parent_us, workers_us)


def _start_of(file: Path, process: subprocess.Popen[bytes]) -> float:
    give_up = time.monotonic() + BEGIN_PATIENCE_S
    while not (file.exists() and file.stat().st_size):
        _require_running(process)
        if time.monotonic() > give_up:
            raise TimeoutError("its schedule does not begin")
        time.sleep(0.05)
    return float(file.read_text())


def _require_running(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise RuntimeError(f"it has ended with {process.returncode}")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _cpu_s(pid: int) -> tuple[float, float]:
    """Processor time of a process, and of all below it."""
    parent = psutil.Process(pid)
    below = parent.children(recursive=True)
    return _time_of(parent), sum(map(_time_of, below))


def _time_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _lateness(
    notes: Path, start: float, senses: int, window: tuple[float, float]
) -> tuple[list[float], int]:
    """How late each start in the window was, in milliseconds, and how many were due in it."""
    began: dict[int, list[float]] = defaultdict(list)
    for number, at in notes_in(notes):
        began[number].append(at)
    interval_s = interval_ms_of(senses) / MS_PER_S
    late: list[float] = []
    due = 0
    for number, phase in enumerate(phases_s(senses, interval_ms_of(senses))):
        first, starts = start + phase, sorted(began[number])
        due += sum(1 for _ in _ticks_in(first, interval_s, window))
        for at, late_by_s in zip(starts, late_s(starts, first, interval_s), strict=True):
            if window[0] <= at - late_by_s < window[1]:
                late.append(MS_PER_S * late_by_s)
    return late, due


def _ticks_in(first: float, interval_s: float, window: tuple[float, float]) -> Iterator[float]:
    tick = max(0, int((window[0] - first) / interval_s))
    while (at := first + tick * interval_s) < window[1]:
        if at >= window[0]:
            yield at
        tick += 1


def serve(folder: Path) -> None:
    """Be nerve, and write down when the schedule began."""
    from benchmarks.lateness import serve as serve_noting
    from nerve.supervisor import supervisor

    # Databases are made before the measured time, and that may take a minute.
    vars(supervisor).update(GATE_PATIENCE_S=BEGIN_PATIENCE_S)
    serve_noting(folder, unchecked=False)


def measure_size(folder: Path, senses: int, seconds: float) -> Iterator[Kept]:
    """Measure all of them at one size, one after the other."""
    pacer = [sys.executable, "-m", "benchmarks.pacers"]
    runs = {
        "floor": [*pacer, "floor"],
        "nerve": [],
        "nerve, every tenth signals": [],
    }
    if importlib.util.find_spec("apscheduler"):
        runs["APScheduler"] = [*pacer, "apscheduler"]
    for who, command in runs.items():
        place = folder / f"{senses}-{who.replace(' ', '-').replace(',', '')}"
        place.mkdir()
        if command:
            command += [str(place), str(senses), str(interval_ms_of(senses))]
        else:
            make_project(place, senses)
            command = [sys.executable, __file__, "--serve", str(place)]
        yield measure(who, command, place, senses, seconds)


def table(measured: Sequence[Kept]) -> str:
    """Write all as aligned text."""
    late = ("p50 ms", "p99 ms", "max ms")
    cost = ("parent %", "workers %", "parent us", "workers us")
    head = ("who", "senses", "due", "missed", *late, *cost)
    rows = [head, *(kept.row() for kept in measured)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--senses", type=int, nargs="+", default=[10_000])
    parser.add_argument("--seconds", type=float, default=120.0, help="of each run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        measured = [
            kept
            for senses in arguments.senses
            for kept in measure_size(Path(name), senses, arguments.seconds)
        ]
    if arguments.json:
        print(json.dumps({"machine": machine, "runs": [asdict(m) for m in measured]}, indent=1))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{COMPUTES_PER_S:,} computes a second for {arguments.seconds:.0f} s each\n")
    print(table(measured))
    if not importlib.util.find_spec("apscheduler"):
        print(f"\n{WITHOUT_APSCHEDULER}")


if __name__ == "__main__":
    main()
