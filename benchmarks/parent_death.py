"""How long after the parent's SIGKILL the last of its processes is gone.

    .venv/bin/python benchmarks/parent_death.py [--rounds 20] [--json]

Each round starts nerve over the state directory of the last one, waits until ten workers are busy
and have three grandchildren each, kills, and waits for the end of every process that was there.
Then nothing may be left: no process, nothing of theirs in /dev/shm, no lock; and the next start
has to tell of the crash. Times are printed beside the goal, and nothing judges them; what is left
behind makes the exit code 1.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.doomed import (
    GRANDCHILDREN,
    GROUPS,
    Doomed,
    crashes_told,
    make_project,
    pidfds,
    shared_memory,
)
from benchmarks.machine import describe_machine
from nerve.process.kernel import children
from nerve.store.state_dir import StateDir

GOAL_MS = 200
NS_PER_MS = 1_000_000
HALF = GROUPS // 2
FEWEST_PROCESSES = GROUPS * (1 + GRANDCHILDREN) + 2
"""Workers, their children, the fork server and the parent."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens immediately before the parent's SIGKILL, and how many senses are busy in C."""

    name: str
    in_c: int = HALF
    before: Callable[[Doomed], None] = lambda _: None


def _terminate_group(doomed: Doomed) -> None:
    os.killpg(doomed.parent, signal.SIGTERM)


def _kill_fork_server(doomed: Doomed) -> None:
    os.kill(doomed.fork_server, signal.SIGKILL)


def _kill_sentry(doomed: Doomed) -> None:
    os.kill(doomed.sentry, signal.SIGKILL)


def _stop_a_worker(doomed: Doomed) -> None:
    os.kill(children(doomed.fork_server)[0], signal.SIGSTOP)


SCENARIOS = (
    Scenario("loops in Python", in_c=0),
    Scenario("half of them in C, under the GIL"),
    Scenario("SIGTERM to the group before", before=_terminate_group),
    Scenario("SIGKILL of the fork server before", before=_kill_fork_server),
    Scenario("SIGKILL of the sentry before", before=_kill_sentry),
    Scenario("a worker stopped by SIGSTOP", before=_stop_a_worker),
)


@dataclass(frozen=True, slots=True)
class Round:
    """One death: milliseconds until the last process was gone, and what was wrong afterwards."""

    elapsed_ms: float
    processes: int
    faults: list[str]


def die_once(folder: Path, scenario: Scenario) -> Round:
    """Start, kill, and look at what is left; every fault is told, none is raised."""
    doomed = Doomed(folder)
    with ExitStack() as stack:
        stack.callback(doomed.end)
        doomed.await_busy()
        there = doomed.processes()
        shared = shared_memory(there)
        held = pidfds(there, stack)
        began = time.monotonic_ns()
        scenario.before(doomed)
        os.kill(doomed.parent, signal.SIGKILL)
        late = doomed.wait_for_end(held)
        elapsed_ms = (time.monotonic_ns() - began) / NS_PER_MS
        faults = [f"left behind: {name}" for name in doomed.end()]
    faults += [f"{late} processes did not end in time"] if late else []
    faults += _faults_around(folder, shared, len(there))
    return Round(elapsed_ms, len(there), faults)


def _faults_around(folder: Path, shared: set[Path], processes: int) -> list[str]:
    faults = []
    if processes < FEWEST_PROCESSES:
        faults.append(f"only {processes} processes were there, this measures nothing")
    if left := [path.name for path in shared if path.exists()]:
        faults.append(f"left in /dev/shm: {', '.join(left)}")
    if (holder := StateDir(folder / "data").holder()) is not None:
        faults.append(f"the state directory is still locked, by {holder}")
    return faults


def die_often(folder: Path, scenario: Scenario, count: int) -> list[Round]:
    """Do it `count` times over one state directory; each start has to tell of the last crash."""
    make_project(folder, in_c=scenario.in_c)
    rounds = []
    for number in range(count):
        rounds.append(die_once(folder, scenario))
        told = len(crashes_told(folder))
        if told != number:
            rounds[-1].faults.append(f"of {number} crashes {told} were told by later starts")
    return rounds


def _report(scenario: Scenario, rounds: list[Round]) -> str:
    times = sorted(r.elapsed_ms for r in rounds)
    within = sum(time <= GOAL_MS for time in times)
    return (
        f"{scenario.name:36}{times[0]:7.0f}{times[len(times) // 2]:9.0f}{times[-1]:7.0f} ms"
        f"   {within} of {len(times)} within {GOAL_MS} ms"
        f"   {sum(not r.faults for r in rounds)} of {len(times)} without fault"
    )


def _to_json(scenario: Scenario, rounds: list[Round]) -> dict[str, object]:
    return {
        "scenario": scenario.name,
        "ms": [round(r.elapsed_ms, 1) for r in rounds],
        "processes": [r.processes for r in rounds],
        "faults": [fault for r in rounds for fault in r.faults],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    results: list[tuple[Scenario, list[Round]]] = []
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        if not arguments.json:
            print(", ".join(f"{key} {value}" for key, value in machine.items()))
            print(f"until the last of {FEWEST_PROCESSES} processes or more is gone\n")
            print(f"{'':36}{'least':>7}{'median':>9}{'most':>7}")
        for number, scenario in enumerate(SCENARIOS):
            rounds = die_often(Path(name) / str(number), scenario, arguments.rounds)
            results.append((scenario, rounds))
            if not arguments.json:
                _print_result(scenario, rounds)
    if arguments.json:
        print(json.dumps({"machine": machine, "deaths": [_to_json(*r) for r in results]}, indent=1))
    return int(any(r.faults for _, rounds in results for r in rounds))


def _print_result(scenario: Scenario, rounds: list[Round]) -> None:
    print(_report(scenario, rounds), flush=True)
    faults = [fault for r in rounds for fault in r.faults]
    for fault in sorted(set(faults)):
        print(f"    {faults.count(fault)} times: {fault}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
