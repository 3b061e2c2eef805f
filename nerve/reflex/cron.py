"""The times that a cron expression names, in a time zone.

Parent and commands; pure. The calendar is cronsim's (`nerve.config.crontab`), walked over without
a time zone; what becomes of it when a clock is changed is `nerve.reflex.wallclock`'s.
As with cron(8), an expression whose minute or hour begins with `*` follows the wall
clock, and every other one names fixed times, each of which has its run.
"""

from copy import copy
from datetime import datetime
from functools import partial

from cronsim import CronSim

from nerve.config.crontab import NeverDue, calendar_of
from nerve.reflex.wallclock import every_pass_us, first_pass_us


def next_us(expression: str, timezone: str, after_us: int) -> int | None:
    """The first time strictly after `after_us`, UTC microseconds; None if there is none.

    Raises ValueError for what is no cron expression.
    """
    try:
        calendar = calendar_of(expression)
        following = every_pass_us if _is_by_wall_clock(calendar) else first_pass_us
        return following(partial(_next_local, calendar), timezone, after_us)
    except (NeverDue, OverflowError):  # the 30th of February; the year 10000
        return None


def _is_by_wall_clock(calendar: CronSim) -> bool:
    _, minute, hour, *_ = calendar.parts
    return minute.startswith("*") or hour.startswith("*")


def _next_local(calendar: CronSim, local: datetime) -> datetime:
    walk = copy(calendar)
    walk.dt = local.replace(microsecond=0)
    for found in walk:
        return found
    raise NeverDue(f"nothing within fifty years: {' '.join(calendar.parts[1:])}")
