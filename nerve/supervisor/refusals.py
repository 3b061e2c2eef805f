"""What the control socket says to whatever it does not hand on.

Parent; pure. A line is quoted nowhere: it may be huge, and it may hold a secret.
"""

from pydantic_core import from_json

from nerve.errors import Exit, MessageInvalid
from nerve.version import VERSION
from nerve.wire.control import (
    MAX_REQUEST_BYTES,
    PROTOCOL,
    AnyRequest,
    RefusedReply,
    parse_request,
)
from nerve.wire.lines import LineTooLong


def understand(line: bytes | LineTooLong) -> AnyRequest | RefusedReply:
    """Return the request that a line is, or why it is none."""
    if isinstance(line, LineTooLong):
        fact = f"a request of more than {MAX_REQUEST_BYTES:,} bytes; it was skipped"
        return RefusedReply(kind="too_long", message=fact, exit_code=Exit.USAGE)
    try:
        request = parse_request(line)
    except MessageInvalid as error:
        return _other_protocol(_protocol_of(line)) or RefusedReply(
            kind="invalid", message=f"this is no request: {error}", exit_code=Exit.USAGE
        )
    return _other_protocol(request.protocol) or request


def unanswered(request: AnyRequest) -> RefusedReply:
    """Nothing in this nerve answers such a request."""
    fact = f"nerve {VERSION} does not answer {request.type!r}"
    return RefusedReply(kind="unknown_request", message=fact)


def busy(what: str, limit: int) -> RefusedReply:
    """No more of these can be taken."""
    hint = "end some that are not needed: followers, or commands that wait"
    return RefusedReply(kind="busy", message=f"there are {limit} {what} already", hint=hint)


def stopped() -> RefusedReply:
    """Nerve has stopped before a request was done."""
    return RefusedReply(
        kind="stopping",
        message="nerve has stopped before that was done",
        hint="start it with: nerve run",
        exit_code=Exit.NOTHING_RUNNING,
    )


def _protocol_of(line: bytes) -> object:
    """Return what a request that is none for us calls its protocol, if it does at all."""
    try:
        found = from_json(line)
    except ValueError:
        return None
    return found.get("protocol") if isinstance(found, dict) else None


def _other_protocol(found: object) -> RefusedReply | None:
    if not isinstance(found, int) or found == PROTOCOL:
        return None
    is_newer = found > PROTOCOL
    command = "newer" if is_newer else "older"
    fact = f"the command is {command} than the nerve that runs, which is {VERSION}"
    hint = "restart nerve, so that it has" if is_newer else "use a command that has"
    return RefusedReply(
        kind="protocol",
        message=f"{fact}: they speak protocol {found} and {PROTOCOL}",
        hint=f"{hint} the version of the other",
    )
