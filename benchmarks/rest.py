"""What fifty idle groups cost: processor time and wake-ups of each kind of process.

Each group has one sense, which has computed once and is not due for an hour. Beside them, at the
same time: one process that wakes up once a second and does nothing, which is the floor; and as
many forks that wait in read(), which cost nothing at all, so that no ratio can be formed. The
archive, once a day, and the first minute's are not in it.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contestants import NERVE, field
from benchmarks.durability import BOTH_FULL
from benchmarks.family import Kinds, pids_of
from benchmarks.figures import Extent, Figure, Finding, Note, side_by_side
from benchmarks.floor_process import floor_processes
from benchmarks.projects import make_crowd
from benchmarks.starters import PEERS, present, starts
from benchmarks.usage import Rates, rates
from benchmarks.whole import once_at_the_start, whole
from nerve.process.tree import descendants

GROUPS = 50
SETTLE_S = 1.0
"""After the start, for what follows from it."""
TICK_S = 1.0
ALL = "all processes"
TICKING, WAITING = "one process that wakes up once a second", "forks that wait in read()"
PARTS = (("processor time", "cpu_percent", "%"), ("wake-ups", "wakeups_per_s", "/s"))
RESTLESS = {"Huey": "left out: here it polls every millisecond, as a dispatch needs it to"}

Block = dict[str, Rates]
"""By kind of process; TICKING and WAITING among them."""


def measure(folder: Path, extent: Extent) -> list[Finding]:
    """All at the same time, in windows one after the other; then the peers, each alone."""
    groups, windows, seconds = extent.of(GROUPS, GROUPS, 2), extent.of(5, 2, 1), extent.of(6, 4, 1)
    loaded = once_at_the_start(make_crowd(folder / "nerve", groups))
    with floor_processes(folder, {TICKING: ()}) as (floor,):
        ticking = {TICKING: [floor.ask("tick", interval_s=TICK_S)]}
        waiting = {WAITING: floor.ask("gather", size=groups)["children"]}
        with whole(loaded) as nerve:
            nerve.ready_us()
            nerve.await_signals(groups)
            nerve.await_reserve()
            kinds = nerve.kinds()
            time.sleep(SETTLE_S)
            watched = {**kinds, ALL: pids_of(kinds), **ticking, **waiting}
            blocks = [rates(watched, seconds) for _ in range(windows)]
        figures = list(_figures(blocks, f"{groups} idle workers", list(kinds)))
        if extent is not Extent.THOROUGH:
            return [*figures, Note("peers", "left out of a quick run")]
        peers, notes = _peers(folder, ticking, groups, seconds)
        return [*side_by_side([*figures, *peers]), *notes]


def _peers(
    folder: Path, ticking: Kinds, workers: int, seconds: float
) -> tuple[list[Figure], list[Note]]:
    """Those of a dispatch, each of whose workers has worked; all that belongs to them counts."""
    peers, notes = present([peer for peer in PEERS if peer.name not in RESTLESS])
    notes += [Note(who, why) for who, why in RESTLESS.items()]
    figures: list[Figure] = []
    for number, start in enumerate(starts(peers, (BOTH_FULL,), workers=workers, senses=1)[2:]):
        with field(folder / f"peer-{number}", [start]) as alone:
            for contestant in alone.contestants:
                process = contestant.processes[BOTH_FULL]
                process.go_on()
                time.sleep(SETTLE_S)
                watched = {ALL: [process.pid, *descendants(process.pid)], **ticking}
                block = rates(watched, seconds)
                figures += _beside([block], f"{workers} idle workers", TICKING, contestant.name)
            notes += alone.notes
    return figures, notes


def _figures(blocks: Sequence[Block], what: str, kinds: Sequence[str]) -> Iterator[Figure]:
    yield from _beside(blocks, what, TICKING)
    yield from _beside(blocks, what, WAITING)
    for part, attribute, unit in PARTS:
        for kind in kinds:
            values = [getattr(block[kind], attribute) for block in blocks]
            yield Figure(f"{part}, {what}: {kind}", "", unit, values, [])


def _beside(blocks: Sequence[Block], what: str, beside: str, who: str = NERVE) -> Iterator[Figure]:
    for part, attribute, unit in PARTS:
        sides = ([getattr(block[kind], attribute) for block in blocks] for kind in (ALL, beside))
        yield Figure(f"{part}, {what}", beside, unit, *sides, who=who)
