"""A cron expression in words, e.g. `at 06:30 on weekdays` or `every 15 minutes`.

Pure. Two expressions that mean different times never have the same words: what has no idiom is
told field by field, exactly, however long that becomes.
"""

from collections.abc import Collection, Sequence

from cronsim import CronSim

from nerve.config.crontab import LAST_DAY, LAST_WEEKDAY, calendar_of

MAX_LISTED_TIMES = 6
"""More times of day than this are easier to read as minutes and hours."""
_MINUTES, _HOURS, _DAYS, _MONTHS = range(60), range(24), range(1, 32), range(1, 13)
_WEEK = range(1, 8)
"""Monday to Sunday, which is 0 or 7: it ends the week, so that weekends are together."""
_MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORKDAYS = "Monday to Friday"
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_SHORTEST_RUN = 3


def in_words(expression: str) -> str:
    """Say when an expression comes. Raises ValueError for what is none."""
    calendar = calendar_of(expression)
    time, date = _time(calendar), _date(calendar)
    if time.startswith("at ") and not date.startswith("on "):
        time += " every day"
    return f"{time} {date}".rstrip()


def _time(calendar: CronSim) -> str:
    minutes, hours = sorted(calendar.minutes), sorted(calendar.hours)
    pace = _pace(minutes)
    if hours == [*_HOURS]:
        return pace or f"every hour at {_minutes(minutes)}"
    if pace and _is_range(hours):
        return f"{pace} from {_clock(hours[0], minutes[0])} to {_clock(hours[-1], minutes[-1])}"
    if len(minutes) == 1 and (step := _step(hours, 24)):
        return f"every {step} hours from {_clock(0, minutes[0])}"
    if len(minutes) == 1 and len(hours) >= _SHORTEST_RUN and _is_range(hours):
        first, last = (_clock(hour, minutes[0]) for hour in (hours[0], hours[-1]))
        return f"every hour from {first} to {last}"
    if len(minutes) * len(hours) <= MAX_LISTED_TIMES:
        times = [_clock(hour, minute) for hour in hours for minute in minutes]
        return f"at {_listed(times)}"
    return f"{pace or f'at {_minutes(minutes)}'} of {_numbered('hour', hours)}"


def _pace(minutes: list[int]) -> str:
    if minutes == [*_MINUTES]:
        return "every minute"
    step = _step(minutes, 60)
    return f"every {step} minutes" if step else ""


def _step(values: list[int], cycle: int) -> int | None:
    """The step of values that divide their cycle evenly from 0 on; None if they do not."""
    step = values[1] if len(values) > 1 else 0
    evenly = step > 1 and cycle % step == 0 and values == [*range(0, cycle, step)]
    return step if evenly else None


def _minutes(minutes: list[int]) -> str:
    if len(minutes) <= MAX_LISTED_TIMES:
        return _listed([f":{minute:02}" for minute in minutes])
    return _numbered("minute", minutes)


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


def _date(calendar: CronSim) -> str:
    days, weekdays = _month_days(calendar.days), _weekdays(calendar.weekdays)
    months = _months(calendar.months)
    if not calendar.day_and and not (days and weekdays):  # either will do, and one is any day
        days, weekdays = [], []
    in_months = f"in {months}" if months else ""
    if days and not weekdays:
        return f"on {_listed(days)} of {months or 'the month'}"
    if not days:
        on = "weekdays" if weekdays == [_WORKDAYS] else _listed(weekdays)
        return f"on {on} {in_months}".rstrip() if on else in_months
    both = f", if that is {_listed(weekdays, 'or')}"
    date = f"on {_listed(days)} of the month"
    date += both if calendar.day_and else f" and on {_listed(weekdays)}"
    return f"{date}, {in_months}" if months else date


def _months(months: Collection[int]) -> str:
    """Say the months; nothing where they are all."""
    is_all = len(months) == len(_MONTHS)
    return "" if is_all else _listed(_runs(months, _MONTHS, _MONTH_NAMES))


def _month_days(days: Collection[int]) -> list[str]:
    """Say the days of the month; empty where they are all."""
    numbers = sorted(set(days) & set(_DAYS))
    if numbers == [*_DAYS]:
        return []
    found = [_numbered("day", numbers)] if numbers else []
    found += ["the last day"] if LAST_DAY in days else []
    return found + (["the last weekday"] if LAST_WEEKDAY in days else [])


def _weekdays(weekdays: Collection[int | tuple[int, int]]) -> list[str]:
    """Say the days of the week; empty where they are all."""
    plain = {day or 7 for day in weekdays if isinstance(day, int)}
    if len(plain) == len(_WEEK):
        return []
    special = sorted(
        (which, day or 7) for day, which in {one for one in weekdays if isinstance(one, tuple)}
    )
    found = _runs(plain, _WEEK, _DAY_NAMES)
    found += [f"the {_which(which)} {_DAY_NAMES[day - 1]}" for which, day in special]
    return [*found[:-1], f"{found[-1]} of the month"] if special else found


def _which(which: int) -> str:
    return "last" if which == LAST_DAY else _ORDINALS[which - 1]


def _numbered(noun: str, numbers: list[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if len(numbers) == 1:
        return f"{noun} {first}"
    step = numbers[1] - first
    if len(numbers) > MAX_LISTED_TIMES and step > 1 and numbers == [*range(first, last + 1, step)]:
        return f"{noun}s {first} to {last} in steps of {step}"
    values = range(first, last + 1)
    return f"{noun}s {_listed(_runs(numbers, values, [str(value) for value in values]))}"


def _runs(chosen: Collection[int], values: range, names: Sequence[str]) -> list[str]:
    """Name the chosen ones among consecutive values, three and more in a row as `A to B`."""
    found: list[list[str]] = [[]]
    for value, name in zip(values, names, strict=True):
        if value in chosen:
            found[-1].append(name)
        elif found[-1]:
            found.append([])
    spoken = ([f"{run[0]} to {run[-1]}"] if len(run) >= _SHORTEST_RUN else run for run in found)
    return [name for run in spoken for name in run]


def _is_range(values: list[int]) -> bool:
    return values == [*range(values[0], values[-1] + 1)]


def _listed(names: Sequence[str], word: str = "and") -> str:
    *before, last = names or [""]
    return f"{', '.join(before)} {word} {last}" if before else last
