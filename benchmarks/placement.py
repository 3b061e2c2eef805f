"""Which processors the contestants with one worker may run on.

A round trip between two processors takes twice as long as one on a single one. Left alone, the
kernel has caller and worker on two where another is idle, and on one where all are busy: then the
floor is twice as fast, and everybody's ratio twice as large, because of what others do on the
machine. So all are placed alike, as an idle machine would have them, unless told otherwise.
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

    APART = "apart"
    """The worker on one processor, everything else on another."""
    TOGETHER = "together"
    """Everything on one."""
    FREE = "free"
    """As the kernel has it."""

    @classmethod
    def chosen(cls) -> "Placement":
        """What `bench` was told; else apart, where that is possible."""
        several = len(os.sched_getaffinity(0)) > 1
        return cls(os.environ.get(VARIABLE, cls.APART if several else cls.TOGETHER))

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
