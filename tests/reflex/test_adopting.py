"""Timers, listeners and flows go on with another configuration."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.causes import Cause, CausingSignal
from nerve.reflex.flow import Decision, Flow, Phase
from nerve.reflex.listeners import Listeners, Route
from nerve.reflex.schedule import Schedule
from nerve.reflex.timers import Timer
from nerve.sense import TriggerKind

US = 1_000_000
MANUAL = Cause(TriggerKind.MANUAL)


def every(seconds, sense="disk", **more):
    return Timer(sense, TriggerKind.INTERVAL, seconds * 1_000, **more)


def ticks(schedule, until, *, since=0):
    """(sense, second) of all ticks up to then."""
    found = []
    while schedule.next_due() <= until:
        now = schedule.next_due()
        found += [(tick.timer.sense, now) for tick in schedule.pop_due(now, int(now * US))]
    return found


intervals = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([3, 5, 7, 60]))


@given(intervals, intervals, st.integers(0, 30))
def test_what_stays_keeps_its_phase_and_what_is_new_or_changed_begins_now(before, after, at):
    """CTL-4, SIG-4: no tick is doubled, and none is missed."""
    old = [every(seconds, sense) for sense, seconds in before.items()]
    new = [every(seconds, sense, missed="once") for sense, seconds in after.items()]
    schedule = Schedule(old, now=0.0, now_us=0)
    ticks(schedule, at)
    stays = schedule.adopt(new, now=at + 0.5, now_us=0)
    assert {t.sense for t in stays} == {s for s in after if before.get(s) == after[s]}
    found = ticks(schedule, at + 120)
    for sense, seconds in after.items():
        of_sense = [now for name, now in found if name == sense]
        if before.get(sense) == seconds:
            first = (at // seconds + 1) * seconds
        elif sense in before:
            first = at + 0.5 + seconds
        else:
            first = at + 0.5
        expected = [first + n * seconds for n in range(200) if first + n * seconds <= at + 120]
        assert [round(now, 6) for now in of_sense] == expected
    assert {name for name, _ in found} <= set(after)


def test_a_cron_that_stays_ticks_once_and_one_of_another_time_does_not_tick_at_once():
    """CTL-4"""
    daily = Timer("disk", TriggerKind.CRON, cron="0 6 * * *")
    schedule = Schedule([daily], now=0.0, now_us=0)
    assert schedule.adopt([daily], now=1.0, now_us=US) == {daily: 0}
    assert schedule.adopt([replace(daily, cron="1 6 * * *")], now=1.0, now_us=US) == {}
    assert schedule.pop_due(12.0, 6 * 3600 * US) == []
    (tick,) = schedule.pop_due(30.0, (6 * 3600 + 60) * US)
    assert tick.timer.cron == "1 6 * * *"


def test_two_equal_timers_stay_two_and_a_third_ticks_at_once():
    """CTL-4"""
    schedule = Schedule([every(5), every(5)], now=0.0, now_us=0)
    schedule.adopt([every(5), every(5), every(9)], now=1.0, now_us=0)
    assert [now for _, now in ticks(schedule, 5.0)] == [0.0, 0.0, 1.0, 5.0, 5.0]


def test_a_shorter_throttle_lets_a_deferred_trigger_go_earlier_and_a_longer_one_later():
    """CTL-4, SIG-5"""
    for throttle_s, due in ((2.0, 2.0), (20.0, 20.0), (0.0, 0.0)):
        flow = Flow(10.0)
        flow.offer(MANUAL, 0.0)
        flow.take(0.0)
        flow.finish(0.5)
        assert flow.offer(MANUAL, 1.0) is Decision.THROTTLED
        flow.rethrottle(throttle_s, 1.0)
        assert (flow.phase, flow.due) == (Phase.DEFERRED, due)
        assert flow.wake(due)


def test_a_rest_is_not_cut_short_by_another_throttle():
    """CTL-4, RUN-9"""
    flow = Flow(10.0)
    flow.rest(60.0, Decision.RESTING)
    flow.offer(MANUAL, 1.0)
    flow.rethrottle(1.0, 1.0)
    assert flow.due == 60.0


def signal(signal_id, sense="a"):
    return CausingSignal(signal_id, sense, 0, {}, (), 2)


def test_a_listener_that_stays_goes_on_and_a_new_one_begins_at_the_newest_signal():
    """CTL-4, SIG-7"""
    listeners = Listeners([Route("x", "a"), Route("y", "a")])
    assert [route.target for route in listeners.hear(signal(5))] == ["x", "y"]
    new = listeners.adopt([Route("x", "a", reflex=3), Route("z", "a")], 7)
    assert new == [("z", "a")]
    assert list(listeners.hear(signal(5))) == []
    assert [route.target for route in listeners.hear(signal(7))] == ["x"]
    assert [(r.target, r.reflex) for r in listeners.hear(signal(8))] == [("x", 3), ("z", 0)]
    assert not listeners.concerns("b")
    assert listeners.adopt([Route("y", "a")], 8) == [("y", "a")]  # it was away, and begins anew
