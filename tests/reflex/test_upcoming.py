import pytest

from nerve.reflex.timers import Timer
from nerve.reflex.upcoming import next_tick_us
from nerve.sense import TriggerKind
from tests.reflex.zones import US, us

NOW_US = us(2026, 11, 26, 12, 0, 30)


def every(ms, **more):
    return Timer("disk", TriggerKind.INTERVAL, ms, **more)


def test_cron_comes_whether_nerve_runs_or_not():
    timer = Timer("disk", TriggerKind.CRON, cron="30 6 * * *", timezone="Europe/Berlin")
    assert next_tick_us(timer, NOW_US, None) == us(2026, 11, 27, 5, 30)
    assert next_tick_us(timer, NOW_US, NOW_US) == us(2026, 11, 27, 5, 30)


def test_an_aligned_interval_does_so_too():
    assert next_tick_us(every(60_000, align=True), NOW_US, None) == us(2026, 11, 26, 12, 1)
    timer = every(86_400_000, align=True, timezone="America/New_York")
    assert next_tick_us(timer, NOW_US, None) == us(2026, 11, 27, 5)


def test_an_interval_counts_from_when_the_schedule_began():
    began_us = NOW_US - 25 * US
    assert next_tick_us(every(10_000), NOW_US, began_us) == NOW_US + 5 * US
    assert next_tick_us(every(10_000), NOW_US + 5 * US, began_us) == NOW_US + 15 * US
    assert next_tick_us(every(10_000, phase_ms=2_000), NOW_US, began_us) == NOW_US + 7 * US


@pytest.mark.parametrize("phase_ms", [0, 40_000])
def test_before_its_first_tick_an_interval_waits_for_that(phase_ms):
    began_us = NOW_US + US
    timer = every(60_000, phase_ms=phase_ms)
    assert next_tick_us(timer, NOW_US, began_us) == began_us + phase_ms * 1_000


def test_an_interval_whose_position_is_kept_counts_from_its_last_tick():
    timer = every(10_000, phase_ms=2_000, missed="once")
    began_us = NOW_US - 25 * US
    assert next_tick_us(timer, NOW_US, began_us, NOW_US - 14 * US) == NOW_US + 6 * US
    assert next_tick_us(timer, NOW_US, began_us) == NOW_US + 7 * US
    assert next_tick_us(timer, NOW_US, None, NOW_US - 14 * US) is None


def test_an_interval_cannot_be_told_while_nerve_does_not_run():
    assert next_tick_us(every(10_000), NOW_US, None) is None


def test_a_cron_time_that_never_comes_cannot_be_told():
    timer = Timer("disk", TriggerKind.CRON, cron="0 0 30 2 *")
    assert next_tick_us(timer, NOW_US, NOW_US) is None
