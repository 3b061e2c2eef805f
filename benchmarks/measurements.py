"""Starts, and many workers at once; each takes turns between nerve and its floors.

A block is what one value of a figure is made from, and the first block is for warming up.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Extent, Figure, Memory, p50
from benchmarks.floor_process import FloorProcess, bare_and_laden
from benchmarks.runtime import Nerve, make_project, nerve_pids, start_times_ns

NS_PER_MS = 1_000_000
GROUPS = 50

Sides = tuple[list[int], list[int]]
Values = dict[str, float]


def measure_starts(folder: Path, extent: Extent) -> list[Figure]:
    """A worker's start, beside both floors."""
    with bare_and_laden(folder) as floors:
        return starts(folder, floors, blocks=extent.of(12, 4, 1), count=extent.of(5, 4, 1))


def measure_memory(folder: Path, extent: Extent) -> list[Figure]:
    """Many workers: until all are ready, and what memory they take, beside both floors."""
    with bare_and_laden(folder) as floors:
        return asyncio.run(crowds(folder, floors, blocks=extent.of(4, 2, 1), groups=GROUPS))


def starts(
    folder: Path, floors: Sequence[FloorProcess], *, blocks: int, count: int
) -> list[Figure]:
    """Time from the launch of a worker until it is ready, databases at head."""
    loaded = make_project(folder / "starts", {"one": "normal"})
    seen: dict[str, list[Sides]] = {floor.name: [] for floor in floors}
    for _ in range(blocks + 1):
        nerve = start_times_ns(loaded, "one", count)
        for floor in floors:
            seen[floor.name].append((nerve, floor.ask("start", count=count)))
    return [
        Figure(
            "start of a worker, p50", name, "ms", *map(_medians_ms, zip(*sides[1:], strict=True))
        )
        for name, sides in seen.items()
    ]


async def crowds(
    folder: Path, floors: Sequence[FloorProcess], *, blocks: int, groups: int
) -> list[Figure]:
    """Time until many workers are ready, and their memory."""
    names = {f"sense-{number}": "normal" for number in range(groups)}
    loaded = make_project(folder / "crowd", names)
    nerve: list[Values] = []
    seen: dict[str, list[Values]] = {floor.name: [] for floor in floors}
    for _ in range(blocks + 1):
        # One after the other: pages that both sides map would count half on each.
        for floor in floors:
            seen[floor.name].append(_floor_crowd(floor, groups))
        async with Nerve.running(loaded) as (running, elapsed_ns):
            idle = _memory("idle", *nerve_pids())
            await running.run_each(names)
            used = _memory("after one compute", *nerve_pids())
            nerve.append({"all ready": elapsed_ns / NS_PER_MS, **idle, **used})
    return [
        figure for name, values in seen.items() for figure in _crowd_figures(name, nerve, values)
    ]


def _floor_crowd(floor: FloorProcess, size: int) -> Values:
    answer = floor.ask("gather", size=size)
    memory = _memory("idle", answer["children"], [answer["parent"]])
    floor.ask("disperse")
    return {"all ready": answer["elapsed"] / NS_PER_MS, **memory}


def _crowd_figures(floor_name: str, nerve: list[Values], floor: list[Values]) -> list[Figure]:
    fresh = ([block[0]["all ready"]] for block in (nerve, floor))
    return [
        Figure("all ready, new databases (once)", floor_name, "ms", *fresh),
        *(_crowd_figure(name, floor_name, nerve[1:], floor[1:]) for name in nerve[0]),
    ]


def _crowd_figure(name: str, floor_name: str, nerve: list[Values], floor: list[Values]) -> Figure:
    # A bare child is the same before and after.
    same = name.replace("after one compute", "idle")
    unit = "ms" if name == "all ready" else "MiB"
    return Figure(name, floor_name, unit, [v[name] for v in nerve], [v[same] for v in floor])


def _medians_ms(blocks: Sequence[Sequence[int]]) -> list[float]:
    return [p50(times) / NS_PER_MS for times in blocks]


def _memory(when: str, children: Sequence[int], above: Sequence[int]) -> Values:
    """Of the median child, and of all children together with what they come from."""
    of_children, of_above = ([Memory.of(pid) for pid in pids] for pids in (children, above))
    return {
        f"PSS of a process, {when}": p50([memory.pss for memory in of_children]),
        f"USS of a process, {when}": p50([memory.uss for memory in of_children]),
        f"PSS of all, {when}": sum(memory.pss for memory in (*of_children, *of_above)),
    }
