"""Triggers and positions go on with another configuration: what waits is kept, or is counted."""

from nerve.config.models import Config
from nerve.reflex.causes import Cause, CausingSignal
from nerve.reflex.listeners import Listeners, Route
from nerve.sense import TriggerKind
from nerve.supervisor.positions import Positions
from nerve.wire.messages import SenseReport
from tests.supervisor.test_triggers import Nerve

MANUAL = Cause(TriggerKind.MANUAL)
ON = {"kind": "sense", "sense": "x", "on": ["a"]}
EVERY = {"kind": "sense", "sense": "x", "interval": "10s"}


def signal(signal_id):
    return CausingSignal(signal_id, "a", 0, {"n": signal_id}, (), 2)


def adopt(nerve, *reflexes, senses=("x", "a"), **keys):
    nerve.config = Config(senses=dict.fromkeys(senses, keys), reflexes=reflexes)
    nerve.triggers.adopt(nerve.config)


def test_a_bundle_whose_reflex_stays_goes_on_wherever_that_stands_now():
    """CTL-4"""
    nerve = Nerve(ON | {"debounce": "5s"})
    nerve.triggers.begin({}, None)
    nerve.hear(signal(1))
    nerve.machine.run(3)
    adopt(nerve, EVERY | {"sense": "a"}, ON | {"debounce": "60s", "where": "n > 1"})
    nerve.machine.run(1)
    assert nerve.queue == ["a"]
    nerve.machine.run(1.1)
    assert nerve.queue == ["a", "x"]
    nerve.take()
    assert [s.id for s in nerve.take()[1].signals] == [1]


def test_a_bundle_whose_reflex_is_gone_ends_there_and_runs():
    """CTL-4, SIG-8: what it has collected was accepted."""
    nerve = Nerve(ON | {"debounce": "5s"})
    nerve.triggers.begin({}, None)
    nerve.hear(signal(1))
    adopt(nerve, EVERY | {"interval": "1h", "sense": "a"})
    assert "x" in nerve.queue
    assert nerve.counts["debounced"] == 1
    nerve.machine.run(60)  # nothing of it is left to come up
    assert not [row for row in nerve.logged if row[0] == "trigger.failed"]


def test_what_waits_for_a_sense_that_is_removed_is_counted_and_its_compute_may_end():
    """CTL-4, SIG-8"""
    nerve = Nerve(ON, senses=("x", "a"), throttle="10s")
    nerve.triggers.begin({}, None)
    nerve.hear(signal(1))
    nerve.take()
    nerve.hear(signal(2), signal(3))
    adopt(nerve, senses=("a",))
    assert nerve.triggers.blocked("x") == "unavailable"
    assert nerve.counts["unavailable"] == 1  # 3 had joined 2
    nerve.triggers.finish("x", None)
    assert nerve.queue == []
    nerve.triggers.let_go(["x"])
    assert nerve.triggers.blocked("x") == ""
    nerve.machine.run(60)
    assert not [row for row in nerve.logged if row[0] == "trigger.failed"]


def test_what_is_deferred_follows_the_new_throttle():
    """CTL-4, SIG-5"""
    nerve = Nerve(ON, throttle="1h")
    nerve.triggers.begin({}, None)
    nerve.hear(signal(1))
    nerve.take()
    nerve.triggers.finish("x", None)
    nerve.hear(signal(2))
    nerve.machine.run(5)
    adopt(nerve, ON, throttle="6s")
    nerve.machine.run(0.9)
    assert nerve.queue == []
    nerve.machine.run(0.2)
    assert nerve.queue == ["x"]


def test_a_timer_that_begins_to_keep_its_position_has_one_from_now_on_and_loses_it_again():
    """CTL-4, SIG-7"""
    nerve = Nerve(EVERY)
    nerve.triggers.begin({}, None)
    nerve.machine.run(25)
    nerve.run_all()
    began_us = nerve.machine.now_us() - 25_000_000
    adopt(nerve, EVERY | {"missed": "once"})
    pair = ("x", "@every 10s")
    assert nerve.books.cursors[pair] == began_us + 20_000_000
    adopt(nerve, EVERY)
    assert nerve.books.cursors[pair] is None


def test_a_sense_that_is_new_is_run_at_once_by_its_timer():
    """CTL-4"""
    nerve = Nerve(ON)
    nerve.triggers.begin({}, None)
    adopt(nerve, ON, EVERY | {"sense": "new"}, senses=("x", "a", "new"))
    nerve.machine.run(0)
    assert nerve.queue == ["new"]


def test_a_reflex_that_comes_back_begins_at_the_newest_signal_though_a_database_knows_of_it():
    """CTL-4, SIG-7"""
    routes = [Route("x", "a")]
    positions = Positions([])
    positions.adopt(routes, Listeners([]).adopt(routes, 7), 7)
    report = SenseReport(name="x", epoch="e", positions={"a": 3})
    assert positions.take_report(report, 9, 0) == {"a": 7}
