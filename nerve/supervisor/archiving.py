"""One run of the archive: what it comes to, and what the log says of it.

A thread of the parent, or `nerve archive`. Who writes the days' files differs, a process beside the
parent or the command itself; what follows from each file is the same.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nerve.clock import rfc3339
from nerve.config.durations import format_duration
from nerve.config.models import RetentionConfig
from nerve.errors import NerveError
from nerve.store.archive import Archive, Expired
from nerve.store.batch import Pair
from nerve.store.dayfile import LOGS, SIGNALS
from nerve.store.daywriter import Refused, Written
from nerve.store.due import Due, older_than_us

UNANSWERED_HINT = "it is not offered them any more; see with `nerve logs` why it does not run"

Row = tuple[str, str, str, dict[str, Any]]
"""Source, type, level and payload of a row of the log."""


@dataclass(slots=True)
class Moved:
    """What went to the archive of one kind; `bytes` is the size of the files."""

    days: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Outcome:
    """What a run has come to so far.

    Attributes:
        moved: by kind.
        refused: days whose file is not what was written.
        unanswered: how many signals went that a target has not answered.
        journal_bytes: the size of logs.db before and after.
    """

    moved: Mapping[str, Moved] = field(default_factory=lambda: {LOGS: Moved(), SIGNALS: Moved()})
    refused: list[Refused] = field(default_factory=list)
    unanswered: Counter[Pair] = field(default_factory=Counter)
    expired: Expired = field(default_factory=Expired)
    journal_bytes: tuple[int, int] = (0, 0)

    @property
    def freed_bytes(self) -> int:
        """What logs.db gave back to the disk; less than nothing where it grew meanwhile."""
        before, after = self.journal_bytes
        return before - after


def archive(
    shelf: Archive,
    days: Iterable[Written | Refused],
    due: Due,
    retention: RetentionConfig,
    now_us: int,
    outcome: Outcome,
    tell: Callable[[list[Row]], None],
) -> None:
    """Put all days in their place; `outcome` says how far that has come, also if it raises.

    `days` is begun after the archive is tidy, and each is taken before the next is asked for.
    `tell` makes rows of the log durable: of signals that nobody has answered, before they go, so
    that no end of a run hides them; one that is cut off there tells of them twice. Raises
    StateError, and what `days` or `tell` raises.
    """
    before = shelf.journal_bytes()
    outcome.journal_bytes = (before, before)
    shelf.tidy()
    for day in days:
        if isinstance(day, Refused):
            outcome.refused.append(day)
            continue
        shelf.take(day)
        if day.unanswered:
            tell([_unanswered(*counted, day=day.file.day) for counted in day.unanswered])
        shelf.clear(day.selection)
        moved = outcome.moved[day.file.kind]
        moved.days, moved.rows = moved.days + 1, moved.rows + day.selection.rows
        moved.bytes += day.file.bytes
        outcome.unanswered.update({(target, source): n for target, source, n in day.unanswered})
    shelf.trim_decisions(older_than_us(retention.logs_ms, now_us))
    shelf.note_spans()
    shelf.finish(due.watermark_us)
    outcome.journal_bytes = (before, shelf.journal_bytes())
    outcome.expired = shelf.expire(retention, now_us)


def as_object(outcome: Outcome) -> dict[str, Any]:
    """Say what a run came to, for whoever has asked for it."""
    before, after = outcome.journal_bytes
    moved = {kind: asdict(moved) for kind, moved in outcome.moved.items()}
    sizes = {"journal_bytes_before": before, "journal_bytes": after}
    refused = [asdict(day) for day in outcome.refused]
    left = {"unanswered": outcome.unanswered.total(), "refused": refused}
    freed = {"freed_bytes": outcome.freed_bytes, "deleted": asdict(outcome.expired)}
    return {**moved, **sizes, **freed, **left}


def rows_of(outcome: Outcome, retention: RetentionConfig) -> Iterator[Row]:
    """Say what happened on the way, in rows of the log."""
    for day in outcome.refused:
        payload = {"message": day.message, "hint": day.hint, "kind": day.kind, "day": day.day}
        yield "nerve", "archive.refused", "error", payload
    if outcome.expired.days:
        expired, age = outcome.expired, format_duration(retention.archived_ms or 0)
        message = f"{expired.days} archived days are older than {age} and were deleted"
        counts = {"days": expired.days, "rows": expired.rows, "bytes": expired.bytes}
        yield "nerve", "archive.deleted", "info", {"message": message, **counts}


def _unanswered(target: str, source: str, count: int, *, day: str) -> Row:
    # Not where to: with `archived` as short as `signals` their file is soon deleted.
    message = f"{count} signals of {source} of {day} left logs.db that {target} has not answered"
    told = {"message": message, "hint": UNANSWERED_HINT, "source": source, "signals": count}
    return target, "archive.unanswered", "warning", {**told, "day": day}


def failed(error: BaseException, **more: Any) -> Row:
    """Say what has ended a run."""
    payload = {
        "message": f"not archived: {error if isinstance(error, NerveError) else repr(error)}",
        "hint": getattr(error, "hint", ""),
        "fault": getattr(error, "fault", ""),
        **more,
    }
    return "nerve", "archive.failed", "error", payload


def finished(outcome: Outcome, due: Due, seconds: float) -> Row:
    """Say what a run came to that ended well."""
    days = sum(moved.days for moved in outcome.moved.values())
    rows = sum(moved.rows for moved in outcome.moved.values())
    expired = outcome.expired
    deleted = f", {expired.rows} of {expired.days} days were deleted there" if expired.days else ""
    payload = {
        "message": f"{rows} rows of {days} days went to the archive{deleted}",
        "archived_up_to": rfc3339(due.watermark_us),
        **{kind: asdict(moved) for kind, moved in outcome.moved.items()},
        "journal_bytes": outcome.journal_bytes[1],
        "freed_bytes": outcome.freed_bytes,
        "seconds": round(seconds, 1),
    }
    return "nerve", "archive.finished", "info", payload
