"""Between a group and the supervisor: what the one asks the other.

Parent. A contract and a word, so that `group` can be read, and tested, without
the rest of the parent.
"""

from dataclasses import dataclass
from typing import Protocol

from nerve.reflex.causes import PendingTrigger
from nerve.wire.messages import Fault, PlacedMessage, ReadyMessage


@dataclass(slots=True)
class Running:
    """A compute that a worker was told to run and that has no outcome yet.

    Attributes:
        is_extended: the hard deadline was moved once, to count from the worker's own start.
        bad_end: what it came to if it was not committed; known after the worker's death.
    """

    sense: str
    trigger_id: int
    trigger: PendingTrigger
    is_extended: bool = False
    bad_end: Fault | None = None


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

    def rests_s(self, sense: str) -> float:
        """For how many seconds more a sense is to be left alone; 0 when it may run."""
        ...

    def defer(self, sense: str) -> None:
        """Take back a trigger whose sense rests."""
        ...

    def placed(self, message: PlacedMessage) -> None:
        """A worker has put back a position, or says why not."""
        ...

    def strike(self, sense: str, *, loading: bool, reason: str, ref: str | None) -> None:
        """A worker has died over this sense; it rests before it is run or loaded again."""
        ...

    def absolve(self, sense: str) -> None:
        """A sense has run to an end of its own."""
        ...

    def lost_fork_server(self, name: str, pid: int, running: str | None) -> None:
        """The worker of a group went with its fork server, while a sense ran or none did."""
        ...

    def gave_up(self, name: str) -> None:
        """A group is FATAL and will report nothing more."""
        ...
