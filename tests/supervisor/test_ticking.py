"""What is due by time reaches the triggers, and what passed meanwhile is made up for or counted."""

from collections import Counter

import pytest

from nerve.reflex.causes import Cause
from nerve.reflex.flow import Decision
from nerve.reflex.schedule import Schedule
from nerve.reflex.timers import timers_of
from nerve.sense import TriggerKind
from tests.reflex.zones import US
from tests.supervisor.test_triggers import START, Nerve, every, on_a, signal

MANUAL = Cause(TriggerKind.MANUAL)


# --- what was missed ----------------------------------------------------------------


def test_the_first_tick_of_a_new_timer_is_not_forgotten_by_a_crash_before_its_outcome():
    """SIG-2, SIG-7"""
    nerve = Nerve(every("10s", missed="all"))
    nerve.triggers.begin({}, None)
    assert nerve.queue == ["x"]
    again = Nerve(every("10s", missed="all"))
    again.machine.run(3.0)
    again.triggers.begin(nerve.books.cursors, START)
    assert again.take()[1].due_us == START
    again.triggers.finish("x", None)
    again.machine.run(7.0)
    assert again.take()[1].due_us == START + 10 * US


def test_ticks_too_old_to_be_made_up_for_are_counted_at_one_start_only():
    """SIG-8"""
    nerve = Nerve(every("10s", missed="once", catchup="1s"))
    pair = ("x", timers_of(nerve.config)[0].source)
    nerve.triggers.begin({pair: START - 35 * US}, START)
    assert nerve.counts == {"missed": 3}
    assert nerve.books.cursors == {pair: START - 5 * US}


def test_a_time_that_had_its_tick_has_none_after_a_restart_with_the_clock_set_back():
    """SIG-4, SIG-7"""
    timer = {"kind": "sense", "sense": "x", "cron": "*/10 * * * *", "missed": "once"}
    nerve = Nerve(timer)
    pair = ("x", timers_of(nerve.config)[0].source)
    nerve.triggers.begin({pair: START + 600 * US}, START + 601 * US)  # by now it is 12:00 again
    nerve.machine.run(900)
    assert nerve.queue == []
    nerve.machine.run(300)
    assert nerve.take()[1].due_us == START + 1_200 * US


def test_the_position_of_a_timer_that_keeps_none_any_more_is_forgotten():
    """SIG-7: else a later `missed: all` would run again what ran meanwhile."""
    nerve = Nerve(every("1h", align=True))
    (timer,) = timers_of(nerve.config)
    nerve.triggers.begin({("x", timer.source): START - 50 * 3_600_000_000}, START)
    assert nerve.books.cursors == {("x", timer.source): None}


def test_a_position_of_a_clock_that_was_wrong_begins_anew():
    """SIG-4, SIG-7"""
    nerve = Nerve(every("1h", align=True, missed="all"))
    (timer,) = timers_of(nerve.config)
    nerve.triggers.begin({("x", timer.source): START + 9_000 * 3_600_000_000}, START)
    assert nerve.books.cursors["x", timer.source] <= START
    nerve.machine.run(3_600.0)
    assert len(nerve.queue) == 1


@pytest.mark.parametrize(("missed", "runs"), [("once", 1), ("all", 4), ("skip", 0)])
def test_ticks_of_a_paused_sense_are_made_up_for_when_it_is_resumed(missed, runs):
    """SIG-8: one that waited when it was paused included, and none of them twice."""
    nerve = Nerve(every("10s", missed=missed))
    nerve.triggers.begin({}, None)
    nerve.run_all()
    answered_us = nerve.machine.now_us()
    nerve.machine.run(10)
    assert nerve.queue == ["x"]
    nerve.triggers.pause("x", "")
    assert nerve.queue == []
    nerve.machine.run(30)
    del nerve.triggers.paused["x"]
    (timer,) = timers_of(nerve.config)
    nerve.triggers.make_up_after({"x"}, {("x", timer.source): answered_us})
    assert nerve.run_all() == runs
    assert nerve.counts["paused"] == 4
    nerve.triggers.make_up_after({"x"}, {("x", timer.source): answered_us})
    assert nerve.run_all() == 0
    nerve.machine.run(10)
    assert nerve.run_all() == 1, "and from then on it ticks as always"


# --- ticks --------------------------------------------------------------------------


def test_a_tick_that_was_swallowed_is_missed_and_one_that_is_late_runs_once():
    """SIG-4, SIG-8"""
    nerve = Nerve(every("10s"))
    nerve.triggers.begin({}, None)
    nerve.run_all()
    nerve.machine.stall(45)
    nerve.machine.run(0)
    assert nerve.queue == ["x"]
    assert nerve.counts == {"missed": 3}
    assert nerve.books.details == {"missed": "the next was 35s late"}
    assert [type_ for type_, _ in nerve.logged] == ["tick.late"]


def test_only_what_runs_by_time_runs_once():
    nerve = Nerve(every("10s"), on_a())
    nerve.triggers.begin_once()
    assert nerve.queue == ["x"]
    assert nerve.machine.armed == []


def test_a_start_is_late_by_what_its_tick_is_and_by_what_it_waited_in_the_queue():
    nerve = Nerve(every("10s"))
    nerve.triggers.begin({}, None)
    nerve.run_all()
    nerve.machine.run(9)
    nerve.machine.stall(3)
    nerve.machine.run(0)
    nerve.machine.run(4)
    nerve.take()
    nerve.machine.run(1)
    assert nerve.triggers.flow("x").timing.late_s == pytest.approx(6.0)
    assert nerve.triggers.finish("x", None) == pytest.approx(1.0)


def test_a_late_tick_that_runs_nobody_makes_no_later_start_late():
    nerve = Nerve(every("10s"))
    nerve.triggers.begin({}, None)
    nerve.run_all()
    nerve.triggers.pause("x", "")
    nerve.machine.stall(13)
    nerve.machine.run(0)
    assert nerve.counts == {"paused": 1}
    del nerve.triggers.paused["x"]
    nerve.triggers.offer("x", MANUAL)
    nerve.take()
    assert nerve.triggers.flow("x").timing.late_s == 0.0


# --- one timer, and what must stay small --------------------------------------------


def test_one_timer_of_the_loop_is_armed_and_it_is_set_anew_only_for_something_earlier():
    nerve = Nerve(every("10s"), every("7s", "a"), on_a(debounce="1s"), throttle="2s")
    nerve.triggers.begin({}, None)
    nerve.run_all()
    assert len(nerve.machine.armed) == 1
    calls = nerve.machine.calls
    nerve.triggers.offer("x", MANUAL)  # deferred by 2 s: earlier than a tick
    assert (nerve.machine.calls, len(nerve.machine.armed)) == (calls + 1, 1)
    nerve.triggers.offer("a", MANUAL)  # at the same moment
    nerve.triggers.rest("a", 5.0, Decision.RESTING)  # later
    assert nerve.machine.calls == calls + 1
    nerve.hear(signal(1))  # 1 s
    assert (nerve.machine.calls, len(nerve.machine.armed)) == (calls + 2, 1)
    for _ in range(200):
        nerve.machine.run(0.5)
        nerve.run_all()
        assert len(nerve.machine.armed) == 1


def test_ten_thousand_timers_cost_no_more_in_a_wake_than_ten(monkeypatch):
    asked = Counter()
    for name in ("_put_wall", "_put_interval"):
        put = getattr(Schedule, name)
        monkeypatch.setattr(
            Schedule, name, lambda *given, put=put: asked.update(n=1) or put(*given)
        )
    costs = []
    for number in (10, 10_000):
        senses = [f"s{n}" for n in range(number)]
        nerve = Nerve(
            every("1h", senses[:5]),
            {"kind": "sense", "sense": senses[5:10], "cron": "0 * * * *"},
            every("6h", senses[10:] or ["a"]),
            senses=[*senses, "a"],
        )
        nerve.triggers.begin({}, None)
        nerve.run_all()
        asked.clear()
        calls = nerve.machine.calls
        nerve.machine.run(3_600)
        costs.append((asked["n"], nerve.machine.calls - calls, nerve.run_all()))
    assert costs[0] == costs[1]
    assert costs[0][2] == 10


def test_causes_that_join_a_deferred_trigger_leave_nothing_behind():
    """SIG-5, SIG-6: no heap that grows with the rate of signals."""
    nerve = Nerve(on_a(), throttle="1h")
    nerve.hear(signal(1))
    nerve.run_all()
    nerve.hear(*(signal(n) for n in range(2, 2_000)))
    assert len(nerve.triggers._ticking._ends) == 1
    nerve.triggers.rest("x", 7_200.0, Decision.QUARANTINED)
    nerve.hear(*(signal(n) for n in range(2_000, 4_000)))
    assert len(nerve.triggers._ticking._ends) <= 2
    nerve.machine.run(7_300.0)
    assert len(nerve.take()[1].signals) == 100
    assert nerve.triggers._ticking._ends == []


def test_a_fault_at_one_senses_trigger_stops_no_others_timer_and_is_told():
    """RUN-5, SIG-4"""
    nerve = Nerve(every("10s"), every("10s", sense="a"))
    fall = ["x"]

    def enqueue(sense):
        if fall and sense == fall[0]:
            fall.clear()
            raise RuntimeError("a fault of ours")
        nerve.queue.append(sense)

    nerve.triggers._enqueue = enqueue
    nerve.triggers.begin({}, None)
    assert nerve.queue == ["a"]
    ((type_, payload),) = nerve.logged
    assert type_ == "trigger.failed"
    assert "a fault of ours" in payload["stack"]
    nerve.run_all()
    nerve.machine.run(10.0)
    assert "a" in nerve.queue
