"""From the launch of workers until they are ready, beside forks; new databases, and at head.

A block is what one value of a figure is made from. Within it nerve and its floors take turns, each
with databases of its own, which are new for every block: the first start makes them, and the
second one finds them at head.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Extent, Figure, p50
from benchmarks.floor_process import WORKER_IMPORTS, FloorProcess, bare_and_laden
from benchmarks.projects import make_crowd, make_project
from benchmarks.runtime import PATIENCE_S, Nerve
from benchmarks.whole import whole
from nerve.config import Loaded
from nerve.store.state_dir import StateDir
from nerve.supervisor.shortlived import ShortLived, short_spec
from nerve.wire.messages import ReadyMessage, StopMessage

NS_PER_MS = 1_000_000
US_PER_MS = 1_000
SIZES = (1, 50)
"""Groups, each with one sense."""
FRESH, AT_HEAD = "new databases", "at head"

Times = dict[str, float]
"""In milliseconds, by the state of the databases."""


def measure(folder: Path, extent: Extent) -> list[Figure]:
    """A worker, all of one group and of fifty, and the whole of `nerve run`."""
    sizes = extent.of(SIZES, SIZES, SIZES[:1])
    # Whoever makes a journal for the first time imports Alembic, which is none of its start.
    asyncio.run(_nerve_ms(make_crowd(folder / "warm-up", 1)))
    with bare_and_laden(folder) as floors:
        return [
            *_workers(folder, floors, blocks=extent.of(12, 3, 1), count=extent.of(5, 3, 1)),
            *(
                figure
                for size in sizes
                for figure in _groups(folder, floors, size, blocks=extent.of(6, 2, 1))
            ),
            _cold(folder, extent.of(*SIZES[::-1], 1), blocks=extent.of(6, 1, 1)),
        ]


def _workers(
    folder: Path, floors: Sequence[FloorProcess], *, blocks: int, count: int
) -> list[Figure]:
    """From the launch of a worker until it is ready, at head; the first block is to warm up."""
    loaded = make_project(folder / "one", {"one": "normal"})
    nerve: list[float] = []
    beside: dict[str, list[float]] = {floor.name: [] for floor in floors}
    for _ in range(blocks + 1):
        nerve.append(p50(_start_times_ns(loaded, "one", count)) / NS_PER_MS)
        for floor in floors:
            beside[floor.name].append(p50(floor.ask("start", count=count)) / NS_PER_MS)
    return [
        Figure("start of a worker, p50", name, "ms", nerve[1:], values[1:])
        for name, values in beside.items()
    ]


def _groups(
    folder: Path, floors: Sequence[FloorProcess], size: int, *, blocks: int
) -> list[Figure]:
    """From the making of a supervisor until all workers are ready and that is recorded."""
    loaded = make_crowd(folder / f"groups-{size}", size)
    nerve: list[Times] = []
    beside: dict[str, list[Times]] = {floor.name: [] for floor in floors}
    for block in range(blocks):
        shutil.rmtree(loaded.state_dir, ignore_errors=True)
        nerve.append({state: asyncio.run(_nerve_ms(loaded)) for state in (FRESH, AT_HEAD)})
        for floor in floors:
            place = folder / f"{floor.name}-{size}-{block}"
            place.mkdir()
            beside[floor.name].append(
                {state: _floor_ms(floor, place, size) for state in (FRESH, AT_HEAD)}
            )
    return [
        Figure(
            f"{_to_ready(size)}, {state}", name, "ms", _column(nerve, state), _column(values, state)
        )
        for state in (AT_HEAD, FRESH)
        for name, values in beside.items()
    ]


def _cold(folder: Path, size: int, *, blocks: int) -> Figure:
    """From the launch of `nerve run` until all are ready, at head; the first block makes those."""
    loaded = make_crowd(folder / "cold", size)
    nerve, floor = [], []
    for block in range(blocks + 1):
        with whole(loaded) as running:
            nerve.append(running.ready_us() / US_PER_MS)
        began = time.perf_counter_ns()
        process = FloorProcess("cold", folder / f"cold-{block}", WORKER_IMPORTS)
        process.ask("gather", size=size)
        floor.append((time.perf_counter_ns() - began) / NS_PER_MS)
        process.close()
    beside = "python, a worker's imports, forks"
    return Figure(f"`nerve run`, {_to_ready(size)}", beside, "ms", nerve[1:], floor[1:])


def _to_ready(size: int) -> str:
    return f"{size} groups to all ready" if size > 1 else "one group to ready"


async def _nerve_ms(loaded: Loaded) -> float:
    async with Nerve.running(loaded) as (_, elapsed_ns):
        return elapsed_ns / NS_PER_MS


def _floor_ms(floor: FloorProcess, place: Path, size: int) -> float:
    elapsed_ns = floor.ask("gather", folder=str(place), size=size)["elapsed"]
    floor.ask("disperse")
    return float(elapsed_ns) / NS_PER_MS


def _column(values: Sequence[Times], state: str) -> list[float]:
    return [times[state] for times in values]


def _start_times_ns(loaded: Loaded, sense: str, count: int) -> list[int]:
    """Start a worker with one sense until it is ready; then stop it. `count` times."""
    own_state = StateDir(loaded.state_dir)
    own_state.create()
    spec = short_spec(loaded, {sense: loaded.config.senses[sense]}, own_state.senses)
    return [_start_once(ShortLived(spec, loaded)) for _ in range(count)]


def _start_once(worker: ShortLived) -> int:
    began = time.perf_counter_ns()
    with worker:
        ready = worker.receive(PATIENCE_S)
        elapsed = time.perf_counter_ns() - began
        if not isinstance(ready, ReadyMessage) or ready.senses[0].fault or not ready.preloaded:
            raise RuntimeError(f"the worker did not come up well: {ready}")
        worker.request(StopMessage(), PATIENCE_S)
    return elapsed
