"""Between a group and the supervisor: what the one tells and asks the other.

Parent. A contract and two words, so that `group` can be read, and tested, without
the rest of the parent.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from nerve.reflex.causes import PendingTrigger
from nerve.wire.messages import Fault, ReadyMessage, SignalMessage


@dataclass(slots=True)
class Running:
    """A compute that a worker was told to run and that has no outcome yet.

    Attributes:
        killed: the hard deadline has passed, and the worker is being killed for it.
    """

    sense: str
    trigger_id: int
    trigger: PendingTrigger
    killed: bool = False
    hard_deadline: asyncio.TimerHandle | None = None


class Hub(Protocol):
    """What a group needs of the supervisor."""

    boot: str

    def may_dispatch(self) -> bool:
        """Whether anything may be started now."""
        ...

    def start_trigger(self, sense: str) -> tuple[int, PendingTrigger]:
        """Take what waits for a sense; it counts as started now. Returns its id as well."""
        ...

    def came_up(self, name: str, ready: ReadyMessage) -> None:
        """The worker of a group is ready, with what it says of its senses."""
        ...

    def gave_up(self, name: str) -> None:
        """A group is FATAL and will report nothing more."""
        ...

    def take_signal(self, message: SignalMessage, running: Running | None) -> None:
        """A durable signal arrived; the outcome of `running` where that is not None."""
        ...

    def take_outcome(
        self, running: Running, outcome: str, at_us: int, fault: Fault | None = None
    ) -> None:
        """A compute ended without a signal."""
        ...

    def log(
        self,
        source: str,
        type_: str,
        level: str,
        payload: dict[str, Any],
        *,
        ref: str | None = None,
    ) -> None:
        """Write a log row."""
        ...


def trigger_ref(boot: str, trigger_id: int) -> str:
    """How log rows and signals refer to one trigger."""
    return f"trigger:{boot}/{trigger_id}"
