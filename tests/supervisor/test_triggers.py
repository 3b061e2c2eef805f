from collections import Counter

import pytest

from nerve.config.models import Config
from nerve.reflex.backlog import sort_out
from nerve.reflex.causes import Cause, CausingSignal
from nerve.reflex.flow import Decision
from nerve.reflex.listeners import routes_of
from nerve.reflex.timers import timers_of
from nerve.sense import TriggerKind
from nerve.supervisor.triggers import Triggers
from nerve.wire.messages import MAX_CHAIN
from tests.reflex.zones import US, us
from tests.simulation.machine import Machine

START = us(2026, 10, 1, 12)
MANUAL = Cause(TriggerKind.MANUAL)
LOOP = tuple("ab"[n % 2] for n in range(MAX_CHAIN))


class Books:
    """In the place of the recorder."""

    def __init__(self):
        self.counts, self.cursors, self.facts, self.details = Counter(), {}, {}, {}

    def count(self, sense, outcome, at_us, number=1, detail=""):
        self.counts[str(outcome)] += number
        self.details |= {str(outcome): detail} if detail else {}

    def cursor(self, target, source, signal_id):
        self.cursors[target, source] = max(signal_id, self.cursors.get((target, source)) or 0)

    def forget(self, target, source):
        self.cursors[target, source] = None

    def fact(self, name, value):
        self.facts[name] = value


class Nerve:
    """Triggers with all that is around them; `queue` is what may run now."""

    def __init__(self, *reflexes, senses=("x", "a"), **keys):
        self.config = Config(senses=dict.fromkeys(senses, keys), reflexes=reflexes)
        self.machine, self.books = Machine(START), Books()
        self.queue, self.logged = [], []
        self.triggers = Triggers(
            self.config,
            clock=self.machine,
            recorder=self.books,
            enqueue=self.queue.append,
            withdraw=self.queue.remove,
            log=lambda source, type_, level, payload: self.logged.append((type_, payload)),
            call_later=self.machine.call_later,
        )

    @property
    def counts(self):
        return dict(self.books.counts)

    def hear(self, *signals):
        for signal in signals:
            for route in routes_of(self.config):
                if route.source == signal.sense:
                    self.triggers.hear(route, signal)

    def take_up(self, *signals):
        for route in routes_of(self.config):
            backlog = sort_out(route, signals, 0, signals[-1].id, self.machine.now_us())
            self.triggers.take_up(backlog)

    def take(self):
        sense = self.queue.pop(0)
        return sense, self.triggers.take(sense)

    def run_all(self):
        """Run what waits, without taking time over it; return how many that were."""
        number = 0
        while self.queue:
            sense, _ = self.take()
            self.triggers.finish(sense, None)
            number += 1
        return number


def on_a(**keys):
    return {"kind": "sense", "sense": "x", "on": "a", **keys}


def every(interval, sense="x", **keys):
    return {"kind": "sense", "sense": sense, "interval": interval, **keys}


def signal(signal_id, n=9, chain=()):
    return CausingSignal(signal_id, "a", START, {"n": n}, chain, 2)


# --- the order of decisions ---------------------------------------------------------


def test_a_signal_meets_the_state_of_its_sense_first_then_where_then_the_loop_then_debounce():
    """SIG-8, SIG-10"""
    nerve = Nerve(on_a(where="n > 5", debounce="2s"))
    nerve.triggers.unavailable["x"] = "it broke"
    nerve.hear(signal(1, n=1, chain=LOOP), signal(2, chain=LOOP))
    assert nerve.counts == {"unavailable": 2}  # both are asked about when it can run again
    nerve.triggers.unavailable.clear()
    nerve.hear(signal(3, n=1, chain=LOOP))
    assert nerve.counts == {"unavailable": 2, "filtered": 1}
    nerve.hear(signal(4, chain=LOOP))
    assert nerve.counts == {"unavailable": 2, "filtered": 1, "loop": 1}
    nerve.hear(signal(5), signal(6))
    assert nerve.counts["coalesced"] == 1  # in the bundle: nothing waits in the flow yet
    assert nerve.queue == []
    nerve.machine.run(2.0)
    assert nerve.queue == ["x"]
    assert nerve.counts["debounced"] == 1
    assert [s.id for s in nerve.take()[1].signals] == [5, 6]


def test_where_that_has_no_answer_is_a_reason_of_its_own():
    """SIG-8"""
    nerve = Nerve(on_a(where="nothing > 5"))
    nerve.hear(signal(1))
    assert nerve.counts == {"where_failed": 1}
    assert nerve.books.cursors == {("x", "a"): 1}


def test_what_the_flow_decides_comes_last_and_is_counted_once():
    """SIG-5, SIG-6, SIG-8"""
    nerve = Nerve(on_a(), throttle="10s")
    nerve.hear(signal(1))
    nerve.take()
    nerve.hear(signal(2), signal(3))
    assert nerve.counts == {"coalesced": 1}
    nerve.triggers.finish("x", None)
    assert nerve.counts == {"coalesced": 1, "throttled": 1}
    nerve.machine.run(9.9)
    assert nerve.queue == []
    nerve.machine.run(0.1)
    assert nerve.take()[1].merged == 1


def test_a_trigger_that_is_tried_again_and_what_joins_it_is_counted():
    """SIG-6, SIG-8"""
    nerve = Nerve(on_a())
    nerve.hear(signal(1))
    _, trigger = nerve.take()
    nerve.hear(signal(2))
    nerve.triggers.rest("x", 1.0, Decision.RESTING)
    nerve.triggers.finish("x", trigger)
    assert nerve.counts == {"coalesced": 1, "resting": 1}
    nerve.machine.run(1.0)
    assert [s.id for s in nerve.take()[1].signals] == [1, 2]


# --- paused, unavailable, stopped ---------------------------------------------------


@pytest.mark.parametrize("reason", ["paused", "unavailable"])
def test_what_comes_while_a_sense_cannot_run_leaves_its_reason_and_its_cursor(reason):
    """SIG-7, SIG-8: a signal that is refused must not move the cursor past one that waits."""
    nerve = Nerve(on_a(where="n > 5"), every("10s"))
    getattr(nerve.triggers, reason)["x"] = "because"
    nerve.triggers.begin({}, None)
    nerve.take_up(signal(1))
    nerve.hear(signal(2), signal(3, n=1))
    nerve.machine.run(10.0)
    assert nerve.queue == []
    assert nerve.counts == {reason: 5}  # two ticks, the backlog, two signals
    assert nerve.books.details == {reason: "because"}
    assert nerve.books.cursors == {}
    getattr(nerve.triggers, reason).clear()
    nerve.take_up(signal(1), signal(2), signal(3, n=1))
    assert nerve.counts == {reason: 5, "filtered": 1}
    assert nerve.take()[1].positions == {"a": 3}


def test_what_is_missed_or_refused_of_a_backlog_is_counted_once_it_can_be_answered():
    """SIG-8"""
    nerve = Nerve(on_a(missed="skip", where="n > 5"))
    nerve.triggers.unavailable["x"] = "it broke"
    nerve.take_up(signal(1), signal(2, n=1))
    assert (nerve.counts, nerve.books.cursors) == ({}, {})
    nerve.triggers.unavailable.clear()
    nerve.take_up(signal(1), signal(2, n=1))
    assert nerve.counts == {"missed": 1, "filtered": 1}
    assert nerve.books.cursors == {("x", "a"): 2}


def test_a_sense_that_becomes_unavailable_gives_up_all_that_waits():
    """SIG-8"""
    nerve = Nerve(on_a(debounce="2s"), every("10s"))
    nerve.triggers.offer("x", MANUAL)
    nerve.hear(signal(1))
    nerve.triggers.unavailable["x"] = "it broke"
    nerve.triggers.forget(["x"])
    assert nerve.counts == {"unavailable": 2}
    assert nerve.queue == []
    assert nerve.triggers.are_quiet


def test_what_is_held_behind_a_compute_is_given_up_when_its_sense_is_blocked_by_then():
    """SIG-8"""
    nerve = Nerve()
    nerve.triggers.offer("x", MANUAL)
    _, trigger = nerve.take()
    nerve.triggers.offer("x", MANUAL)
    nerve.triggers.unavailable["x"] = "it broke"
    nerve.triggers.finish("x", trigger)
    assert nerve.counts == {"unavailable": 1}
    assert nerve.triggers.are_quiet


def test_the_ticks_of_a_paused_sense_are_made_up_for_once_it_runs_again_and_not_twice():
    """SIG-7, SIG-8"""
    nerve = Nerve(every("10s", missed="all", catchup="1m"))
    (timer,) = timers_of(nerve.config)
    position = {("x", timer.source): START - 600 * US}
    nerve.triggers.paused["x"] = "for a while"
    nerve.triggers.begin(position, START)
    assert nerve.counts == {}
    resumed = Nerve(every("10s", missed="all", catchup="1m"))
    resumed.triggers.begin(position, START)
    assert resumed.counts == {"missed": 60 - 7}
    assert resumed.run_all() == 7


def test_what_waits_at_the_stop_is_counted_and_nothing_wakes_any_more():
    """SIG-8"""
    nerve = Nerve(on_a(debounce="2s"), every("10s", missed="all"))
    (timer,) = timers_of(nerve.config)
    nerve.triggers.begin({("x", timer.source): START - 25 * US}, START - 25 * US)
    nerve.hear(signal(1))
    nerve.triggers.offer("a", MANUAL)
    nerve.triggers.end()
    assert nerve.counts == {"stopped": 4}  # two ticks, a bundle, one by hand
    assert nerve.queue == []
    assert nerve.machine.armed == []
    assert nerve.books.cursors == {}


def test_what_ends_badly_while_nerve_stops_is_not_tried_again_by_then():
    """SIG-7, SIG-8"""
    nerve = Nerve(on_a())
    nerve.hear(signal(1))
    _, trigger = nerve.take()
    nerve.triggers.end()
    nerve.triggers.rest("x", 1.0, Decision.RESTING)
    nerve.triggers.finish("x", trigger)
    assert nerve.triggers.are_quiet
    assert (nerve.queue, nerve.machine.armed, nerve.books.cursors) == ([], [], {})


# --- loops --------------------------------------------------------------------------


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
def test_a_loop_in_a_backlog_is_cut_and_what_came_with_it_is_not(missed):
    """SIG-2, SIG-10"""
    nerve = Nerve(on_a(missed=missed))
    nerve.take_up(signal(1), signal(2, chain=LOOP), signal(3))
    assert nerve.books.counts.pop("loop") == 1
    assert [type_ for type_, _ in nerve.logged] == ["reflex.loop"]
    if missed == "skip":
        assert (nerve.counts, nerve.books.cursors) == ({"missed": 2}, {("x", "a"): 3})
        return
    taken = [s.id for s in nerve.take()[1].signals]
    nerve.triggers.finish("x", None)
    taken += [s.id for s in nerve.take()[1].signals] if missed == "all" else []
    assert taken == [1, 3]
    assert nerve.books.cursors == {}  # it moves with their outcome


def test_the_cursor_moves_past_a_loop_with_what_came_before_it():
    """SIG-7, SIG-10"""
    nerve = Nerve(on_a())
    nerve.hear(signal(1), signal(2, chain=LOOP))
    assert nerve.books.cursors == {}
    assert nerve.take()[1].positions == {"a": 2}
    nerve.triggers.finish("x", None)
    nerve.hear(signal(3, chain=LOOP))
    assert nerve.books.cursors == {("x", "a"): 3}


# --- what waits ---------------------------------------------------------------------


def test_signals_that_were_answered_already_are_waited_for_no_longer():
    """SIG-2"""
    nerve = Nerve(on_a())
    nerve.hear(signal(1))
    nerve.triggers.answered("x", "a", 1)
    assert nerve.queue == []
    assert nerve.triggers.are_quiet


def test_the_signals_of_a_cursor_that_is_moved_wait_and_all_else_runs():
    """SIG-7, SIG-8"""
    nerve = Nerve(on_a())
    nerve.triggers.moving.add(("x", "a"))
    nerve.hear(signal(1))
    assert (nerve.queue, nerve.counts, nerve.books.cursors) == ([], {"paused": 1}, {})
    nerve.triggers.offer("x", MANUAL)
    assert nerve.queue == ["x"]
    nerve.triggers.moving.clear()
    nerve.hear(signal(2))
    (_, trigger) = nerve.take()
    assert [s.id for s in trigger.signals] == [2]


def test_when_a_rest_is_ended_what_waits_runs_as_soon_as_throttle_lets_it():
    """RUN-9, SIG-5"""
    nerve = Nerve(every("1h"), throttle="10s")
    nerve.triggers.offer("x", MANUAL)
    nerve.run_all()
    nerve.triggers.offer("x", MANUAL)
    nerve.triggers.rest("x", 600, Decision.QUARANTINED)
    assert nerve.triggers.deferral("x") == (Decision.QUARANTINED, 600.0)
    nerve.machine.run(3)
    nerve.triggers.relieve("x")
    assert nerve.triggers.deferral("x") == (Decision.THROTTLED, 7.0)
    nerve.machine.run(7)
    assert nerve.queue == ["x"]
