"""What the archivist is told, and what it says: JSON, checked on receipt.

The parent and its archivist. Down goes one `Job`; up comes a report for each day, and the next
one is begun only after the parent has said GO_ON; then `Done` or `Failed`.
"""

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter, ValidationError

from nerve.config.models import RetentionConfig
from nerve.errors import MessageInvalid
from nerve.store.daywriter import Refused, Written

GO_ON = b"{}"


@dataclass(frozen=True, slots=True)
class Job:
    """One run.

    Attributes:
        journal, archive: logs.db, and the archive's directory.
        pairs: (target, source) of the reflexes, whose unanswered signals are held back.
        now_us: the moment for which it is decided what is old.
    """

    journal: str
    archive: str
    retention: RetentionConfig
    pairs: tuple[tuple[str, str], ...]
    now_us: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended, because of the disk or of logs.db; `fault` as StateError has it."""

    message: str
    hint: str
    fault: str


@dataclass(frozen=True, slots=True)
class Done:
    """There are no more days than this."""

    reported: int


Report = Written | Refused | Failed | Done


def dump_job(job: Job) -> str:
    """Write a job."""
    return _jobs().dump_json(job, by_alias=True).decode()


def parse_job(text: str) -> Job:
    """Read a job; raises MessageInvalid."""
    try:
        return _jobs().validate_json(text)
    except ValidationError as error:
        raise MessageInvalid(f"not a job: {error}") from error


def dump_report(report: Report) -> bytes:
    """Write a report."""
    return _reports().dump_json(report)


def parse_report(frame: bytes) -> Report:
    """Read a report; raises MessageInvalid."""
    try:
        return _reports().validate_json(frame, strict=True)
    except ValidationError as error:
        raise MessageInvalid(f"not a report: {error}") from error


# Made when they are first used: a start of nerve should not wait for what is needed once a day.
@cache
def _jobs() -> TypeAdapter[Job]:
    return TypeAdapter(Job)


@cache
def _reports() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
