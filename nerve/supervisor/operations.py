"""What a running nerve does when it is asked: the handlers behind the control socket.

Parent, on the loop. Each operation is in a module of its own; here they are put together, what
they refuse becomes a reply, and `stop` is done.
"""

import os
from collections.abc import Callable
from functools import partial

from nerve.clock import MS_PER_S
from nerve.config.targets import UnknownTarget
from nerve.supervisor.answers import Answer, Handler, Handlers, done, refused
from nerve.supervisor.archiving import Outcome, as_object, failed
from nerve.supervisor.asking import UNDURABLE, Parent, Refused, asked_by, listed
from nerve.supervisor.by_hand import ByHand
from nerve.supervisor.housekeeping import Housekeeping
from nerve.supervisor.pauses import Pauses
from nerve.supervisor.replacing import Replacing
from nerve.supervisor.repositioning import Repositioning
from nerve.wire.control import ArchiveRequest, StopRequest

STOP_BEYOND_S = 60.0
"""What a stop may take beyond the longest compute: checkpoints, and a journal to be drained."""


class Operations:
    """All that may be asked, but for what only looks."""

    def __init__(
        self, parent: Parent, housekeeping: Housekeeping, *, request_stop: Callable[..., None]
    ) -> None:
        """`request_stop(reason, at_once=..., by=...)` is the parent's."""
        self._parent = parent
        self._housekeeping = housekeeping
        self._request_stop = request_stop
        self.pauses = Pauses(parent)
        self.by_hand = ByHand(parent)
        self.replacing = Replacing(parent)
        self.repositioning = Repositioning(parent)

    def handlers(self) -> Handlers:
        """By the request's type."""
        handlers: dict[str, Handler] = {
            "trigger": self.by_hand.trigger,
            "pause": self.pauses.pause,
            "resume": self.pauses.resume,
            "restart": self.replacing.restart,
            "cursor": self.repositioning.place,
            "archive": self._archive,
            "stop": self._stop,
        }
        return {type_: partial(_answered, handler) for type_, handler in handlers.items()}

    def _archive(self, _request: ArchiveRequest, answer: Answer) -> None:
        """Archive now, or join in the run under way."""
        parent, by = self._parent, asked_by("nerve archive", answer)
        parent.require_going_on()

        def ended(outcome: Outcome, error: BaseException | None) -> None:
            if error is not None:
                _, _, _, told = failed(error)
                refused(answer, "archive_failed", told["message"], hint=told["hint"])
                return
            facts = as_object(outcome)
            parent.when_durable(
                lambda durable: done(answer, _ARCHIVED[durable], is_good=durable, **facts)
            )

        if self._housekeeping.archive_now(ended):
            message = "a run was asked for by `nerve archive`"
            parent.ledger.log("nerve", "archive.asked", "info", {"message": message, "by": by})
        else:
            answer.progress("nerve archives already; this waits for what that comes to")

    def _stop(self, request: StopRequest, answer: Answer) -> None:
        """Stop; `done` says that it has begun, and whoever asked waits for the process to end."""
        parent = self._parent
        was_stopping = parent.is_stopping()
        running = [group.running for group in parent.groups.values() if group.running]
        within_s = max((_allowance_s(parent, sense) for sense in running), default=0.0)
        command = "nerve stop --now" if request.now else "nerve stop"
        self._request_stop(f"`{command}`", at_once=request.now, by=asked_by(command, answer))
        message = "nerve is being stopped already" if was_stopping else "nerve is being stopped"
        if running:
            message += f"; running: {listed(running)}"
        done(
            answer,
            message,
            pid=os.getpid(),
            boot=parent.ledger.boot,
            running=list(running),
            within_s=within_s + STOP_BEYOND_S,
        )


_ARCHIVED = {True: "archived", False: "archived" + UNDURABLE}


def _allowance_s(parent: Parent, sense: str) -> float:
    config = parent.config().senses[sense]
    return (config.timeout_ms + config.grace_period_ms) / MS_PER_S


def _answered(handler: Handler, request: object, answer: Answer) -> None:
    """Have a request handled, and answer what is refused."""
    try:
        handler(request, answer)
    except (Refused, UnknownTarget) as error:
        refused(answer, error.kind, str(error), hint=error.hint, exit_code=error.exit_code)
