"""Memory of a whole nerve with one worker and with fifty, beside forks that hold a database.

Proportional (PSS): a page that n processes map counts 1/n for each. Private (USS): what would be
free if this process alone ended. Nerve and its floors are measured one after the other, since
pages that both map would count half for each.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.durability import BOTH_FULL
from benchmarks.family import FORK_SERVER, PARENT, SENTRY, SPARE, WORKERS, pids_of
from benchmarks.figures import Extent, Figure, Finding, Memory, Note
from benchmarks.floor_process import FloorProcess, bare_and_laden
from benchmarks.projects import make_crowd
from benchmarks.starters import PEERS, present, starts
from benchmarks.usage import of_all, of_median
from benchmarks.weights import weights
from benchmarks.whole import once_at_the_start, whole
from nerve.config import Loaded

SIZES = (1, 50)
IDLE, USED = "idle", "after a compute"
ALL = "all processes"
ALONE = (PARENT, FORK_SERVER, SENTRY, SPARE)
"""What a floor has nothing of, but for a process that forks."""

Kinds = Mapping[str, Memory]
"""By kind of process; of several the median, but of ALL the sum."""


def measure(folder: Path, extent: Extent) -> list[Finding]:
    """At both sizes; and, as in a dispatch, that of the peers."""
    with bare_and_laden(folder) as floors:
        found: list[Finding] = [
            figure
            for size in extent.of(SIZES, SIZES, SIZES[:1])
            for figure in _at_size(folder, floors, size, blocks=extent.of(4, 1, 1))
        ]
    if extent is not Extent.THOROUGH:
        return [*found, Note("peers", "left out of a quick run; the dispatch weighs some of each")]
    peers, absent = present(PEERS)
    for size in SIZES:
        contestants = starts(peers, (BOTH_FULL,), workers=size, senses=1)
        found += weights(folder / f"peers-{size}", contestants, size, blocks=1)
    return [*found, *absent]


def _at_size(
    folder: Path, floors: Sequence[FloorProcess], size: int, *, blocks: int
) -> Iterator[Figure]:
    idle = make_crowd(folder / f"nerve-{size}", size)
    used = once_at_the_start(idle)
    _nerve(idle)  # it makes the databases, and that leaves traces in memory
    nerve: dict[str, list[Kinds]] = {IDLE: [], USED: []}
    beside: dict[str, list[Kinds]] = {floor.name: [] for floor in floors}
    for _ in range(blocks):
        for floor in floors:
            beside[floor.name].append(_floor(floor, size))
        nerve[IDLE].append(_nerve(idle))
        nerve[USED].append(_nerve(used, signals=size))
    crowd = f"{size} workers" if size > 1 else "one worker"
    for name, forks in beside.items():
        for when, found in nerve.items():
            for part in ("PSS", "USS"):
                what = f"{crowd}: {part} of each, {when}"
                yield _figure(what, part, WORKERS, name, found, forks)
        yield _figure(f"{crowd}: PSS of {ALL}", "PSS", ALL, name, nerve[USED], forks)
    for kind in ALONE:
        yield _figure(f"{crowd}: PSS of the {kind}", "PSS", kind, "", nerve[USED], ())


def _nerve(loaded: Loaded, signals: int = 0) -> Kinds:
    with whole(loaded) as running:
        running.ready_us()
        running.await_signals(signals)
        running.await_reserve()
        kinds = running.kinds()
        found = {kind: of_median(pids) for kind, pids in kinds.items()}
        return {**found, ALL: of_all(pids_of(kinds))}


def _floor(floor: FloorProcess, size: int) -> Kinds:
    crowd = floor.ask("gather", size=size)
    parent, children = crowd["parent"], crowd["children"]
    found = {WORKERS: of_median(children), ALL: of_all([parent, *children])}
    floor.ask("disperse")
    return found


def _figure(
    what: str, part: str, kind: str, beside: str, nerve: Sequence[Kinds], floor: Sequence[Kinds]
) -> Figure:
    sides = ([getattr(block[kind], part.lower()) for block in side] for side in (nerve, floor))
    return Figure(what, beside, "MiB", *sides)
