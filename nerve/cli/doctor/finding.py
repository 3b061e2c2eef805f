"""What the doctor says of a thing it has looked at. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, the worst first."""

    ERROR = "error"
    """nerve does not start, loses something, or a part of it does not run."""
    WARNING = "warning"
    """It will come to that, or somebody has to look."""
    NOTE = "note"
    """Good to know; nothing is to be done."""
    SKIPPED = "skipped"
    """It was not looked at."""
    OK = "ok"


WORST_FIRST = tuple(Severity)
NEEDS_DOING = frozenset({Severity.ERROR, Severity.WARNING})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        message: what is.
        why: why that matters; may be empty.
        hint: what to do now; may be empty.
    """

    severity: Severity
    message: str
    why: str = ""
    hint: str = ""


def error(message: str, *, why: str = "", hint: str = "") -> Finding:
    """Make a finding of severity ERROR."""
    return Finding(Severity.ERROR, message, why, hint)


def warning(message: str, *, why: str = "", hint: str = "") -> Finding:
    """Make a finding of severity WARNING."""
    return Finding(Severity.WARNING, message, why, hint)


def note(message: str, *, why: str = "", hint: str = "") -> Finding:
    """Make a finding of severity NOTE."""
    return Finding(Severity.NOTE, message, why, hint)


def sound(message: str) -> Finding:
    """Make a finding of severity OK."""
    return Finding(Severity.OK, message)


class LookedInVain(Exception):
    """What a step looks at is not there, so steps that need it have nothing to look at.

    The step has said so by a finding; or its argument names the step that says why.
    """
