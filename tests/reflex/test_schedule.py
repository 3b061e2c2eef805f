from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.schedule import NEVER, Schedule
from nerve.reflex.timers import Timer, next_cron_us, phase_ms
from nerve.sense import TriggerKind

US = 1_000_000


def every(ms, **more):
    return Timer("disk", TriggerKind.INTERVAL, ms, **more)


def us(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp()) * US


def test_an_interval_ticks_at_once_and_then_at_its_pace():
    schedule = Schedule([every(1_000)], now=100.0, now_us=0)
    due = []
    for _ in range(4):
        due.append(schedule.next_due())
        schedule.pop_due(schedule.next_due(), 0)
    assert due == [100.0, 101.0, 102.0, 103.0]


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=60))
def test_latenesses_do_not_add_up(latenesses):
    """SIG-4"""
    schedule = Schedule([every(1_000)], now=0.0, now_us=0)
    for lateness in latenesses:
        schedule.pop_due(schedule.next_due() + lateness, 0)
    assert abs(schedule.next_due() - len(latenesses)) < 1e-6


@given(st.floats(0.1, 50))
def test_a_late_tick_runs_once_and_counts_what_it_swallowed(pause):
    """SIG-4"""
    schedule = Schedule([every(1_000)], now=0.0, now_us=0)
    schedule.pop_due(0.0, 0)
    (tick,) = schedule.pop_due(1.0 + pause, 0)
    assert tick.missed == int(pause + 1e-9) or tick.missed == int(pause)
    assert schedule.next_due() > 1.0 + pause


def test_aligned_ticks_follow_the_wall_clock_and_survive_its_steps():
    start_us = us(2026, 3, 1, 12, 0, 7)
    schedule = Schedule([every(30_000, align=True)], now=0.0, now_us=start_us)
    assert schedule.pop_due(schedule.next_due(), start_us + 10 * US) == []  # looks again: 12:00:17
    (tick,) = schedule.pop_due(schedule.next_due() + 20, us(2026, 3, 1, 12, 0, 30))
    assert tick.missed == 0


def test_cron_follows_its_time_zone_over_the_change_of_daylight_saving():
    before = us(2026, 3, 28, 12, 0, 0)
    first = next_cron_us("30 8 * * *", "Europe/Berlin", before)
    assert first == us(2026, 3, 29, 6, 30)  # summer time began in that night
    assert next_cron_us("30 8 * * *", "Europe/Berlin", first) == us(2026, 3, 30, 6, 30)


@given(
    st.integers(us(2026, 10, 24) // US, us(2026, 10, 26) // US),
    st.sampled_from(["30 2 * * *", "15 2 * * *", "*/15 * * * *", "0 3 * * *", "5 1-4 * * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_the_next_cron_time_is_always_later_in_the_hour_that_comes_twice_too(second, cron, zone):
    """SIG-4"""
    found = next_cron_us(cron, zone, second * US)
    assert second * US < found <= (second + 26 * 3600) * US


def test_a_cron_timer_goes_on_over_the_change_of_daylight_saving():
    """SIG-4"""
    timer = Timer("disk", TriggerKind.CRON, cron="30 2 * * *", timezone="Europe/Berlin")
    start_us = us(2026, 10, 24, 12, 0, 0)
    schedule, ticks = Schedule([timer], now=0.0, now_us=start_us), []
    while schedule.next_due() < 3 * 86_400:
        now = schedule.next_due()
        now_us = start_us + int(now * US)
        ticks += [now_us for _ in schedule.pop_due(now, now_us)]
    assert [tick // US for tick in ticks] == [
        us(2026, 10, day, hour, 30) // US for day, hour in ((25, 0), (26, 1), (27, 1))
    ]


def test_a_cron_time_that_never_comes_is_never_due():
    assert next_cron_us("0 0 30 2 *", "UTC", us(2026, 1, 1)) is None
    timer = Timer("disk", TriggerKind.CRON, cron="0 0 30 2 *")
    assert Schedule([timer], now=0.0, now_us=us(2026, 1, 1)).next_due() == NEVER


def test_jitter_is_stable_for_a_name_and_spreads_over_names():
    phases = [phase_ms(f"sense-{n}", 1_000) for n in range(200)]
    assert phases == [phase_ms(f"sense-{n}", 1_000) for n in range(200)]
    assert all(0 <= phase < 1_000 for phase in phases)
    assert len(set(phases)) > 150


def test_jitter_shifts_the_first_tick():
    schedule = Schedule([every(1_000, phase_ms=250)], now=0.0, now_us=0)
    assert schedule.next_due() == 0.25
