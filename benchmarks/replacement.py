"""From the death of a worker to its replacement, beside a bare kill and fork.

    .venv/bin/python benchmarks/replacement.py [--quick] [--json]

This process is nerve's parent, and the floors are processes of their own, as in
`bench`. A floor kills its child, waits for it through a pidfd and forks the
next one, which opens a WAL database and says so over a pipe. They take turns. nerve's
time ends where the parent takes `ready`, before that is recorded.
"""

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, p50
from benchmarks.floor_process import FloorProcess
from benchmarks.machine import describe_machine
from benchmarks.report import as_json, as_text
from benchmarks.runtime import (
    DEATHS,
    HANGING_SENSE,
    HANGING_TIMES,
    Nerve,
    forgive_deaths,
    make_project,
)
from nerve.process.kernel import become_subreaper
from nerve.process.launch import shut_down
from nerve.supervisor.preparation import PRELOAD

NS_PER_MS = 1_000_000
KILLS = 5
"""In a row on each side; one value of a figure is their median."""
HANGING = "hanging"

Side = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Death:
    """One way for a worker to end, and the times of both sides, a list for each block."""

    name: str
    replaced_ns: Side
    nerve: list[list[int]]
    floors: dict[str, list[list[int]]]


async def measure(folder: Path, floors: Sequence[FloorProcess], blocks: int) -> list[Figure]:
    """Measure both ways to end; the first block is for warming up."""
    loaded = make_project(
        folder / "hanging", {HANGING: "normal"}, source=HANGING_SENSE, more=HANGING_TIMES
    )
    async with Nerve.running(loaded, expected=DEATHS) as (nerve, _):
        deaths = [
            _death("SIGKILL to ready, p50", nerve.replaced_ns, floors),
            _death("hard deadline to ready, p50", lambda: nerve.rid_of_ns(HANGING), floors),
        ]
        for _ in range(blocks + 1):
            for death in deaths:
                await _one_block(death, floors)
    return [figure for death in deaths for figure in _figures(death)]


def _death(name: str, replaced_ns: Side, floors: Sequence[FloorProcess]) -> Death:
    return Death(name, replaced_ns, [], {floor.name: [] for floor in floors})


async def _one_block(death: Death, floors: Sequence[FloorProcess]) -> None:
    death.nerve.append([await death.replaced_ns() for _ in range(KILLS)])
    for floor in floors:
        death.floors[floor.name].append(floor.ask("replace", count=KILLS))


def _figures(death: Death) -> list[Figure]:
    nerve = _medians_ms(death.nerve)
    return [
        Figure(death.name, name, "ms", nerve, _medians_ms(times))
        for name, times in death.floors.items()
    ]


def _medians_ms(blocks: Sequence[Sequence[int]]) -> list[float]:
    return [p50(times) / NS_PER_MS for times in blocks[1:]]


@contextlib.contextmanager
def _floors(folder: Path) -> Iterator[tuple[FloorProcess, FloorProcess]]:
    with contextlib.ExitStack() as stack:
        laden = FloorProcess("kill and fork, a worker's imports", folder / "laden", PRELOAD)
        stack.callback(laden.close)
        bare = FloorProcess("bare kill and fork", folder / "bare")
        stack.callback(bare.close)
        yield laden, bare


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer blocks, for a first look")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    forgive_deaths()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        become_subreaper()
        with _floors(Path(name)) as floors:
            try:
                figures = asyncio.run(measure(Path(name), floors, 4 if arguments.quick else 20))
            finally:
                shut_down()
    print((as_json if arguments.json else as_text)(machine, figures))


if __name__ == "__main__":
    main()
