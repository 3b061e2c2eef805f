"""The grammar of cron expressions: what nerve.yaml may hold under `cron`.

Every process; pure. cronsim reads the fields and knows the calendar; here is what nerve refuses
although cronsim would take it (seconds, a step that has no effect), what it adds (`@daily` and
its kin), and the words for what is wrong. docs/scheduling.md has the grammar for people.

What comes out is a calendar without a time zone; `nerve.reflex.cron` lays it over one.
"""

import re
from datetime import datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MAX_CRON_CHARS = 400
"""All 60 minutes written out take 169; more than this is not meant."""
CACHED_CALENDARS = 1_024
"""Expressions whose reading is kept: thousands of timers share a few."""
LAST_DAY = CronSim.LAST
"""Stands for `L` among the days of a month, and beside a weekday for its last in the month."""
LAST_WEEKDAY = CronSim.LAST_WEEKDAY
"""Stands for `LW`: the last day of a month that is neither Saturday nor Sunday."""
_FIELDS = (
    ("minute", "minute", 59, "0 to 59"),
    ("hour", "hour", 23, "0 to 23"),
    ("day-of-month", "day of month", 31, "1 to 31, L (the last day) or LW (the last weekday)"),
    ("month", "month", 12, "1 to 12 or JAN to DEC"),
    (
        "day-of-week",
        "day of week",
        7,
        "0 to 7 (0 and 7 are Sunday), SUN to SAT, 5L (the last Friday) or 5#2 (the second)",
    ),
)
_FORMS = "with * for all, lists (1,15), ranges that go up (1-5) and steps (*/15)"
_STEP = re.compile(r"([^,/]*)/([0-9]+)(?=,|$)")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  a calendar has no time zone


class NeverDue(ValueError):
    """An expression names no day that the calendar has."""


@lru_cache(CACHED_CALENDARS)
def calendar_of(expression: str) -> CronSim:
    """Read an expression; what comes out is shared, so walk over a copy of it.

    Raises NeverDue for what is well formed and never comes, ValueError for all else that is
    wrong, in words for the person who wrote it.
    """
    _refuse_misplaced(expression)
    fields = NICKNAMES.get(expression, expression).split()
    for part, field in zip(fields, _FIELDS, strict=True):
        _refuse_empty_step(part, field[1], field[2])
    try:
        return CronSim(" ".join(fields), _EPOCH)
    except CronSimError as error:
        raise _explained(expression, fields, str(error)) from error


def _refuse_misplaced(expression: str) -> None:
    if len(expression) > MAX_CRON_CHARS:
        raise ValueError(f"a cron expression has at most {MAX_CRON_CHARS} characters")
    if not expression.isascii():
        raise ValueError(f"a cron expression holds ASCII characters only: {expression!r}")
    if expression.startswith("@"):
        _refuse_unknown_nickname(expression)
        return
    count = len(expression.split())
    if count != len(_FIELDS):
        more = "; there are no seconds: for those write `interval`" if count > len(_FIELDS) else ""
        raise ValueError(
            "a cron expression has five fields, minute, hour, day of month, month and day of "
            f"week: {expression!r} has {count}{more}"
        )


def _refuse_unknown_nickname(expression: str) -> None:
    if expression == "@reboot":
        raise ValueError("there is no @reboot: an `interval` runs at the start of nerve")
    if expression.startswith("@every"):
        raise ValueError(f"there is no {expression!r}: write `interval: 5m` instead of cron")
    if expression not in NICKNAMES:
        raise ValueError(f"there is no {expression!r}; write {', '.join(NICKNAMES)} or five fields")


def _refuse_empty_step(part: str, name: str, highest: int) -> None:
    """Refuse `*/90`, `L/2` and `5-5/2`, which cronsim takes for `0`, `L` and `5/2`."""
    for term, step in _STEP.findall(part.upper()):
        # The length first: int() of thousands of digits would be a fault of its own.
        if len(step) > len(str(highest)) or int(step) > highest:
            hint = "; for every so often write `interval`" if name in ("minute", "hour") else ""
            raise ValueError(f"the step of {term}/{step} is longer than any {name}{hint}")
        first, *others = term.split("-")
        if term in ("L", "LW") or others == [first]:
            raise ValueError(f"{term} is a single {name} and has no step: {part!r}")


def _explained(expression: str, fields: list[str], refusal: str) -> ValueError:
    for part, (cronsims, name, _, allowed) in zip(fields, _FIELDS, strict=True):
        if refusal != f"Bad {cronsims}":
            continue
        if name == "day of month" and _is_day(part):
            fact = f"{expression!r} never comes: no such month has a day {part}"
            return NeverDue(fact)
        what = f"{part!r} is no {name}; write {allowed}, {_FORMS}"
        return ValueError(f"bad cron expression {expression!r}: {what}")
    return ValueError(f"bad cron expression {expression!r}: {refusal}")


def _is_day(part: str) -> bool:
    try:
        CronSim(f"0 0 {part} * *", _EPOCH)
    except CronSimError:
        return False
    return True
