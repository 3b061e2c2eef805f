"""What is killed, and when: decided by a seed alone, before anything happens. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

ONE_PARENT_IN = 12
ONE_FORK_SERVER_IN = 40
"""Both take about a second to come back."""
AT_ONCE_S = 0.03
"""Hits what is just being started."""
LATER_S = 0.5
AT_ONCE_SHARE = 0.25
CHOICES = 1 << 16


@dataclass(frozen=True)
class Blow:
    """One SIGKILL: after `delay_s`, at a process of a kind; `choice` picks one of several."""

    kind: str
    choice: int
    delay_s: float


def blows(seed: int, count: int) -> Iterator[Blow]:
    """Yield `count` of them, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = _kind(chance.random())
        longest_s = AT_ONCE_S if chance.random() < AT_ONCE_SHARE else LATER_S
        yield Blow(kind, chance.randrange(CHOICES), chance.uniform(0, longest_s))


def _kind(share: float) -> str:
    if share < 1 / ONE_PARENT_IN:
        return "parent"
    return "fork server" if share < 1 / ONE_PARENT_IN + 1 / ONE_FORK_SERVER_IN else "worker"
