"""Cron against a second implementation, which walks minute by minute and knows no cronsim."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.reflex.cron import next_us
from nerve.reflex.ticks import first_ticks
from tests.reflex.zones import EPOCH, MINUTE_US, shown, us

MINUTE = timedelta(minutes=1)
# Days with a change of daylight saving in the middle, a leap day, and days with nothing.
PLACES = [
    ("Europe/Berlin", datetime(2027, 3, 27, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2028, 2, 28, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 13, 18, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 18, tzinfo=UTC)),
    ("America/New_York", datetime(2028, 2, 28, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 3, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 3, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 9, tzinfo=UTC)),  # 00:00 does not exist
    ("America/Santiago", datetime(2027, 4, 3, 15, tzinfo=UTC)),  # midnight comes twice
    ("Asia/Kolkata", datetime(2026, 12, 30, 20, tzinfo=UTC)),
]
WARM_UP = 6 * 60
WALK = 42 * 60
"""Minutes walked, without those before the first that count."""


class Reference:
    """An expression as the sets it was made of."""

    def __init__(self, text, minutes, hours, days, months, weekdays):
        self.text, self.minutes, self.hours = text, minutes, hours
        self.days, self.months, self.weekdays = days, months, weekdays
        minute, hour, day, _, weekday = text.split()
        self.is_by_wall_clock = minute[0] == "*" or hour[0] == "*"
        self.needs_both = day[0] == "*" or weekday[0] == "*"

    def __repr__(self):
        return self.text

    @lru_cache  # noqa: B019  an example lives for milliseconds
    def has_day(self, day):
        if day.month not in self.months:
            return False
        last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        work = last - timedelta(days=max(0, last.isoweekday() - 5))
        by_date = day.day in self.days or ("L" in self.days and day == last)
        by_date = by_date or ("LW" in self.days and day == work)
        weekday = day.isoweekday() % 7
        names = {weekday, f"{weekday}#{(day.day - 1) // 7 + 1}"}
        if day.month != (day + timedelta(days=7)).month:
            names.add(f"{weekday}L")
        by_weekday = bool(names & self.weekdays)
        return by_date and by_weekday if self.needs_both else by_date or by_weekday

    def names(self, wall):
        return wall.minute in self.minutes and wall.hour in self.hours and self.has_day(wall.date())

    def moments(self, zone, begin):
        """Walk from a moment on; give the minutes that are due, in UTC."""
        walls = wall_clock(zone, begin)
        latest = walls[0]
        for number, wall in enumerate(walls[1:], 1):
            if self.is_by_wall_clock:
                is_due = self.names(wall)
            elif wall <= latest:  # shown once already
                is_due = False
            else:  # what the clock left out has its moment now
                is_due = self.names(wall)
                left_out = latest + MINUTE
                while left_out < wall:
                    is_due = is_due or self.names(left_out)
                    left_out += MINUTE
            latest = max(latest, wall)
            if is_due and number > WARM_UP:
                yield begin + number * MINUTE


@lru_cache
def wall_clock(zone, begin):
    there = ZoneInfo(zone)
    return [
        (begin + n * MINUTE).astimezone(there).replace(tzinfo=None) for n in range(WARM_UP + WALK)
    ]


def terms(low, high):
    numbers = st.integers(low, high)
    single = numbers.map(lambda n: (str(n), {n}))
    ranges = st.tuples(numbers, numbers, st.integers(1, 5)).map(
        lambda t: stepped_range(min(t[:2]), max(t[:2]), t[2])
    )
    tails = st.tuples(numbers, st.integers(1, high)).map(
        lambda t: (f"{t[0]}/{t[1]}", set(range(t[0], high + 1, t[1])))
    )
    return st.one_of(single, ranges, tails)


def stepped_range(low, high, step):
    if low == high:  # 5-5/2 is refused
        return str(low), {low}
    tail = "" if step == 1 else f"/{step}"
    return f"{low}-{high}{tail}", set(range(low, high + 1, step))


def fields(low, high, more=()):
    starred = st.integers(1, high).map(
        lambda n: ("*" if n == 1 else f"*/{n}", set(range(low, high + 1, n)))
    )
    term = st.one_of(terms(low, high), *more)
    listed = st.lists(term, min_size=1, max_size=3).map(
        lambda found: (",".join(t for t, _ in found), set().union(*(s for _, s in found)))
    )
    return st.one_of(st.just(("*", set(range(low, high + 1)))), starred, listed)


DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
SPECIAL_DAYS = st.sampled_from([("L", {"L"}), ("LW", {"LW"})])
SPECIAL_WEEKDAYS = st.one_of(
    st.integers(0, 6).map(lambda n: (f"{n}L", {f"{n}L"})),
    st.tuples(st.integers(0, 6), st.integers(1, 5)).map(
        lambda t: (f"{DAYS[t[0]]}#{t[1]}", {f"{t[0]}#{t[1]}"})
    ),
    st.integers(0, 6).map(lambda n: (DAYS[n].lower(), {n})),
)
ALL_DAYS = st.just(("*", set(range(1, 32))))
ALL_MONTHS = st.just(("*", set(range(1, 13))))
ALL_WEEKDAYS = st.just(("*", set(range(8))))


@st.composite
def expressions(draw):
    # Mostly such as come on every day, or few would be due within the walk.
    minute, hour = draw(fields(0, 59)), draw(fields(0, 23))
    day = draw(st.one_of(ALL_DAYS, ALL_DAYS, fields(1, 31, [SPECIAL_DAYS])))
    month = draw(st.one_of(ALL_MONTHS, ALL_MONTHS, fields(1, 12)))
    weekday = draw(st.one_of(ALL_WEEKDAYS, ALL_WEEKDAYS, fields(0, 7, [SPECIAL_WEEKDAYS])))
    found = (minute, hour, day, month, weekday)
    weekdays = {0 if day == 7 else day for day in weekday[1]}
    sets = [frozenset(values) for _, values in found[:4]] + [frozenset(weekdays)]
    return Reference(" ".join(text for text, _ in found), *sets)


def in_us(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


@settings(max_examples=200)
@given(expressions(), st.sampled_from(PLACES), st.integers(0, MINUTE_US - 1))
def test_cron_is_what_a_walk_from_minute_to_minute_finds(expression, place, offset_us):
    """SIG-4"""
    zone, begin = place
    expected = [in_us(moment) for moment in expression.moments(zone, begin)]
    first_us = in_us(begin + WARM_UP * MINUTE)
    last_us = in_us(begin + (WARM_UP + WALK - 1) * MINUTE)
    found = first_ticks(partial(next_us, expression.text, zone), first_us, last_us, WALK + 1)
    if expected[:1] == [first_us]:
        expected = expected[1:]
    assert list(found) == expected
    within_us = first_us + offset_us
    after = next((at for at in expected if at > within_us), None)
    following = next_us(expression.text, zone, within_us)
    assert following == after or (after is None and (following is None or following > last_us))


# After Thursday, 2026-11-26 12:00 UTC, where nothing else is said.
KNOWN = [
    ("* * * * *", "2026-11-26 12:01"),
    ("*/15 * * * *", "2026-11-26 12:15"),
    ("5 * * * *", "2026-11-26 12:05"),
    ("0 12 * * *", "2026-11-27 12:00"),
    ("30 6 * * 1-5", "2026-11-27 06:30"),
    ("0 9 * * MON", "2026-11-30 09:00"),
    ("0 9 * * 0", "2026-11-29 09:00"),
    ("0 9 * * 7", "2026-11-29 09:00"),
    ("0 9 * * 5-7", "2026-11-27 09:00"),
    ("0 8-18/2 * * *", "2026-11-26 14:00"),
    ("15,45 * * * *", "2026-11-26 12:15"),
    ("0 3 1 * *", "2026-12-01 03:00"),
    ("0 0 31 * *", "2026-12-31 00:00"),
    ("0 0 L * *", "2026-11-30 00:00"),
    ("0 0 LW 1 *", "2027-01-29 00:00"),
    ("0 0 * * 5L", "2026-11-27 00:00"),
    ("0 0 * * TUE#2", "2026-12-08 00:00"),
    ("0 0 13 * 5", "2026-11-27 00:00"),  # the 13th or a Friday
    ("0 0 13 * */5", "2026-12-13 00:00"),  # a star: both, a Sunday or Friday that is a 13th
    ("0 0 1-7 * */7", "2026-12-06 00:00"),  # the first Sunday
    ("0 0 29 2 *", "2028-02-29 00:00"),
    ("0 0 1 JAN,jul *", "2027-01-01 00:00"),
    ("20/20 * * * *", "2026-11-26 12:20"),
    ("@hourly", "2026-11-26 13:00"),
    ("@daily", "2026-11-27 00:00"),
    ("@midnight", "2026-11-27 00:00"),
    ("@weekly", "2026-11-29 00:00"),
    ("@monthly", "2026-12-01 00:00"),
    ("@yearly", "2027-01-01 00:00"),
    ("@annually", "2027-01-01 00:00"),
]


@pytest.mark.parametrize(("expression", "expected"), KNOWN)
def test_a_well_known_expression_comes_when_everybody_expects_it(expression, expected):
    due_us = next_us(expression, "UTC", us(2026, 11, 26, 12))
    assert shown("UTC", due_us) == f"{expected}+00:00"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2026-11-27 06:30"),
        ("Europe/Berlin", "2026-11-27 05:30"),
        ("America/New_York", "2026-11-27 11:30"),
        ("Asia/Kolkata", "2026-11-27 01:00"),
    ],
)
def test_the_clock_of_the_zone_decides(zone, expected):
    due_us = next_us("30 6 * * *", zone, us(2026, 11, 26, 12))
    assert shown("UTC", due_us) == f"{expected}+00:00"


def test_a_29th_of_february_comes_over_the_year_2100_too():
    after_us = us(2096, 3, 1)
    assert next_us("0 0 29 2 *", "UTC", after_us) == us(2104, 2, 29)


def test_a_time_that_never_comes_is_none():
    assert next_us("0 0 30 2 *", "UTC", 0) is None


def test_the_end_of_the_calendar_is_no_error():
    assert next_us("0 0 1 1 *", "UTC", us(9999, 6, 1)) is None


def test_what_is_no_expression_is_refused():
    with pytest.raises(ValueError, match="99"):
        next_us("99 * * * *", "UTC", 0)


def test_the_walk_itself_knows_the_days():
    last_friday = Reference("0 0 * * 5L", {0}, {0}, set(range(1, 32)), set(range(1, 13)), {"5L"})
    assert [day for day in range(1, 31) if last_friday.has_day(date(2026, 11, day))] == [27]
