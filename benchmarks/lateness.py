"""How late a healthy sense starts, alone and beside ten that mean harm.

    .venv/bin/python benchmarks/lateness.py [--seconds 60] [--json]

Each row of the table is one run of a whole nerve, a process of its own, one after the other. The
healthy sense is due every 50 ms in a group of its own and writes down when it began, on the
monotonic clock; the parent writes down when its schedule began. Late is what lies between when it
was due and its first line: the parent's timer, the queue, the channel, the worker's wake-up.

The hostile senses are due every second, each in a group of its own:

* `quarantined`: as nerve treats them. After three deaths each of them is left alone.
* `unchecked`: rests, quarantines and the end of groups are lifted, so that it goes on for the whole
  run; once without the fork bomb, which takes the processors from all others, and once with it, but
  with `nice: 10` for the hostile groups.
"""

import argparse
import contextlib
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.deaths import forgive_deaths
from benchmarks.figures import p50, p99
from benchmarks.machine import describe_machine
from nerve import app
from nerve.config import load_config
from nerve.reflex.schedule import Schedule

INTERVAL_S = 0.05
MS_PER_S = 1_000
STOP_TIMEOUT_S = 60.0
WARM_UP_S = 1.0
"""At the beginning, which is left out: the boots of eleven workers at once."""

HEALTHY = """
import time

def compute(db, peers, ctx):
    db.exec_driver_sql("INSERT INTO began VALUES (?)", (time.monotonic(),))
"""
MIGRATION = """
from alembic import op
revision = "0001"
down_revision = None

def upgrade():
    op.execute("CREATE TABLE began (at REAL)")
"""
PRELUDE = """
import ctypes, itertools, mmap, os, signal, time

def breed(depth):
    os.setsid()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if depth < 3 and os.fork() == 0:
            breed(depth + 1)
        time.sleep(0.06)
    os._exit(0)

def compute(db, peers, ctx):
    """
SWALLOWING = """while True:
        try:
            while True: time.sleep(0.01)
        except BaseException: pass"""
HOSTILE = {
    "holds-the-gil": "sum(itertools.repeat(1, 10**12))",
    "spins": "while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass",
    "swallows": SWALLOWING,
    "forks": "if os.fork() == 0: breed(0)\n    time.sleep(20)",
    "grows": "pieces = []\n    while True: pieces.append(bytearray(1_000_000))",
    "shares": "much = mmap.mmap(-1, 300_000_000)\n"
    "    for _ in range(300): much.write(bytes(1_000_000))\n    time.sleep(20)",
    "exits": "os._exit(3)",
    "segfaults": "ctypes.string_at(0)",
    "floods": "for n in range(200_000): print(n)",
    "huge": "return 'x' * 20_000_000",
}


@dataclass(frozen=True, slots=True)
class Lateness:
    """One run, in milliseconds; `deaths` of workers meanwhile."""

    name: str
    starts: int
    missing: int
    p50: float
    p99: float
    maximum: float
    deaths: int

    def row(self) -> tuple[str, ...]:
        """As the table shows it."""
        times = (f"{time:.2f}" for time in (self.p50, self.p99, self.maximum))
        return (self.name, str(self.starts), str(self.missing), *times, str(self.deaths))


def late_s(began: Sequence[float], start: float, interval_s: float = INTERVAL_S) -> list[float]:
    """How late each start was, where ticks are due at `start` and every `interval_s` from then on.

    A start answers the first tick after the start before it. Where that one was so late that
    the next tick was held meanwhile, it answers the tick that follows its predecessor's.
    """
    late: list[float] = []
    tick = -1
    for at, before in zip(began, [start - interval_s, *began], strict=False):
        first = max(tick + 1, math.floor((before - start) / interval_s) + 1)
        tick = first if start + first * interval_s <= at else tick + 1
        late.append(at - start - tick * interval_s)
    return late


def make_project(folder: Path, hostile: dict[str, str], nice: int) -> None:
    """Write nerve.yaml and the senses."""
    _write(folder / "senses/healthy", HEALTHY)
    (folder / "senses/healthy/migrations").mkdir()
    (folder / "senses/healthy/migrations/0001.py").write_text(MIGRATION)
    senses = ["senses:", "  healthy: {group: healthy}"]
    reflexes = ["reflexes:", "  - {kind: sense, sense: healthy, interval: 50ms}"]
    groups = ["groups:"] if hostile else []
    for name, body in hostile.items():
        _write(folder / "senses" / name.replace("-", "_"), f"{PRELUDE}{body}\n")
        senses.append(f"  {name}: {{group: {name}, timeout: 300ms, grace_period: 200ms}}")
        reflexes.append(f"  - {{kind: sense, sense: {name}, interval: 1s}}")
        groups.append(f"  {name}: {{memory: 200MB, processes: 20, nice: {nice}}}")
    (folder / "nerve.yaml").write_text("\n".join([*senses, *reflexes, *groups]) + "\n")


def _write(folder: Path, source: str) -> None:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source)


def measure(folder: Path, name: str, seconds: float, *, unchecked: bool = False) -> Lateness:
    """Run nerve in `folder` for so long, and read what the healthy sense wrote down."""
    command = [sys.executable, __file__, "--serve", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [*command, *(["--unchecked"] if unchecked else [])],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(seconds + WARM_UP_S)
            raise RuntimeError(f"nerve ended with {code}")
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)
    finally:
        process.kill()
    start = float((folder / "start").read_text())
    began = [at for (at,) in rows_of(folder / "data/senses/healthy.db", "SELECT at FROM began")]
    late = late_s(began, start)
    late_ms = [MS_PER_S * s for s, at in zip(late, began, strict=True) if at > start + WARM_UP_S]
    ticks = round((began[-1] - start) / INTERVAL_S) + 1
    died = "SELECT count(*) FROM logs WHERE type = 'worker.died'"
    ((deaths,),) = rows_of(folder / "data/logs.db", died)
    numbers = (p50(late_ms), p99(late_ms), max(late_ms))
    return Lateness(name, len(began), ticks - len(began), *numbers, deaths)


def rows_of(database: Path, sql: str) -> list[Any]:
    """What is in a database that a run has left."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        return reader.execute(sql).fetchall()


def serve(folder: Path, *, unchecked: bool) -> None:
    """Be nerve, and write down when the schedule began."""
    made = Schedule.__init__

    def note(self: Schedule, *arguments: Any, now: float, **named: Any) -> None:
        (folder / "start").write_text(repr(now))
        made(self, *arguments, now=now, **named)

    Schedule.__init__ = note  # type: ignore[method-assign]
    if unchecked:
        forgive_deaths()
    loaded = load_config(folder / "nerve.yaml", environ={})
    app.run(loaded, once=False, observe=lambda *_: None)


def table(measured: Sequence[Lateness]) -> str:
    """Write all runs as aligned text."""
    head = ("beside", "starts", "missing", "p50 ms", "p99 ms", "max ms", "deaths")
    rows = [head, *(lateness.row() for lateness in measured)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _measure_all(folder: Path, seconds: float) -> list[Lateness]:
    nine = {name: body for name, body in HOSTILE.items() if name != "forks"}
    runs: tuple[tuple[str, dict[str, str], int, bool], ...] = (
        ("nobody", {}, 0, False),
        ("nine, unchecked, no fork bomb", nine, 0, True),
        ("ten, quarantined", HOSTILE, 0, False),
        ("ten, unchecked, nice 10", HOSTILE, 10, True),
    )
    measured = []
    for number, (name, hostile, nice, unchecked) in enumerate(runs):
        place = folder / str(number)
        make_project(place, hostile, nice)
        measured.append(measure(place, name, seconds, unchecked=unchecked))
    return measured


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the four runs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--unchecked", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, unchecked=arguments.unchecked)
        return
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        measured = _measure_all(Path(name), arguments.seconds)
    if arguments.json:
        print(json.dumps({"machine": machine, "runs": [asdict(m) for m in measured]}, indent=1))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"lateness of a sense that is due every 50 ms, {arguments.seconds:.0f} s each\n")
    print(table(measured))


if __name__ == "__main__":
    main()
