"""Why what a compute returned is no JSON value, and what to return in its place.

Worker; pure. The error is pydantic's, which tries a value as every kind of JSON value there is.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_AS_JSON: dict[type | None, str] = {
    datetime: "tell a time as text, moment.isoformat(), or as a number, moment.timestamp()",
    date: "tell a day as text: day.isoformat()",
    timedelta: "tell a duration as a number of seconds: duration.total_seconds()",
    set: "make a list of a set: sorted(...)",
    tuple: "make a list of a tuple: list(...)",
    bytes: "store bytes with ctx.blobs.put() and return the digest, or .decode() them",
    Decimal: "make a float of a Decimal, or text: float(...), str(...)",
}
"""What to do with values that authors return most and that are no JSON."""


def reason(error: Exception) -> str:
    """Say why a value is no JSON, from the error that said so."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = _deepest(error)
    where = ".".join(str(part) for part in first["loc"] if not _is_branch(part)) or "it"
    return f"{where} is a {type(first['input']).__name__}"


def advice(error: Exception) -> str:
    """Say what to return in its place."""
    kind = type(_deepest(error)["input"]) if isinstance(error, ValidationError) else None
    return _AS_JSON.get(
        kind, "return dicts with string keys, lists, texts, finite numbers, booleans"
    )


def _deepest(error: ValidationError) -> ErrorDetails:
    # The error has a place for each kind that was tried; the deepest place tells most.
    return max(error.errors(include_url=False, include_input=True), key=lambda e: len(e["loc"]))


def _is_branch(part: object) -> bool:
    return part in {"list", "dict", "str", "int", "float", "bool", "nullable"}
