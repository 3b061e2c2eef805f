"""Memory for each worker, once it has worked.

Each contestant is alone for it, because pages that several of them map would count in part on each.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants import FLOOR, Contestant, Start, field
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
                for contestant in alone.contestants:
                    weighed.setdefault(contestant.name, []).append(_weigh(contestant))
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


def _weigh(contestant: Contestant) -> Weight:
    pids = contestant.turn("workers", BOTH_FULL)
    root = contestant.processes[BOTH_FULL].pid
    everyone = [root, *descendants(root)]
    return {
        "PSS of one": p50([Memory.of(pid).pss for pid in pids]),
        "PSS of all, for each": sum(Memory.of(pid).pss for pid in everyone) / len(pids),
    }
