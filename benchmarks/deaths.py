"""Deaths that are measured: what nerve says of them, and that it holds none against anybody."""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.floor import PAUSE_S
from nerve.supervisor import conduct, restarts

DEATHS = frozenset({"worker.died", "worker.hard_timeout", "compute.killed"})
"""Types of log rows that tell of what is being measured here, and of nothing that went wrong."""


class _Moments(Sequence[float]):
    """The same short rest after any number of strikes."""

    def __getitem__(self, _: Any) -> Any:
        return PAUSE_S / 4

    def __len__(self) -> int:
        return sys.maxsize


def forgive_deaths() -> None:
    """Let each death of a worker be the first in a while: replaced at once, and without end.

    And let nothing be held against a sense for longer than the pause before the next death.
    """
    vars(restarts).update(DEATHS_WINDOW_S=0.0)
    vars(conduct).update(MAX_STRIKES=sys.maxsize, RESTS_S=_Moments())
