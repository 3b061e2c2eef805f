"""Memory for each worker, once it has worked.

Each contestant is alone for it, because pages that several of them map would count in part on each.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants import FLOOR, Start, field
from benchmarks.durability import BOTH_FULL
from benchmarks.figures import Figure, Finding, Memory, p50
from nerve.process.tree import descendants

Weight = dict[str, float]


def weights(folder: Path, starts: Sequence[Start], workers: int, *, blocks: int) -> list[Finding]:
    """Proportional memory of the median worker; and of all processes, divided by the workers."""
    folder.mkdir()
    found: list[Finding] = []
    weighed: dict[str, list[Weight]] = {}
    for block in range(blocks):
        for number, start in enumerate(starts):
            with field(folder / f"{block}-{number}", [start]) as alone:
                for name, pids in alone.turns("workers", BOTH_FULL).items():
                    root = alone.contestants[0].processes[BOTH_FULL].pid
                    weighed.setdefault(name, []).append(_weigh(root, pids))
            found += alone.notes
    floor = weighed.pop(FLOOR)
    figures = (
        Figure(
            f"{workers} workers, {what}",
            FLOOR,
            "MiB",
            [weight[what] for weight in weights],
            [weight[what] for weight in floor],
            who=name,
        )
        for what in floor[0]
        for name, weights in weighed.items()
        if len(weights) == blocks
    )
    return [*figures, *found]


def _weigh(root: int, workers: Sequence[int]) -> Weight:
    everyone = [root, *descendants(root)]
    return {
        "PSS of one": p50([Memory.of(pid).pss for pid in workers]),
        "PSS of all, for each": sum(Memory.of(pid).pss for pid in everyone) / len(workers),
    }
