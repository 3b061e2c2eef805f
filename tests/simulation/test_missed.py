"""What is made up for after nerve was down: exactly the runs that nerve.yaml asks for."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.reflex.timers import next_wall_us, timers_of
from tests.reflex.zones import MINUTE_US, US, between, local_us

RULES = {
    "fixed": {"cron": "10,40 2,3 * * *"},
    "wild": {"cron": "*/20 * * * *"},
    "aligned": {"interval": "20m", "align": True},
    "plain": {"interval": "20m"},
    "with jitter": {"interval": "20m", "jitter": "7m"},
}
STARTS = [
    ("Europe/Berlin", local_us("Europe/Berlin", "2028-03-26T00:50:30")),
    ("Europe/Berlin", local_us("Europe/Berlin", "2028-10-29T00:50:30")),
    ("America/New_York", local_us("America/New_York", "2028-11-05T00:50:30")),
    ("Australia/Lord_Howe", local_us("Australia/Lord_Howe", "2028-10-01T00:50:30")),
    ("Australia/Lord_Howe", local_us("Australia/Lord_Howe", "2028-04-02T00:50:30")),
    ("UTC", local_us("UTC", "2028-02-28T22:50:30")),
]
"""Just before the changes of daylight saving, and a leap day."""


pytestmark = pytest.mark.usefixtures("a_clock_that_nobody_sets")


def in_ms(dues_us):
    """Of an interval a tick is told from two clocks, and may be a microsecond off."""
    return [round(due_us / 1_000) for due_us in dues_us]


@dataclass
class Expected:
    """What an honest clerk would have written down."""

    runs: list = field(default_factory=list)
    merged: int = 0
    missed: int = 0

    def make_up(self, missed, catchup_us, ticks, now_us):
        recent = [at for at in ticks if catchup_us is None or at >= now_us - catchup_us]
        if missed == "skip" or not recent:
            self.missed += len(ticks)
            return
        self.missed += len(ticks) - len(recent)
        self.runs += recent if missed == "all" else recent[-1:]
        self.merged += 0 if missed == "all" else len(recent) - 1


def ticks_of(timer, began_us, after_us, until_us):
    """The ticks after one moment up to another, by arithmetic alone."""
    if timer.is_by_wall_clock:
        return between(lambda at: next_wall_us(timer, at) or until_us + 1, after_us, until_us)
    interval_us, first_us = timer.interval_ms * 1_000, began_us + timer.phase_ms * 1_000
    grid = range(first_us, until_us + 1, interval_us)
    return [at for at in grid if at > after_us or (at == first_us == after_us)]


# Nerve starts at a half minute and ends at a quarter before the next: never just at a tick.
minutes = st.integers(1, 14 * 60)
lives = st.lists(st.tuples(minutes, minutes, st.booleans()), min_size=1, max_size=5)


@settings(max_examples=100)
@given(
    st.sampled_from(sorted(RULES)),
    st.sampled_from(["skip", "once", "all"]),
    st.sampled_from([None, 35, 150]),
    st.sampled_from(STARTS),
    lives,
)
def test_after_each_time_that_nerve_was_down_exactly_the_runs_configured_are_made_up_for(
    worlds, rule, missed, catchup_min, start, lives
):
    """SIG-4, SIG-7, SIG-8"""
    zone, start_us = start
    more = {} if missed == "skip" or catchup_min is None else {"catchup": f"{catchup_min}m"}
    reflex = {"kind": "sense", "sense": "x", "missed": missed, **RULES[rule], **more}
    world = worlds(start_us, senses={"x": {}}, reflexes=[reflex], timezone=zone)
    (timer,) = timers_of(world.config)
    expected, began_us, down_at_us = Expected(), start_us, None
    for up_min, down_min, crashes in lives:
        now_us = world.machine.now_us()
        if down_at_us is not None:
            forgotten = not (timer.keeps_position or timer.is_by_wall_clock)
            ticks = [] if forgotten else ticks_of(timer, began_us, down_at_us, now_us)
            expected.make_up(missed, timer.catchup_us, ticks, now_us)
            began_us = now_us if forgotten else began_us
        world.start()
        world.machine.run(up_min * 60 + 15)
        down_at_us = world.machine.now_us()
        expected.runs += ticks_of(timer, began_us, now_us, down_at_us)
        world.crash() if crashes else world.stop()
        world.machine.run(down_min * 60 - 15)
    assert in_ms(start.due_us for start in world.starts) == in_ms(expected.runs)
    counts = world.counts("x")
    assert counts["no_signal"] == len(expected.runs)
    if missed != "skip" or timer.is_by_wall_clock:
        assert (counts["missed"], counts["coalesced"]) == (expected.missed, expected.merged)


@settings(max_examples=40)
@given(st.sampled_from(sorted(RULES)), st.lists(st.integers(0, 30), max_size=12))
def test_a_crash_at_any_step_neither_loses_nor_doubles_a_tick(worlds, rule, crashes):
    """SIG-2, SIG-7"""
    zone, start_us = STARTS[0]
    reflex = {"kind": "sense", "sense": "x", "missed": "all", **RULES[rule]}
    world = worlds(start_us, senses={"x": {}}, reflexes=[reflex], timezone=zone)
    (timer,) = timers_of(world.config)
    world.start()
    world.machine.run(0.001)  # from its first commit on it is known that there is a timer
    for steps in crashes:
        for _ in range(steps):
            world.machine.step()
        world.restart(7.0, crash=True)
    world.machine.run(7_230)
    committed = [start.due_us for start in world.starts if start.is_committed]
    ticks = ticks_of(timer, start_us, start_us, world.machine.now_us())
    assert in_ms(committed) == in_ms(ticks)
    world.stop()


def test_of_a_long_time_the_newest_hundred_ticks_are_made_up_for_and_then_it_ticks_on(worlds):
    """SIG-4, SIG-8"""
    reflex = {"kind": "sense", "sense": "x", "missed": "all", "interval": "1m"}
    world = worlds(STARTS[0][1], senses={"x": {}}, reflexes=[reflex])
    world.start()
    world.restart(24 * 3600 - 1)
    world.machine.run(100)
    dues = [start.due_us for start in world.starts]
    assert len(dues) == 1 + 100 + 1 + 1
    assert {b - a for a, b in pairwise(in_ms(dues[1:]))} == {MINUTE_US // 1_000}
    assert world.counts("x")["missed"] == 24 * 60 - 1 - 100
    assert dues[-1] <= world.machine.now_us() < dues[-1] + 60 * US
    world.stop()
