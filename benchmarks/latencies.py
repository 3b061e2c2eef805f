"""One trigger to its durable result, then the next, with one worker."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence

from benchmarks.contestants import FLOOR, NERVE, Field
from benchmarks.durability import BOTH_NORMAL, DURABILITIES, Durability
from benchmarks.figures import Figure, Finding, Note, p50, p99
from benchmarks.placement import Placement

NS_PER_US = 1_000
WARMING = 2
"""At the begin of a turn, uncounted: the caches are those of who had the turn before."""
COUNTED = 10
RIVAL = "Pebble"
"""The one that nerve is set beside itself: it can end a task that hangs, too."""

Times = Mapping[str, list[int]]
"""Nanoseconds of each trigger of a block, by contestant."""


def latencies(field: Field, *, blocks: int, turns: int) -> list[Finding]:
    """Measure all of them; p99 of a block is that of `turns` times COUNTED triggers."""
    seen: dict[Durability, list[Times]] = {durability: [] for durability in DURABILITIES}
    places: list[tuple[bool, float]] = []
    for _ in range(blocks):
        for durability, times in seen.items():
            times.append(_block(field, durability, turns, places))
    figures = (_figures(field.names, durability, seen[durability]) for durability in seen)
    return [*(figure for some in figures for figure in some), *field.notes, *_places_notes(places)]


def _block(
    field: Field, durability: Durability, turns: int, places: list[tuple[bool, float]]
) -> Times:
    times: dict[str, list[int]] = defaultdict(list)
    os.sync()  # so that nobody waits for what was written before
    for _ in range(turns):
        for name, ns in field.turns("exchange", durability, count=WARMING + COUNTED).items():
            times[name] += ns[WARMING:]
        if durability is BOTH_NORMAL and Placement.chosen() is Placement.FREE:
            caller, worker = field.contestants[0].turn("processors", durability)
            places.append((caller == worker, p50(times[FLOOR][-COUNTED:]) / NS_PER_US))
    return times


def _figures(names: Sequence[str], durability: Durability, blocks: list[Times]) -> list[Figure]:
    counted = blocks[1:] or blocks
    here = [name for name in names if name in counted[0]]
    of = {
        part: {name: [part(block[name]) / NS_PER_US for block in counted] for name in here}
        for part in (p50, p99)
    }
    what = f"{durability.name}, 1 worker"
    rivals = [name for name in here if NERVE in here and name.startswith(RIVAL)]
    return [
        *(
            Figure(f"{what}, {part.__name__}", FLOOR, "us", us[name], us[FLOOR], who=name)
            for part, us in of.items()
            for name in here[1:]
        ),
        *(Figure(f"{what}, p50", rival, "us", of[p50][NERVE], of[p50][rival]) for rival in rivals),
        *(
            Figure(f"{what}, p99", "its own p50", "us", of[p99][name], of[p50][name], who=name)
            for name in (FLOOR, NERVE)
            if name in here
        ),
    ]


def _places_notes(places: Sequence[tuple[bool, float]]) -> list[Note]:
    """How the floor fares where the kernel has both its processes on one processor."""
    if not places:
        return []
    both = [[us for together, us in places if together is side] for side in (True, False)]
    together, apart = (f"{p50(side):.0f} us" if side else "none" for side in both)
    share = len(both[0]) / len(places)
    return [
        Note(
            FLOOR,
            f"both processes were on one processor after {share:.0%} of its turns in NORMAL: "
            f"p50 of these {together}, of the others {apart}",
        )
    ]
