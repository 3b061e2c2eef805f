"""What all operations share: what of the parent they work with, and how they refuse.

Parent, on the loop. An operation is done when it is durable; while the journal cannot be
written it is refused, and one that this meets on its way says so after DURABLE_WITHIN_S.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from nerve.clock import Clock
from nerve.config.models import Config
from nerve.errors import Exit, NerveError
from nerve.supervisor.answers import Answer
from nerve.supervisor.group import Group
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.positions import Positions
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.triggers import Triggers
from nerve.supervisor.warden import Warden

DURABLE_WITHIN_S = 10.0
"""A disk that takes longer to sync is in trouble, and whoever asked should know."""

By = Mapping[str, Any]


class Refused(NerveError):
    """Nothing was done.

    Attributes:
        kind: a stable word, for RefusedReply.
    """

    def __init__(
        self, kind: str, message: str, *, hint: str = "", exit_code: Exit = Exit.FOUND
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Parent:
    """What of the parent operations work with.

    Attributes:
        positions: where each reflex goes on.
        take_up: offers to these senses what other senses have signalled since they last heard; or
            of one source alone, where it is named.
        newest_id: of the newest entry of the journal.
        is_ready: whether all groups have reported; before that nothing is dispatched.
        call_later: the loop's.
        is_reloading: whether a reload is under way, which replaces workers itself.
    """

    config: Callable[[], Config]
    groups: Mapping[str, Group]
    triggers: Triggers
    recorder: Recorder
    ledger: Ledger
    warden: Warden
    clock: Clock
    positions: Positions
    take_up: Callable[[AbstractSet[str], str], None]
    newest_id: Callable[[], int]
    is_ready: Callable[[], bool]
    is_stopping: Callable[[], bool]
    call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    is_reloading: Callable[[], bool] = lambda: False

    def group_of(self, sense: str) -> Group:
        """The group that runs a sense."""
        return self.groups[self.config().senses[sense].group]

    def require_going_on(self) -> None:
        """Raise Refused where nerve stops, or its journal cannot be written."""
        if self.is_stopping():
            hint = "start it again with `nerve run`"
            exit_code = Exit.NOTHING_RUNNING
            message = "nerve is being stopped; nothing new is begun"
            raise Refused("stopping", message, hint=hint, exit_code=exit_code)
        if not self.recorder.is_healthy:
            message = "logs.db cannot be written now, so nothing was done"
            hint = "`nerve doctor` says what is the matter; nerve goes on by itself after that"
            raise Refused("journal", message, hint=hint, exit_code=Exit.INPUT_OUTPUT)

    def when_durable(self, tell: Callable[[bool], None]) -> None:
        """Call `tell(True)` once all recorded so far is durable; `tell(False)` if that takes long.

        Once, in any case.
        """
        told = False

        def once(is_durable: bool) -> None:
            nonlocal told
            if not told:
                told = True
                late.cancel()
                tell(is_durable)

        late = self.call_later(DURABLE_WITHIN_S, lambda: once(False))  # noqa: FBT003
        self.recorder.when_durable(lambda: once(True))  # noqa: FBT003


UNDURABLE = "; logs.db cannot be written now: that is in force, and is stored as soon as it can be"
"""Behind the message of an operation that is done and not durable."""


MAX_LISTED = 10
"""Names in one sentence; the facts of the reply have all of them."""


def listed(names: Sequence[str], most: int = MAX_LISTED) -> str:
    """Name some, and say how many more there are."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def asked_by(command: str, answer: Answer) -> dict[str, Any]:
    """Who asked, for a log row: the command, and the process and user where they are known."""
    return {"command": command, **answer.by}
