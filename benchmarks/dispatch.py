"""Dispatch: nerve and its peers beside a floor, all of whom do the same work.

One row in a database of the worker's own, one small result stored durably by who asked for it: one
at a time (`latencies`), as many as there is room for (`floods`), and what a worker weighs
(`weights`). The contestants take turns within each block, because a machine that is shared is
fast and slow for seconds at a time; a ratio is formed within a block. The first block is for
warming up, where there is more than one.
"""

from pathlib import Path

from benchmarks.contestants import field
from benchmarks.durability import BOTH_FULL, DURABILITIES
from benchmarks.figures import Extent, Finding
from benchmarks.floods import floods
from benchmarks.latencies import latencies
from benchmarks.placement import Placement
from benchmarks.starters import PEERS, present, starts
from benchmarks.weights import weights

WINDOW = 16
"""Results under way for each worker, of everybody alike. Of nerve they are as many senses, as each
has one trigger under way at a time. A worker needs some, or it has nothing to do while the caller
waits for the disk; with many more, what is measured is how much fits into a commit."""


def measure(folder: Path, extent: Extent) -> list[Finding]:
    """Everything; each number of workers is a field of its own."""
    peers, absent = present(extent.of(PEERS, PEERS, PEERS[:0]))
    found: list[Finding] = [*absent]
    alone = starts(peers, DURABILITIES, workers=1, senses=1)
    with field(folder / "one", alone, Placement.chosen()) as one:
        found += latencies(one, blocks=extent.of(16, 3, 1), turns=extent.of(20, 6, 1))
    for workers in extent.of((2, 4, 8), (2,), (2,)):
        window = extent.of(WINDOW, WINDOW, 2)
        crowd = starts(peers, DURABILITIES, workers=workers, senses=window)
        with field(folder / f"flood-{workers}", crowd) as many:
            blocks, seconds = extent.of(7, 3, 1), extent.of(0.3, 0.1, 0.05)
            found += floods(many, workers, window, blocks=blocks, seconds=seconds)
        each = starts(peers, (BOTH_FULL,), workers=workers, senses=1)
        found += weights(folder / f"weights-{workers}", each, workers, blocks=extent.of(3, 1, 1))
    return found
