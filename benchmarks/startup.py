"""How long a command takes before it has said anything: what its imports cost, most of all.

    .venv/bin/python benchmarks/startup.py [--rounds 20] [--json]

A nerve runs with six senses, and the commands and a bare `python -c pass` take turns, each in a
process of its own. What is printed is the difference to the bare one of the same turn beside the
goal: the time that passed, and that of the processor alone, which a busy machine changes less.
Nothing judges it. `python -X importtime -m nerve status` shows what it is made of.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Spread
from benchmarks.machine import describe_machine

SENSES = ("one", "two", "three", "four", "five", "six")
SENSE = "def compute(db, peers, ctx):\n    return {'summary': 'well'}\n"
CONFIG = """\
senses: {%s}
reflexes:
  - {kind: sense, sense: [%s], interval: 1s}
"""
READY_TIMEOUT_S = 30.0
MS_PER_S = 1_000
BARE = (sys.executable, "-c", "pass")
NERVE = (sys.executable, "-m", "nerve")


@dataclass(frozen=True, slots=True)
class Timed:
    """A command line.

    Attributes:
        goal_ms: what it may take over a bare Python; None without a goal.
        environ: what it finds in its environment besides.
    """

    name: str
    words: tuple[str, ...]
    goal_ms: int | None = None
    environ: tuple[tuple[str, str], ...] = ()


COMMANDS = (
    Timed("nerve --help", (*NERVE, "--help"), 100),
    Timed("nerve status", (*NERVE, "status"), 200),
    Timed("nerve why one", (*NERVE, "why", "one")),
    Timed("nerve logs", (*NERVE, "logs")),
    Timed(
        "complete: nerve why <TAB>",
        NERVE,
        150,
        (("_NERVE_COMPLETE", "bash_complete"), ("COMP_WORDS", "nerve why "), ("COMP_CWORD", "2")),
    ),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took, in milliseconds: time that passed, and of the processor."""

    passed: float
    processor: float

    def over(self, other: "Cost") -> "Cost":
        """What it took more than another one."""
        return Cost(self.passed - other.passed, self.processor - other.processor)


def measure(folder: Path, rounds: int) -> dict[str, list[Cost]]:
    """Let all take turns beside a nerve that runs; what each took over the bare one, by name."""
    _make_project(folder)
    nothing = subprocess.DEVNULL
    with subprocess.Popen([*NERVE, "run"], cwd=folder, stdout=nothing, stderr=nothing) as nerve:
        try:
            _await_ready(folder)
            turns = [_turn(folder) for _ in range(rounds + 1)][1:]  # the first reads from the disk
        finally:
            nerve.send_signal(signal.SIGTERM)
    return {command.name: [turn[command.name] for turn in turns] for command in COMMANDS}


def _make_project(folder: Path) -> None:
    names = ", ".join(SENSES)
    (folder / "nerve.yaml").write_text(CONFIG % (": {}, ".join(SENSES) + ": {}", names))
    (folder / "senses").mkdir()
    for name in SENSES:
        (folder / "senses" / f"{name}.py").write_text(SENSE)


def _await_ready(folder: Path) -> None:
    give_up = time.monotonic() + READY_TIMEOUT_S
    while subprocess.run(
        [*NERVE, "status"], cwd=folder, capture_output=True, check=False
    ).returncode:
        if time.monotonic() > give_up:
            raise TimeoutError("nerve is not ready")


def _turn(folder: Path) -> dict[str, Cost]:
    bare = _cost(folder, BARE)
    return {c.name: _cost(folder, c.words, dict(c.environ)).over(bare) for c in COMMANDS}


def _cost(folder: Path, words: Sequence[str], environ: dict[str, str] | None = None) -> Cost:
    began, environ = time.perf_counter(), {**os.environ, **(environ or {})}
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(words, cwd=folder, env=environ, stdout=nothing, stderr=nothing)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    passed_s, processor_s = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return Cost(passed_s * MS_PER_S, processor_s * MS_PER_S)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        found = measure(Path(name), arguments.rounds)
    if arguments.json:
        over = {name: [asdict(cost) for cost in costs] for name, costs in found.items()}
        print(json.dumps({"machine": machine, "over_bare_ms": over}))
        return
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(f"\n{'milliseconds over a bare Python':32}{'passed':>16}{'processor':>16}{'goal':>7}")
    for command in COMMANDS:
        costs = found[command.name]
        passed = Spread.of([cost.passed for cost in costs])
        processor = Spread.of([cost.processor for cost in costs])
        told = [f"{s.median:.0f} [{s.q1:.0f}, {s.q3:.0f}]" for s in (passed, processor)]
        print(f"{command.name:32}{told[0]:>16}{told[1]:>16}{command.goal_ms or '':>7}")


if __name__ == "__main__":
    main()
