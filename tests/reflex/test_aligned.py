from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.aligned import next_aligned_us
from nerve.reflex.timers import phase_ms
from tests.reflex.zones import US, local_us, shown, us

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
TIMES = st.integers(us(2026, 1, 1), us(2029, 1, 1))
PARTS = st.sampled_from([250, 1_000, 30_000, 900_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000])


def test_a_quarter_of_a_day_is_counted_from_midnight_of_the_zone():
    noon_us = local_us("Asia/Kathmandu", "2026-11-26 11:00")
    due_us = next_aligned_us(21_600_000, 0, "Asia/Kathmandu", noon_us)
    assert shown("Asia/Kathmandu", due_us) == "2026-11-26 12:00+05:45"


def test_a_week_is_counted_from_1970():
    due_us = next_aligned_us(7 * 86_400_000, 0, "Europe/Berlin", us(2026, 11, 24))
    assert due_us == us(2026, 11, 26)  # a Thursday, as 1970-01-01 was
    assert due_us % (7 * 86_400 * US) == 0


def test_jitter_comes_on_top():
    midnight_us = us(2026, 11, 26)
    assert next_aligned_us(60_000, 1_500, "UTC", midnight_us) == midnight_us + 1_500_000
    assert (
        next_aligned_us(60_000, 1_500, "UTC", midnight_us + 1_500_000) == midnight_us + 61_500_000
    )


@given(PARTS, st.sampled_from(ZONES), TIMES, st.text("ab", max_size=3), st.integers(0, 200))
def test_the_next_tick_is_later_and_nothing_lies_between(interval_ms, zone, after_us, name, jitter):
    phase = phase_ms(name, jitter)
    due_us = next_aligned_us(interval_ms, phase, zone, after_us)
    # An hour more where a change leaves one out or lets one come twice.
    assert after_us < due_us <= after_us + interval_ms * 1_000 + 3_600 * US
    assert next_aligned_us(interval_ms, phase, zone, due_us - 1) == due_us
    assert next_aligned_us(interval_ms, phase, zone, (after_us + due_us) // 2) == due_us


@given(PARTS, st.sampled_from(ZONES), TIMES)
def test_away_from_a_change_the_clock_shows_a_whole_multiple(interval_ms, zone, after_us):
    due_us = next_aligned_us(interval_ms, 0, zone, after_us)
    midnight_us = local_us(zone, shown(zone, due_us)[:10])
    if shown(zone, midnight_us)[16:] == shown(zone, due_us)[16:]:
        assert (due_us - midnight_us) % (interval_ms * 1_000) == 0
