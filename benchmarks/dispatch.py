"""One trigger to its durable result, then the next, beside a floor of the same durability.

A block is what one value of a figure is made from, and the first block is for warming up.
Within a block the turns are short, because a disk that is shared is fast and slow for
seconds at a time.
"""

import asyncio
from pathlib import Path

from benchmarks.figures import Extent, Figure, p50, p99
from benchmarks.floor_process import FloorProcess
from benchmarks.runtime import Nerve, make_project

NS_PER_US = 1_000
TURN_TRIGGERS = 10
NORMAL, FULL = "NORMAL", "FULL"
TRIGGERS = (
    # What, the sense, and the floor's `synchronous` in its child and in its parent.
    ("trigger, default", "normal", NORMAL, FULL),
    ("trigger, durability: full", "full", FULL, FULL),
    ("trigger, default", "normal", NORMAL, NORMAL),
)

Sides = tuple[list[int], list[int]]


def measure(folder: Path, extent: Extent) -> list[Figure]:
    """A trigger, in a closed loop."""
    floor = FloorProcess("pair", folder / "floor")
    try:
        return asyncio.run(
            triggers(folder, floor, blocks=extent.of(15, 4, 1), turns=extent.of(20, 20, 1))
        )
    finally:
        floor.close()


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
        Figure(
            f"{what}, {part.__name__}",
            f"pair, child {child}, parent {parent}",
            "us",
            *([part(side) / NS_PER_US for side in both] for both in zip(*sides[1:], strict=True)),
        )
        for (what, _, child, parent), sides in zip(TRIGGERS, seen, strict=True)
        for part in (p50, p99)
    ]
