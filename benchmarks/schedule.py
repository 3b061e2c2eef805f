"""Ten thousand senses on a schedule: what is missed, what is late, and what that costs.

    .venv/bin/python benchmarks/schedule.py [--senses 10000 [...]] [--seconds 120] [--json]

and a section of `bench`, at SIZES.

A thousand computes a second, whatever the number of senses: 10 of them every 10 ms, 10,000 every
10 s, in 8 groups, with phases spread over the interval. So the cost of one compute at one size is
to be compared with its cost at another. For each size the same due times are kept by

* nerve, with senses that do nothing (`ticking`),
* nerve, where every tenth compute returns a small signal,
* APScheduler with 8 processes (`pacers`), if it is installed,

each a process of its own, one after the other, and beside each of them a floor that calls nothing.
Late is what lies between when a tick was due and the first line of its compute, stamped there, on
the monotonic clock, which all processes share.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from benchmarks.figures import Extent, Figure, Finding, Note, side_by_side
from benchmarks.keeping import BEGIN_PATIENCE_S, Kept, Plan
from benchmarks.keeping import measure as measure_kept
from benchmarks.machine import describe_machine
from benchmarks.pacers import name_of
from nerve.clock import MS_PER_S

COMPUTES_PER_S = 1_000
SIZES = (10, 100, 1_000, 10_000)
FLOOR = "a heap and epoll"
GROUPS = 8
NERVES = (("nerve", 0), ("nerve, signals", 10))
"""With a signal from each so many computes."""
LIMITS = "{open_files: 8192, memory: 4GB, nice: 0}"
"""Three descriptors for each sense; and no place behind the floor and APScheduler."""
WITHOUT_APSCHEDULER = "left out, as it is not installed: pip install -e '.[bench]'"


def plan_for(senses: int, seconds: float) -> Plan:
    """So many senses that are COMPUTES_PER_S together."""
    return Plan(senses, senses * MS_PER_S // COMPUTES_PER_S, seconds)


def make_project(folder: Path, plan: Plan) -> None:
    """Write nerve.yaml; all senses are one module."""
    names = [name_of(number) for number in range(plan.senses)]
    times = f"interval: {plan.interval_ms}ms, jitter: {plan.interval_ms}ms"
    lines = [
        "senses:",
        *(
            f"  {name}: {{use: benchmarks.ticking, group: g{int(name[1:]) % GROUPS}}}"
            for name in names
        ),
        "groups:",
        *(f"  g{number}: {LIMITS}" for number in range(GROUPS)),
        "reflexes:",
        f"  - {{kind: sense, {times}, sense: [{', '.join(names)}]}}",
    ]
    folder.mkdir()
    (folder / "nerve.yaml").write_text("\n".join(lines) + "\n")


def serve(folder: Path) -> None:
    """Be nerve, and write down when the schedule began."""
    from benchmarks.lateness import serve as serve_noting
    from nerve.supervisor import bounds

    # Databases are made before the measured time, and that may take a minute.
    vars(bounds).update(GATE_PATIENCE_S=BEGIN_PATIENCE_S)
    serve_noting(folder, unchecked=False)


def measure(folder: Path, extent: Extent) -> list[Finding]:
    """The section: each size beside the floor, and beside the smallest one."""
    seconds, windows = extent.of(10.0, 1.5, 1.0), extent.of(3, 2, 1)
    sizes = extent.of(SIZES, SIZES[1:2], SIZES[:1])
    found: list[Finding] = []
    smallest: dict[str, list[Kept]] = {}
    everything = extent is Extent.THOROUGH
    for size in sizes:
        plan, figures = plan_for(size, seconds), list[Figure]()
        for kept in measure_size(folder, plan, windows, all_of_them=everything):
            figures += beside_the_floor(kept)
            smallest.setdefault(kept[0].who, kept)
            if size > sizes[0]:
                figures.append(beside_another_size(kept, smallest[kept[0].who]))
        found += side_by_side(figures)
    if not everything:
        left_out = ", ".join(f"{size:,}" for size in SIZES if size not in sizes)
        found.append(Note("schedule", f"left out: {left_out} senses, signals, APScheduler"))
    elif not has_apscheduler():
        found.append(Note("APScheduler", WITHOUT_APSCHEDULER))
    return found


def measure_size(
    folder: Path, plan: Plan, windows: int = 1, *, all_of_them: bool = True
) -> Iterator[list[Kept]]:
    """Measure nerve, and all others unless told otherwise, at one size, one after the other."""
    for who, tell_every in NERVES if all_of_them else NERVES[:1]:
        place = folder / f"nerve-{plan.senses}-{tell_every}"
        make_project(place, plan)
        yield measure_kept(who, _nerve(place), place, plan, tell_every, windows)
    if all_of_them and has_apscheduler():
        place = folder / f"apscheduler-{plan.senses}"
        arguments = (str(place), str(plan.senses), str(plan.interval_ms))
        command = [sys.executable, "-m", "benchmarks.pacers", "apscheduler", *arguments]
        name = f"APScheduler {metadata.version('apscheduler')}"
        yield measure_kept(name, command, place, plan, 0, windows)


def beside_the_floor(kept: Sequence[Kept]) -> Iterator[Figure]:
    """How late each was, and what it cost."""
    who, senses = kept[0].who, f"{kept[0].senses:,} senses"

    def figure(what: str, unit: str, values: list[float], floor: list[float]) -> Figure:
        return Figure(f"{senses}: {what}", FLOOR if floor else "", unit, values, floor, who=who)

    for part in ("p50", "p99", "maximum"):
        values = [getattr(window.late, part) for window in kept]
        yield figure(f"late, {part}", "ms", values, [getattr(w.floor, part) for w in kept])
    missed = [float(w.late.missed) for w in kept]
    yield figure("missed", "ticks", missed, [float(w.floor.missed) for w in kept])
    costs = [w.parent_us for w in kept]
    yield figure("the parent, for one compute", "us", costs, [w.floor_us for w in kept])
    yield figure("all workers, for one compute", "us", [w.workers_us for w in kept], [])
    yield figure("the parent, of a processor", "%", [w.parent for w in kept], [])


def beside_another_size(kept: Sequence[Kept], other: Sequence[Kept]) -> Figure:
    """What one compute costs all processes together, at two sizes; from two runs."""
    costs = ([w.parent_us + w.workers_us for w in windows] for windows in (kept, other))
    what = f"{kept[0].senses:,} senses: all processes, for one compute"
    return Figure(what, f"the same with {other[0].senses:,}", "us", *costs, who=kept[0].who)


def _nerve(place: Path) -> list[str]:
    return [sys.executable, __file__, "--serve", str(place)]


def has_apscheduler() -> bool:
    """Whether the extra `bench` is installed."""
    return importlib.util.find_spec("apscheduler") is not None


def table(measured: Sequence[Kept]) -> str:
    """Write all as aligned text."""
    late = ("due", "missed", "p50 ms", "p99 ms", "max ms")
    head = ("who", "senses", *late, "floor's", "", "", "parent %", "us", "workers %", "us")
    rows = [head, *map(_row, measured)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(kept: Kept) -> tuple[str, ...]:
    counts = (f"{kept.senses:,}", f"{kept.late.due:,}", f"{kept.late.missed:,}")
    late = (
        f"{ms:.2f}" for who in (kept.late, kept.floor) for ms in (who.p50, who.p99, who.maximum)
    )
    cost = (f"{kept.parent:.1f}", f"{kept.parent_us:.0f}")
    beside = (f"{kept.workers:.1f}", f"{kept.workers_us:.0f}")
    return (kept.who, *counts, *late, *cost, *beside)


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
    plans = [plan_for(senses, arguments.seconds) for senses in arguments.senses]
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        measured = [kept for plan in plans for (kept,) in measure_size(Path(name), plan)]
    machine["load at the end"] = f"{os.getloadavg()[0]:.1f}"
    if arguments.json:
        print(json.dumps({"machine": machine, "runs": [asdict(m) for m in measured]}, indent=1))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{COMPUTES_PER_S:,} computes a second for {arguments.seconds:.0f} s each\n")
    print(table(measured))
    if not has_apscheduler():
        print(f"\nAPScheduler: {WITHOUT_APSCHEDULER}")


if __name__ == "__main__":
    main()
