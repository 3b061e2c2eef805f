"""The three measurements; each takes turns between nerve and its floors.

A block is what one value of a figure is made from, and the first block is for warming up.
Within a block of triggers the turns are short, because a disk that is shared is fast and
slow for seconds at a time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Memory, p50, p99
from benchmarks.floor_process import FloorProcess
from benchmarks.runtime import Nerve, make_project, nerve_pids, start_times_ns

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
TURN_TRIGGERS = 10
NORMAL, FULL = "NORMAL", "FULL"
TRIGGERS = (
    # What, the sense, and the floor's `synchronous` in its child and in its parent.
    ("trigger, default", "normal", NORMAL, FULL),
    ("trigger, durability: full", "full", FULL, FULL),
    ("trigger, default", "normal", NORMAL, NORMAL),
)

Sides = tuple[list[int], list[int]]
Values = dict[str, float]


async def triggers(folder: Path, floor: FloorProcess, *, blocks: int, turns: int) -> list[Figure]:
    """Time from a trigger to its durable signal, in a closed loop."""
    loaded = make_project(folder / "triggers", {"normal": "normal", "full": "full"})
    seen: list[list[Sides]] = [[] for _ in TRIGGERS]
    async with Nerve.running(loaded) as (nerve, _):
        for _ in range(blocks + 1):
            for (_, sense, child, parent), sides in zip(TRIGGERS, seen, strict=True):
                sides.append(([], []))
                for _ in range(turns):
                    sides[-1][0].extend(await nerve.times_ns(sense, TURN_TRIGGERS))
                    sides[-1][1].extend(
                        floor.ask("exchange", child=child, parent=parent, count=TURN_TRIGGERS)
                    )
    return [
        _figure(f"{what}, {part.__name__}", _syncs(child, parent), sides, part, NS_PER_US, "us")
        for (what, _, child, parent), sides in zip(TRIGGERS, seen, strict=True)
        for part in (p50, p99)
    ]


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
        _figure("start of a worker, p50", name, sides, p50, NS_PER_MS, "ms")
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


def _figure(
    name: str,
    floor_name: str,
    blocks: list[Sides],
    part: Callable[[Sequence[float]], float],
    scale: int,
    unit: str,
) -> Figure:
    both = ([part(side) / scale for side in sides] for sides in zip(*blocks[1:], strict=True))
    return Figure(name, floor_name, unit, *both)


def _syncs(child: str, parent: str) -> str:
    return f"pair, child {child}, parent {parent}"


def _memory(when: str, children: Sequence[int], above: Sequence[int]) -> Values:
    """Of the median child, and of all children together with what they come from."""
    of_children, of_above = ([Memory.of(pid) for pid in pids] for pids in (children, above))
    return {
        f"PSS of a process, {when}": p50([memory.pss for memory in of_children]),
        f"USS of a process, {when}": p50([memory.uss for memory in of_children]),
        f"PSS of all, {when}": sum(memory.pss for memory in (*of_children, *of_above)),
    }
