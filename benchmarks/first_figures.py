"""The first figures: a trigger, a start, and memory, each beside a floor.

    .venv/bin/python benchmarks/first_figures.py [--quick] [--json]

This process is nerve's parent; each floor is a process of its own (`floor.py`). They
take turns, so that a noisy machine is noisy for all. Nothing here judges: it
prints ratios with their spread. README.md says what may be compared.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, file_system, report
from benchmarks.floor_process import FloorProcess
from benchmarks.measurements import crowds, starts, triggers
from nerve.process.kernel import become_subreaper
from nerve.process.launch import shut_down

WORKER_IMPORTS = (
    "alembic.autogenerate",
    "alembic.operations.batch",
    "alembic.runtime.environment",
    "alembic.script",
    "pydantic",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.orm",
)
"""What every worker has for its senses; the floor that has it, too, shows nerve's own part."""
GROUPS = 50


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    trigger_blocks: int
    trigger_turns: int
    start_blocks: int
    starts: int
    crowd_blocks: int


THOROUGH = Extent(15, 20, 12, 5, 4)
QUICK = Extent(4, 20, 4, 4, 2)


def measure(folder: Path, bare: FloorProcess, laden: FloorProcess, extent: Extent) -> list[Figure]:
    """Measure everything."""
    return [
        *asyncio.run(
            triggers(folder, bare, blocks=extent.trigger_blocks, turns=extent.trigger_turns)
        ),
        *starts(folder, (bare, laden), blocks=extent.start_blocks, count=extent.starts),
        *asyncio.run(crowds(folder, (bare, laden), blocks=extent.crowd_blocks, groups=GROUPS)),
    ]


@contextlib.contextmanager
def floors(folder: Path) -> Iterator[tuple[FloorProcess, FloorProcess]]:
    """The bare floor, and the one that has imported what workers have."""
    with contextlib.ExitStack() as stack:
        bare = FloorProcess("bare fork", folder / "bare")
        stack.callback(bare.close)
        laden = FloorProcess("fork, a worker's imports", folder / "laden", WORKER_IMPORTS)
        stack.callback(laden.close)
        yield bare, laden


def describe_machine(folder: Path) -> dict[str, str]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "processors": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "files on": file_system(folder),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer blocks, for a first look")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    # Here and not in /tmp, which may lie on another disk, or on none.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        machine = describe_machine(folder)
        become_subreaper()
        with floors(folder) as (bare, laden):
            try:
                figures = measure(folder, bare, laden, QUICK if arguments.quick else THOROUGH)
            finally:
                shut_down()
    print(report(machine, figures, as_json=arguments.json))


if __name__ == "__main__":
    main()
