"""Ten thousand senses on a schedule: what is missed, what is late, and what that costs.

    .venv/bin/python benchmarks/schedule.py [--senses 10000 [...]] [--seconds 120] [--json]

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
from pathlib import Path

from benchmarks.keeping import BEGIN_PATIENCE_S, Kept, Plan, measure
from benchmarks.machine import describe_machine
from benchmarks.pacers import name_of
from nerve.clock import MS_PER_S

COMPUTES_PER_S = 1_000
GROUPS = 8
TELL_EVERY = 10
LIMITS = "{open_files: 8192, memory: 4GB, nice: 0}"
"""Three descriptors for each sense; and no place behind the floor and APScheduler."""
WITHOUT_APSCHEDULER = "APScheduler is left out, as it is not installed: pip install -e '.[bench]'"


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
    from nerve.supervisor import supervisor

    # Databases are made before the measured time, and that may take a minute.
    vars(supervisor).update(GATE_PATIENCE_S=BEGIN_PATIENCE_S)
    serve_noting(folder, unchecked=False)


def measure_size(folder: Path, plan: Plan) -> Iterator[Kept]:
    """Measure all of them at one size, one after the other."""
    for who, tell_every in (("nerve", 0), ("nerve, signals", TELL_EVERY)):
        place = folder / f"nerve-{plan.senses}-{tell_every}"
        make_project(place, plan)
        yield measure(who, _nerve(place), place, plan, tell_every)
    if has_apscheduler():
        place = folder / f"apscheduler-{plan.senses}"
        arguments = (str(place), str(plan.senses), str(plan.interval_ms))
        command = [sys.executable, "-m", "benchmarks.pacers", "apscheduler", *arguments]
        yield measure("APScheduler", command, place, plan, 0)


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
        measured = [kept for plan in plans for kept in measure_size(Path(name), plan)]
    machine["load at the end"] = f"{os.getloadavg()[0]:.1f}"
    if arguments.json:
        print(json.dumps({"machine": machine, "runs": [asdict(m) for m in measured]}, indent=1))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{COMPUTES_PER_S:,} computes a second for {arguments.seconds:.0f} s each\n")
    print(table(measured))
    if not has_apscheduler():
        print(f"\n{WITHOUT_APSCHEDULER}")


if __name__ == "__main__":
    main()
