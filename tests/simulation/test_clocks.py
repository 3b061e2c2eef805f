"""Sleep, a clock that is set, a process that gets no turn: one tick for it, never a burst."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.reflex.schedule import RECHECK_S, REPEATS_AFTER_US
from tests.reflex.zones import US, us

START = us(2026, 10, 1, 12)
MINUTELY = [
    {"kind": "sense", "sense": "wall", "cron": "* * * * *"},
    {"kind": "sense", "sense": "plain", "interval": "1m"},
]
HOUR_S = 3_600.0


@pytest.fixture
def make(worlds):
    def make():
        world = worlds(START, senses={"wall": {}, "plain": {"group": "b"}}, reflexes=MINUTELY)
        world.start()
        return world

    return make


happenings = st.lists(
    st.tuples(
        st.sampled_from(["suspend", "stall", "forward", "back"]),
        st.one_of(st.floats(0.1, 100), st.floats(100, 20_000)),
        st.floats(1, 400),
    ),
    max_size=8,
)


@settings(max_examples=60)
@given(happenings)
def test_whatever_is_done_to_time_there_is_one_tick_for_it_and_no_burst(worlds, happened):
    """SIG-4"""
    world = worlds(START, senses={"wall": {}, "plain": {"group": "b"}}, reflexes=MINUTELY)
    machine, was_far_back = world.machine, False
    world.start()
    began_s = machine.monotonic()
    for what, seconds, then_s in happened:
        match what:
            case "suspend":
                machine.suspend(seconds)
            case "stall":
                machine.stall(seconds)
            case "forward":
                machine.set_clock(seconds)
            case "back":
                machine.set_clock(-seconds)
        newest_us = max((start.due_us for start in world.of("wall")), default=0)
        # Or so nearly that it depends on which comes first, a tick or the look at the clock.
        was_far_back |= newest_us - machine.now_us() > REPEATS_AFTER_US - 120 * US
        machine.run(then_s)
    wall, plain = world.of("wall"), world.of("plain")
    awake_s = machine.monotonic() - began_s
    # It ticks once a minute; what happened brings a tick, and may bring the next one sooner.
    assert len(wall) <= awake_s / 60 + 1 + 2 * len(happened)
    dues = [start.due_us for start in wall]
    if not was_far_back:
        assert dues == sorted(set(dues))
    assert len(plain) == len({int((start.at_s - began_s + 1e-6) / 60) for start in plain})
    late = [(start.at_s - began_s) % 60 for start in plain]
    stalls = sum(what == "stall" for what, *_ in happened)
    assert sum(1 for by_s in late if 0.001 < by_s < 59.999) <= stalls
    world.stop()


def test_after_a_sleep_the_wall_clock_ticks_once_and_the_interval_did_not_notice(make):
    """SIG-4"""
    world = make()
    world.machine.run(90)
    seen = len(world.of("plain"))
    world.machine.suspend(8 * HOUR_S)
    world.machine.run(RECHECK_S)
    woke = world.of("wall")[-1]
    assert woke.due_us // US % 60 == 0
    assert woke.wall_us - woke.due_us < (60 + RECHECK_S) * US
    assert len(world.of("wall")) == 2
    world.machine.run(20)
    assert len(world.of("plain")) == seen + 1
    world.stop()
    assert world.counts("wall")["missed"] == 8 * 60 - 1
    assert [entry.type for entry in world.logged] == ["nerve.started", "tick.late"]


@pytest.mark.parametrize(("back_s", "pause_s"), [(2.9 * HOUR_S, 2.9 * HOUR_S), (3.1 * HOUR_S, 60)])
def test_times_come_again_only_after_the_clock_was_set_back_by_more_than_three_hours(
    make, back_s, pause_s
):
    """SIG-4"""
    world = make()
    world.machine.run(600)
    world.machine.set_clock(-back_s)
    world.machine.run(4 * HOUR_S)
    gaps = [b.at_s - a.at_s for a, b in pairwise(world.of("wall"))]
    assert pause_s - 60 <= max(gaps) <= pause_s + 60 + RECHECK_S
    assert {round(b.at_s - a.at_s) for a, b in pairwise(world.of("plain"))} == {60}
    world.stop()


def test_a_clock_set_forward_brings_one_tick_and_the_rest_is_missed(make):
    """SIG-4, SIG-8"""
    world = make()
    world.machine.run(90)
    world.machine.set_clock(5 * HOUR_S)
    world.machine.run(RECHECK_S)
    assert len(world.of("wall")) == 2
    world.stop()
    assert world.counts("wall")["missed"] == 5 * 60 - 1
