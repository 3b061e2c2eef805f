"""What an operation needs to answer a request, and what handles requests.

Parent. A contract, so that operations can be read, and tested, without a socket.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from nerve.wire.control import DoneReply, RefusedReply
from nerve.wire.status import StatusReply


class Answer(Protocol):
    """Where the replies to one request go.

    Whoever asked may be gone: then nothing is sent, and nobody is told, as what was asked for
    is done all the same. All methods are called on the loop, and none of them waits. After one
    final reply no other is sent.
    """

    @property
    def by(self) -> dict[str, JsonValue]:
        """Who asked, for the log row of what is done: `pid` (0 where unknown) and `uid`."""
        ...

    def progress(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Say what happens on the way."""
        ...

    def end(self, reply: DoneReply | RefusedReply | StatusReply) -> None:
        """Give the final reply."""
        ...

    def on_close(self, callback: Callable[[], None]) -> None:
        """Have `callback` called should whoever asked go away before the final reply."""
        ...


def done(answer: Answer, message: str, *, is_good: bool = True, **facts: JsonValue) -> None:
    """End with DoneReply."""
    answer.end(DoneReply(message=message, facts=facts, is_good=is_good))


def refused(answer: Answer, kind: str, message: str, *, hint: str = "", exit_code: int = 1) -> None:
    """End with RefusedReply: nothing was done."""
    answer.end(RefusedReply(kind=kind, message=message, hint=hint, exit_code=exit_code))


Handler = Callable[[Any, Answer], None]
"""Takes a request of its type and an Answer; begins, and may go on after it has returned."""
Handlers = Mapping[str, Handler]
"""By the request's `type`. `follow` is the server's own."""
