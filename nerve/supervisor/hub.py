"""Between a group and the supervisor: what the one asks the other.

Parent. A contract and a word, so that `group` can be read, and tested, without
the rest of the parent.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from nerve.reflex.causes import PendingTrigger
from nerve.wire.messages import ReadyMessage


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

    def may_dispatch(self) -> bool:
        """Whether anything may be started now."""
        ...

    def start_trigger(self, sense: str) -> tuple[int, PendingTrigger]:
        """Take what waits for a sense; it counts as started now. Returns its id as well."""
        ...

    def came_up(self, name: str, ready: ReadyMessage) -> None:
        """The worker of a group is ready, with what it says of its senses."""
        ...

    def failed(self, name: str) -> None:
        """A worker of a group has died before it was ready; another one is started."""
        ...

    def gave_up(self, name: str) -> None:
        """A group is FATAL and will report nothing more."""
        ...
