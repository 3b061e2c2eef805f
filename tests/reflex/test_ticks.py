from bisect import bisect_right
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.cron import next_us
from nerve.reflex.ticks import first_ticks, last_ticks
from tests.reflex.zones import US, us

TIMES = st.lists(st.integers(0, 10**15), unique=True, max_size=60).map(sorted)
MOMENTS = st.integers(-1, 10**15)


def among(times):
    def following(after_us):
        index = bisect_right(times, after_us)
        return times[index] if index < len(times) else None

    return following


@given(TIMES, MOMENTS, MOMENTS, st.integers(1, 20))
def test_the_first_and_the_last_of_many(times, after_us, until_us, limit):
    expected = tuple(at_us for at_us in times if after_us < at_us <= until_us)
    assert first_ticks(among(times), after_us, until_us, limit) == expected[:limit]
    assert last_ticks(among(times), after_us, until_us, limit) == expected[-limit:]


def test_the_last_of_many_centuries_of_minutes_are_found_without_walking_over_them():
    asked = []

    def following(after_us):
        asked.append(after_us)
        return next_us("* * * * *", "Europe/Berlin", after_us)

    until_us = us(2900, 1, 1)
    found = last_ticks(following, us(2026, 1, 1), until_us, 100)
    assert found == tuple(until_us - n * 60 * US for n in reversed(range(100)))
    assert len(asked) < 10_000


def test_a_time_that_falls_on_the_end_counts_and_one_on_the_beginning_does_not():
    hourly = partial(next_us, "0 * * * *", "UTC")
    begin_us = us(2026, 1, 1)
    hours_us = tuple(begin_us + n * 3_600 * US for n in range(4))
    assert first_ticks(hourly, begin_us, hours_us[3], 10) == hours_us[1:]
    assert first_ticks(hourly, begin_us, hours_us[3] - 1, 10) == hours_us[1:3]
    assert first_ticks(hourly, begin_us, begin_us, 10) == ()
