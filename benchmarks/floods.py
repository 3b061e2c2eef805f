"""Results per second with several workers, each with a window of work under way."""

import os

from benchmarks.contestants import EACH, FLOOR, GROUPED, NERVE, Field
from benchmarks.durability import DURABILITIES, Durability
from benchmarks.figures import Figure, Finding

Who = tuple[str, str]
"""A contestant's name, and how it commits."""
Rates = dict[Who, float]
"""Results per second, of one block."""


def floods(
    field: Field, workers: int, window: int, *, blocks: int, seconds: float
) -> list[Finding]:
    """Measure all of them, for so many seconds each; `window` is that of one worker."""
    seen: dict[Durability, list[Rates]] = {durability: [] for durability in DURABILITIES}
    for _ in range(blocks):
        for durability, rates in seen.items():
            rates.append(_block(field, durability, window * workers, seconds))
    figures = (
        _figures(field.names, f"{durability.name}, {workers} workers", seen[durability])
        for durability in seen
    )
    return [*(figure for some in figures for figure in some), *field.notes]


def _block(field: Field, durability: Durability, window: int, seconds: float) -> Rates:
    rates: Rates = {}
    os.sync()  # so that nobody waits for what was written before
    for commits in (EACH, GROUPED):
        answers = field.turns(
            "flood",
            durability,
            commits,
            window=window,
            seconds=seconds,
            grouped=commits == GROUPED,
        )
        rates |= {(name, commits): rate for name, rate in answers.items()}
    return rates


def _figures(names: list[str], what: str, blocks: list[Rates]) -> list[Figure]:
    counted = blocks[1:] or blocks
    of = {who: [rates[who] for rates in counted] for who in counted[0] if who[0] in names}
    beside = [(who, who[1]) for who in of if who[0] != FLOOR]
    beside.insert(0, ((NERVE, GROUPED), EACH))  # which it never does, and others do
    return [
        Figure(f"{what}, {commits}", FLOOR, "/s", of[who], of[FLOOR, commits], who=who[0])
        for who, commits in beside
        if who in of
    ]
