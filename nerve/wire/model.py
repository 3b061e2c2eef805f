"""What every message is built from, whoever says it to whom.

All processes; pure. Models are strict (a "3" is no 3), frozen, and refuse unknown keys: a
message is valid as a whole or it is an error.
"""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from nerve.errors import MessageInvalid

MAX_INTEGER = 2**63 - 1
"""What SQLite can store; a larger number in a message is nonsense."""
MAX_MOMENT_US = 253_402_300_799_999_999
"""The end of the year 9999: no calendar here shows a later one."""
MAX_REASONS = 5
"""Faults of an invalid message that are told; the others are counted."""

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Moment = Annotated[int, Field(ge=0, le=MAX_MOMENT_US)]
"""Microseconds since 1970, UTC."""
_Union = TypeVar("_Union")


class Message(BaseModel):
    """Immutable, strict, complete."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def parse(adapter: TypeAdapter[_Union], body: bytes) -> _Union:
    """Validate what came; raises MessageInvalid, which says what is wrong and quotes nothing."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise MessageInvalid(_reasons(error)) from error


def dump(message: Message) -> bytes:
    """Write a message as JSON, without a newline in it."""
    return to_json(message, by_alias=False, inf_nan_mode="null")


def _reasons(error: ValidationError) -> str:
    # Never the input itself: it may be huge, and it may hold a secret.
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = found[:MAX_REASONS]
    shown = [f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in told]
    more = f" (and {len(found) - MAX_REASONS} more)" if len(found) > len(told) else ""
    return "; ".join(shown) + more
