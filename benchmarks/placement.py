"""Which processors the contestants with one worker may run on.

Left alone, the kernel has a caller and its worker on one processor where the other is busy, and on
two where it is idle; a round trip between two costs twice as much. That moves a ratio to the floor
more than anything nerve does, so it can be taken from the kernel, for all alike.
"""

import os
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from benchmarks.figures import Lacking
from nerve.process.tree import descendants

VARIABLE = "BENCH_PIN"
"""How `bench` tells its sections."""


class Placement(StrEnum):
    """Where they run."""

    FREE = "free"
    APART = "apart"
    """The workers on one processor, everything else on another."""
    TOGETHER = "together"
    """Everything on one."""

    @classmethod
    def chosen(cls) -> "Placement":
        """What `bench` was told."""
        return cls(os.environ.get(VARIABLE, cls.FREE))

    def processors(self, allowed: Collection[int]) -> tuple[set[int], set[int]]:
        """For the caller and for the workers; raises Lacking with too few of them."""
        first, *others = sorted(allowed)
        if self is Placement.TOGETHER:
            return {first}, {first}
        if self is Placement.FREE:
            return set(allowed), set(allowed)
        if not others:
            raise Lacking("two processors, for --pin apart")
        return {first}, {others[0]}


def place(root: int, workers: Collection[int], placement: Placement) -> None:
    """Put a process and all below it where they belong, thread by thread."""
    of_caller, of_workers = placement.processors(os.sched_getaffinity(0))
    for pid in (root, *descendants(root)):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), of_workers if pid in workers else of_caller)
