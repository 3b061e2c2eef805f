"""What commands ask of a running nerve, and what it answers: the control socket's words.

Commands and parent; pure. One JSON object a line, in both directions, at most
MAX_REQUEST_BYTES and MAX_REPLY_BYTES of it. One discriminated union for each direction, on
`type`. Over one connection requests are answered one after another:

    command --- status, trigger, pause, resume, restart, reload, stop, ... ---> parent
            <-- progress (any number), then one of: status, done, refused ------

`follow` alone has no end: it is answered by `news`, again and again, until the command closes
the connection. `news` says how far the journal has come; the entries are read from the file, so
the parent keeps nothing for whoever reads slowly, and one `news` stands for all before it.

What is asked for is durable, if it is to last, before it is `done`. Any reply may be lost with
its connection, so whatever is asked for twice is done once, or refused with a reason.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, TypeAdapter

from nerve.wire.model import Count, Message, parse
from nerve.wire.status import StatusReply

PROTOCOL: Final = 1
MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""One line: room for the largest payload of a trigger."""
MAX_REPLY_BYTES = 8 * 1024 * 1024
MAX_NAME_CHARS = 64
MAX_TARGETS = 1_000
"""Senses or groups that one request names."""
MAX_REASON_CHARS = 500
MAX_PAGE = 500
"""Senses, and groups, in one `status`; a command asks on with `after`."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Targets = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_TARGETS, strict=False)]


# --- requests: command to parent ----------------------------------------------------------


class Request(Message):
    """Anything a command may ask for.

    Attributes:
        protocol: that of the command; another one than PROTOCOL is refused with a hint.
    """

    protocol: Count = PROTOCOL


class StatusRequest(Request):
    """How everything is: a page of the groups and a page of the senses, both by name.

    Attributes:
        targets: only these senses, and the senses of these groups; all where it is empty.
        after: go on behind this sense, the last of the page before.
        after_group: the same for groups.
    """

    type: Literal["status"] = "status"
    targets: Annotated[tuple[Name, ...], Field(max_length=MAX_TARGETS, strict=False)] = ()
    after: str = ""
    after_group: str = ""


class TriggerRequest(Request):
    """Run a sense as soon as its flow control lets it.

    Attributes:
        payload: for `ctx.trigger.payloads`; None for none.
        wait: whether `done` waits for the outcome of the compute and tells it.
    """

    type: Literal["trigger"] = "trigger"
    sense: Name
    payload: JsonValue = None
    wait: bool = False


class PauseRequest(Request):
    """Let senses, or all senses of groups, not run until they are resumed."""

    type: Literal["pause"] = "pause"
    targets: Targets
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)] = ""


class ResumeRequest(Request):
    """End the pause, the quarantine and the rest of senses, or of all senses of groups."""

    type: Literal["resume"] = "resume"
    targets: Targets


class RestartRequest(Request):
    """Replace the workers of groups: changed modules are loaded, FATAL is over."""

    type: Literal["restart"] = "restart"
    groups: Targets


class ReloadRequest(Request):
    """Read nerve.yaml again, and restart what has changed in it.

    Attributes:
        check: only find out what is wrong with it, and what would be done.
    """

    type: Literal["reload"] = "reload"
    check: bool = False


class StopRequest(Request):
    """Stop as SIGTERM does; `now`, as a second one does."""

    type: Literal["stop"] = "stop"
    now: bool = False


class CursorRequest(Request):
    """Move the position of a reflex: `target` goes on behind this signal of `source`."""

    type: Literal["cursor"] = "cursor"
    target: Name
    source: Name
    position: Count


class ArchiveRequest(Request):
    """Move what is old to the archive now."""

    type: Literal["archive"] = "archive"


class MeasuresRequest(Request):
    """What was measured since the start: a MeasuresPage, as the facts of `done`.

    Attributes:
        after: go on behind this sense, the last of the page before.
    """

    type: Literal["measures"] = "measures"
    after: str = ""


class FollowRequest(Request):
    """Be told whenever the journal has grown."""

    type: Literal["follow"] = "follow"


AnyRequest = Annotated[
    StatusRequest
    | TriggerRequest
    | PauseRequest
    | ResumeRequest
    | RestartRequest
    | ReloadRequest
    | StopRequest
    | CursorRequest
    | ArchiveRequest
    | MeasuresRequest
    | FollowRequest,
    Field(discriminator="type"),
]


# --- replies: parent to command -----------------------------------------------------------


class ProgressReply(Message):
    """What happens on the way, in a sentence."""

    type: Literal["progress"] = "progress"
    message: str
    level: Literal["info", "warning", "error"] = "info"


class DoneReply(Message):
    """What was asked for is done.

    Attributes:
        message: in a sentence, for a person.
        facts: the same for `--json`; which keys depends on the request.
        is_good: False where it is done and came to no good end, such as a compute that failed.
    """

    type: Literal["done"] = "done"
    message: str
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    is_good: bool = True


class RefusedReply(Message):
    """Nothing was done.

    Attributes:
        kind: a stable word: `invalid`, `unknown_sense`, `unknown_group`, `busy`, `stopping`, ...
        exit_code: what the command ends with.
    """

    type: Literal["refused"] = "refused"
    kind: str
    message: str
    hint: str = ""
    exit_code: Annotated[int, Field(ge=1, le=255)] = 1


class NewsReply(Message):
    """All entries of the journal up to this id are durable."""

    type: Literal["news"] = "news"
    newest_id: Count


AnyReply = Annotated[
    ProgressReply | DoneReply | RefusedReply | NewsReply | StatusReply,
    Field(discriminator="type"),
]

_REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)
_REPLY: TypeAdapter[AnyReply] = TypeAdapter(AnyReply)


def parse_request(line: bytes) -> AnyRequest:
    """Validate a line in the parent; raises MessageInvalid."""
    return parse(_REQUEST, line)


def parse_reply(line: bytes) -> AnyReply:
    """Validate a line in a command; raises MessageInvalid."""
    return parse(_REPLY, line)
