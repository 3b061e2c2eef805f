from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.schedule import NEVER, Schedule
from nerve.reflex.timers import Timer, phase_ms
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


def test_an_interval_that_keeps_its_position_goes_on_from_there():
    """SIG-4, SIG-7"""
    timer, now_us = every(60_000, missed="once"), us(2026, 5, 1)

    def first(last_us):
        return Schedule(
            [timer], now=0.0, now_us=now_us, positions={("disk", timer.source): last_us}
        ).next_due()

    assert first(now_us - 20 * US) == 40.0
    assert first(now_us - 140 * US) == 40.0  # what passed meanwhile is made up for elsewhere
    assert first(now_us + 5 * US) == 65.0  # the clock was set back a little
    assert first(now_us + 3_600 * US) == 0.0  # and here it had been wrong
    assert Schedule([timer], now=0.0, now_us=now_us).next_due() == 0.0


def test_a_timer_by_the_wall_clock_keeps_its_position_as_well():
    """SIG-7"""
    timer = Timer("disk", TriggerKind.CRON, cron="0 6 * * *", missed="all")
    start_us = us(2026, 5, 1, 5, 59, 55)
    positions = {("disk", timer.source): us(2026, 4, 30, 6)}
    schedule = Schedule([timer], now=0.0, now_us=start_us, positions=positions)
    (tick,) = schedule.pop_due(5.0, start_us + 5 * US)
    assert tick.runs == (us(2026, 5, 1, 6),)


def test_ticks_of_a_suspend_run_one_by_one_where_all_are_wanted():
    """SIG-4"""
    timer = Timer("disk", TriggerKind.CRON, cron="0 * * * *", missed="all")
    start_us = us(2026, 5, 1, 5, 59, 55)
    schedule = Schedule([timer], now=0.0, now_us=start_us)
    (tick,) = schedule.pop_due(5.0, us(2026, 5, 1, 8, 30))
    assert list(tick.runs) == [us(2026, 5, 1, hour) for hour in (6, 7, 8)]
    assert tick.missed == 0


def test_a_time_that_comes_again_because_the_clock_was_set_back_has_no_second_tick():
    """SIG-4"""
    timer = Timer("disk", TriggerKind.CRON, cron="0 * * * *")
    schedule = Schedule([timer], now=0.0, now_us=us(2026, 5, 1, 5, 59, 55))
    assert len(schedule.pop_due(5.0, us(2026, 5, 1, 6))) == 1
    for now, minute in ((20.0, 30), (30.0, 45)):
        assert schedule.pop_due(now, us(2026, 5, 1, 5, minute)) == []
    assert schedule.pop_due(40.0, us(2026, 5, 1, 6, 0, 1)) == []
    assert [t.runs[0] for t in schedule.pop_due(50.0, us(2026, 5, 1, 7))] == [us(2026, 5, 1, 7)]


def test_a_clock_that_was_wrong_by_more_begins_anew():
    """SIG-4"""
    timer = Timer("disk", TriggerKind.CRON, cron="0 * * * *")
    schedule = Schedule([timer], now=0.0, now_us=us(2027, 5, 1, 5, 59, 55))
    assert len(schedule.pop_due(5.0, us(2027, 5, 1, 6))) == 1
    schedule.pop_due(15.0, us(2026, 5, 1, 5, 59, 55))
    assert len(schedule.pop_due(25.0, us(2026, 5, 1, 6))) == 1


@pytest.mark.parametrize("missed", ["once", "all"])
def test_a_tick_that_is_older_than_catchup_when_its_turn_comes_is_missed(missed):
    """SIG-4, SIG-8"""
    timer = Timer("disk", TriggerKind.CRON, cron="0 6 * * *", missed=missed, catchup_us=3_600 * US)
    schedule = Schedule([timer], now=0.0, now_us=us(2026, 5, 1, 5, 59, 55))
    (tick,) = schedule.pop_due(5.0, us(2026, 5, 1, 12))
    assert (tick.runs, tick.missed) == ((), 1)


def test_a_wait_is_looked_at_again_without_working_the_time_out_anew(monkeypatch):
    """SIG-4: ten thousand timers are, every ten seconds."""
    asked = []
    monkeypatch.setattr(
        "nerve.reflex.schedule.next_wall_us",
        lambda timer, at_us: asked.append(at_us) or us(2026, 5, 2),
    )
    timer = Timer("disk", TriggerKind.CRON, cron="0 0 * * *")
    schedule = Schedule([timer], now=0.0, now_us=us(2026, 5, 1))
    for second in (10, 20, 30):
        assert schedule.pop_due(float(second), us(2026, 5, 1, 0, 0, second)) == []
    assert len(asked) == 1
    schedule.pop_due(40.0, us(2026, 5, 1, 0, 0, 5))  # the clock was set back
    assert len(asked) == 2
