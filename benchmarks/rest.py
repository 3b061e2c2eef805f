"""What fifty idle groups cost: processor time and wake-ups of each kind of process.

Each group has one sense, which has computed once and is not due for an hour. Beside them, at the
same time: one process that wakes up once a second and does nothing, which is the floor; and as
many forks that wait in read(), which cost nothing at all, so that no ratio can be formed. The
archive, once a day, and the first minute's are not in it.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Extent, Figure
from benchmarks.floor_process import FloorProcess, floor_processes
from benchmarks.projects import make_crowd
from benchmarks.usage import Rates, rates
from benchmarks.whole import Kinds, once_at_the_start, pids_of, whole

GROUPS = 50
SETTLE_S = 1.0
"""After the start, for what follows from it."""
TICK_S = 1.0
ALL = "all processes"
TICKING, WAITING = "one process that wakes up once a second", "forks that wait in read()"
PARTS = (("processor time", "cpu_percent", "%"), ("wake-ups", "wakeups_per_s", "/s"))

Block = dict[str, Rates]
"""By kind of process; TICKING and WAITING among them."""


def measure(folder: Path, extent: Extent) -> list[Figure]:
    """All at the same time, in windows one after the other."""
    groups, windows, seconds = extent.of(GROUPS, GROUPS, 2), extent.of(5, 2, 1), extent.of(6, 4, 1)
    loaded = once_at_the_start(make_crowd(folder / "nerve", groups))
    with floor_processes(folder, {TICKING: ()}) as (floor,), whole(loaded) as nerve:
        nerve.ready_us()
        nerve.await_signals(groups)
        nerve.await_reserve()
        beside = _beside(floor, groups)
        kinds = nerve.kinds()
        time.sleep(SETTLE_S)
        watched = {**kinds, ALL: pids_of(kinds), **beside}
        blocks = [rates(watched, seconds) for _ in range(windows)]
    return list(_figures(blocks, f"{groups} idle groups", list(kinds)))


def _beside(floor: FloorProcess, groups: int) -> Kinds:
    ticking = floor.ask("tick", interval_s=TICK_S)
    return {TICKING: [ticking], WAITING: floor.ask("gather", size=groups)["children"]}


def _figures(blocks: Sequence[Block], what: str, kinds: Sequence[str]) -> Iterator[Figure]:
    for part, attribute, unit in PARTS:
        found = {kind: [getattr(block[kind], attribute) for block in blocks] for kind in blocks[0]}
        for beside in (TICKING, WAITING):
            yield Figure(f"{part} of {what}", beside, unit, found[ALL], found[beside])
        for kind in kinds:
            yield Figure(f"{part} of {what}: {kind}", "", unit, found[kind], [])
