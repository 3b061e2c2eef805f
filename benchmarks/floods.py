"""Results per second with several workers, each with a window of work under way."""

import os
from collections.abc import Sequence

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


def _figures(names: Sequence[str], what: str, blocks: Sequence[Rates]) -> list[Figure]:
    counted = blocks[1:] or blocks
    # Nerve always groups; so it stands beside both floors, as who takes it has no choice.
    own = {GROUPED: [(name, GROUPED) for name in names]}
    own[EACH] = [(name, GROUPED if name == NERVE else EACH) for name in names]
    return [
        Figure(
            f"{what}, {commits}",
            FLOOR,
            "/s",
            [rates[who] for rates in counted],
            [rates[FLOOR, commits] for rates in counted],
            who=who[0],
        )
        for commits in (EACH, GROUPED)
        for who in own[commits]
        if who[0] != FLOOR and who in counted[0]
    ]
