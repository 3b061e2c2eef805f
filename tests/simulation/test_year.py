"""A year, from September 2027: a leap day, and two changes of daylight saving in each zone."""

import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from nerve.clock import to_datetime
from nerve.reflex.timers import next_wall_us, timers_of
from tests.reflex.zones import US, between, us
from tests.simulation.world import Doing

pytestmark = pytest.mark.usefixtures("a_clock_that_nobody_sets")

START, END = us(2027, 9, 1, 10, 20, 30), us(2028, 9, 1, 10, 21, 30)
HOUR_S = 3_600
ZONES = {
    "berlin": ("Europe/Berlin", "30 2 * * *"),
    "new-york": ("America/New_York", "30 2 * * *"),
    "lord-howe": ("Australia/Lord_Howe", "15 2 * * *"),
}
"""Sense to where it is, and a time there that one day a year does not exist and on one comes twice."""
TIMERS = {
    **{sense: {"cron": cron, "timezone": zone} for sense, (zone, cron) in ZONES.items()},
    "leap": {"cron": "0 12 29 2 *"},
    "quarters": {"interval": "6h", "align": True, "timezone": "America/New_York"},
    "sevens": {"interval": "7h", "jitter": "90m"},
    "often": {"interval": "3h"},
}


def computes(random, sense, trigger):
    outcome = random.choices(["signal", "no_signal", "error"], [6, 2, 1])[0]
    return Doing(random.choice([0.01, 1.0, 40.0]), outcome, {"n": random.randrange(10)})


def config():
    kept = {name: rule for name, rule in TIMERS.items() if name != "often"}
    reflexes = [
        {"kind": "sense", "sense": name, "missed": "all", **rule} for name, rule in kept.items()
    ]
    reflexes += [
        {"kind": "sense", "sense": "often", **TIMERS["often"]},
        {"kind": "sense", "sense": "echo", "on": [*ZONES, "often"]},
        {"kind": "sense", "sense": "picky", "on": "echo", "where": "n > 4", "debounce": "5m"},
    ]
    senses = {name: {"group": f"g{n % 3}"} for n, name in enumerate([*TIMERS, "echo", "picky"])}
    senses["echo"]["throttle"] = "2h"
    return {"senses": senses, "reflexes": reflexes}


def dues(world, sense, *, committed=False):
    """The ticks that came to an end, in milliseconds; or to one that is committed."""
    starts = [start for start in world.of(sense) if start.due_us is not None]
    found = [s.due_us for s in starts if s.is_committed or (s.outcome and not committed)]
    return [round(at / 1_000) for at in found]


def ticks(world, sense):
    (timer,) = [timer for timer in timers_of(world.config) if timer.sense == sense]
    if timer.is_by_wall_clock:
        named = between(lambda at: next_wall_us(timer, at) or END + 1, START, END)
    else:
        step_us = timer.interval_ms * 1_000
        named = range(START + timer.phase_ms * 1_000, END + 1, step_us)
    return [at // 1_000 for at in named]


def test_a_year_without_a_stop_has_each_tick_at_its_time_in_each_time_zone(worlds):
    """SIG-4, SIG-5, SIG-8"""
    world = worlds(START, computes, seed=1, **config())
    world.start()
    world.machine.run((END - START) / US)
    world.stop()
    assert_once_a_day(world)
    for sense in TIMERS:
        assert dues(world, sense) == ticks(world, sense), sense
    # No drift: the last tick of the year is as exact as the first.
    assert all(
        at == START // 1_000 + n * 3 * 3_600_000 for n, at in enumerate(dues(world, "often"))
    )
    gaps = [b.at_s - a.at_s for a, b in pairwise(world.of("echo"))]
    assert min(gaps) >= 2 * HOUR_S - 0.001
    assert world.counts("sevens").keys() == {"signal", "no_signal", "error"}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_year_of_stops_and_crashes_loses_no_tick_and_no_signal_and_doubles_none(worlds, seed):
    """SIG-2, SIG-4, SIG-7, SIG-8"""
    chance = random.Random(seed)
    world = worlds(START, computes, seed=seed, **config())
    world.start()
    world.machine.run(1)
    while (left_s := (END - world.machine.now_us()) / US) > 12 * 86_400:
        world.machine.run(chance.uniform(HOUR_S, 12 * 86_400))
        crash = chance.random() < 0.5
        for _ in range(chance.randrange(40) if crash else 0):
            world.machine.step()
        world.restart(chance.choice([5.0, HOUR_S, 4 * 86_400]) * chance.random(), crash=crash)
    world.machine.run(left_s)
    assert len(world.boots) > 30
    for sense in TIMERS.keys() - {"often"}:
        named, run = ticks(world, sense), Counter(dues(world, sense))
        # A compute that failed is done with, but a crash may take that word of it.
        assert run.keys() <= set(named)
        assert max(Counter(dues(world, sense, committed=True)).values(), default=1) == 1
        # A tick that came while another of the same sense waited has joined it.
        joined = sum(start.merged for start in world.of(sense))
        assert len(run) + joined >= len(named), sense
    assert_signals_are_answered(world)
    world.stop()


def assert_signals_are_answered(world):
    world.machine.run(3 * HOUR_S)
    answered = Counter(s for start in world.of("echo") if start.is_committed for s in start.signals)
    failed = {s for start in world.of("echo") if start.outcome == "error" for s in start.signals}
    assert max(answered.values()) == 1
    settled_us = world.machine.now_us() - 3 * HOUR_S * US
    told = world.query(
        "SELECT id FROM signals WHERE at_us < ? AND sense NOT IN ('echo', 'picky', 'leap',"
        " 'quarters', 'sevens')",
        settled_us,
    )
    assert len(told) > 2_000
    assert {signal_id for (signal_id,) in told} <= answered.keys() | failed


def assert_once_a_day(world):
    """Also on the days of 23 and of 25 hours; and the 29th of February once in the year."""
    odd = {}
    for sense, (zone, cron) in ZONES.items():
        local = [to_datetime(at * 1_000).astimezone(ZoneInfo(zone)) for at in dues(world, sense)]
        days = [at.date() for at in local]
        assert len(days) == 366
        assert {b - a for a, b in pairwise(days)} == {timedelta(days=1)}
        minute = int(cron.split()[0])
        odd[sense] = [str(at) for at in local if (at.hour, at.minute) != (2, minute)]
    assert odd == {
        "berlin": ["2028-03-26 03:00:00+02:00"],
        "new-york": ["2028-03-12 03:00:00-04:00"],
        "lord-howe": ["2027-10-03 02:30:00+11:00"],
    }
    assert dues(world, "leap") == [us(2028, 2, 29, 12) // 1_000]
