from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.causes import Cause, CausingSignal
from nerve.reflex.flow import MAX_LINE, Decision, Flow, Phase
from nerve.sense import TriggerKind
from nerve.wire.messages import MAX_CAUSES

TICK = Cause(TriggerKind.INTERVAL)


def heard(signal_id, sense="cpu-usage", size=10):
    signal = CausingSignal(signal_id, sense, 0, {}, (), size)
    return Cause(TriggerKind.SIGNAL, (signal,), 0, {sense: signal_id})


def test_a_quiet_sense_takes_a_trigger_at_once():
    flow = Flow()
    assert flow.offer(TICK, 0.0) is Decision.ACCEPTED
    assert flow.phase is Phase.WAITING


def test_a_trigger_inside_the_throttle_runs_once_at_its_end():
    """SIG-5"""
    flow = Flow(throttle_s=2.0)
    flow.offer(TICK, 0.0)
    flow.take(0.0)
    flow.finish(0.1)
    assert flow.offer(TICK, 0.5) is Decision.THROTTLED
    assert flow.offer(TICK, 0.6) is Decision.COALESCED
    assert not flow.wake(1.9)
    assert flow.wake(2.0)
    assert not flow.wake(2.1)
    taken = flow.take(2.0)
    assert taken.merged == 1
    assert flow.finish(2.1) is None


def test_while_one_runs_at_most_one_is_pending_and_it_has_all_causes():
    """SIG-6"""
    flow = Flow()
    flow.offer(TICK, 0.0)
    flow.take(0.0)
    decisions = [flow.offer(heard(n), 0.1) for n in (1, 2, 3)]
    assert decisions == [Decision.HELD, Decision.COALESCED, Decision.COALESCED]
    assert flow.finish(0.2) is Decision.ACCEPTED
    pending = flow.take(0.2)
    assert [signal.id for signal in pending.signals] == [1, 2, 3]
    assert pending.positions == {"cpu-usage": 3}
    assert flow.finish(0.3) is None


def test_the_causes_that_are_handed_over_are_bounded_and_the_rest_is_counted():
    """SIG-6"""
    flow = Flow()
    for n in range(1, MAX_CAUSES + 6):
        flow.offer(heard(n), 0.0)
    pending = flow.take(0.0)
    assert len(pending.signals) == MAX_CAUSES
    assert pending.left_out == 5
    assert pending.signals[0].id == 6


def test_large_payloads_are_bounded_together():
    flow = Flow()
    for n in range(1, 6):
        flow.offer(heard(n, size=400_000), 0.0)
    pending = flow.take(0.0)
    assert [signal.id for signal in pending.signals] == [4, 5]
    assert pending.left_out == 3


def test_a_sense_that_rests_runs_once_at_the_end_of_its_rest():
    """RUN-9, SIG-8"""
    flow = Flow()
    flow.rest(5.0, Decision.RESTING)
    assert [flow.offer(TICK, 0.0), flow.offer(TICK, 1.0)] == [Decision.RESTING, Decision.COALESCED]
    assert not flow.wake(4.9)
    assert flow.wake(5.0)
    assert flow.take(5.0).merged == 1


def test_every_trigger_of_a_quarantined_sense_has_that_as_its_reason():
    """RUN-9, SIG-8"""
    flow = Flow()
    flow.rest(60.0, Decision.QUARANTINED)
    assert {flow.offer(TICK, float(n)) for n in range(3)} == {Decision.QUARANTINED}
    assert flow.offer(TICK, 60.0) is Decision.COALESCED
    assert flow.wake(60.0)


def test_what_waits_when_a_rest_begins_waits_for_its_end():
    """RUN-9"""
    flow = Flow()
    flow.offer(TICK, 0.0)
    assert flow.rest(5.0, Decision.RESTING)
    assert flow.phase is Phase.DEFERRED
    assert not flow.rest(4.0, Decision.RESTING)
    assert flow.due == 5.0
    assert flow.wake(5.0)


def test_what_is_held_while_its_sense_runs_into_a_rest_is_deferred_to_the_end_of_it():
    """RUN-9"""
    flow = Flow()
    flow.offer(TICK, 0.0)
    flow.take(0.0)
    assert flow.offer(TICK, 0.5) is Decision.HELD
    assert not flow.rest(5.0, Decision.RESTING)
    assert flow.finish(1.0) is Decision.RESTING
    assert (flow.phase, flow.due) == (Phase.DEFERRED, 5.0)


def test_the_longer_of_a_rest_and_a_throttle_holds_with_its_reason():
    """RUN-9, SIG-5"""
    flow = Flow(throttle_s=10.0)
    flow.offer(TICK, 0.0)
    flow.take(0.0)
    flow.rest(5.0, Decision.RESTING)
    flow.finish(1.0)
    assert flow.offer(TICK, 2.0) is Decision.RESTING
    assert flow.due == 10.0
    flow.wake(10.0)
    flow.take(10.0)
    flow.finish(10.1)
    assert flow.offer(TICK, 10.2) is Decision.THROTTLED


events = st.lists(
    st.tuples(st.sampled_from(["offer", "take", "finish", "wake"]), st.floats(0, 3)), max_size=80
)


@given(events, st.sampled_from([0.0, 0.5, 2.0]))
def test_whatever_happens_starts_keep_their_distance_and_no_cause_is_lost(events, throttle_s):
    """SIG-5, SIG-6"""
    flow, now, offered, taken, starts = Flow(throttle_s=throttle_s), 0.0, 0, [], []
    for event, step in events:
        now += step
        if event == "offer":
            offered += 1
            flow.offer(heard(offered), now)
        elif event == "take" and flow.phase is Phase.WAITING:
            taken += [signal.id for signal in flow.take(now).signals]
            starts.append(now)
        elif event == "finish" and flow.phase is Phase.RUNNING:
            flow.finish(now)
        elif event == "wake":
            flow.wake(now)
    if flow.phase is Phase.RUNNING:
        flow.finish(now)
    if flow.pending:
        flow.wake(now + throttle_s)
        assert flow.phase is Phase.WAITING
        taken += [signal.id for signal in flow.take(now + throttle_s).signals]
        starts.append(now + throttle_s)
    assert taken == list(range(1, offered + 1))
    gaps = [after - before for before, after in pairwise(starts)]
    assert all(gap >= throttle_s - 1e-9 for gap in gaps)


def test_what_was_answered_before_a_crash_is_not_started_again():
    """SIG-2: the target's worker comes up after its signals were offered."""
    flow = Flow()
    for n in (4, 5):
        flow.offer(heard(n), 0.0)
    assert not flow.answered("cpu-usage", 4)
    assert flow.phase is Phase.WAITING
    assert flow.answered("cpu-usage", 5)
    assert (flow.phase, flow.pending) == (Phase.QUIET, None)
    assert flow.offer(heard(6), 0.0) is Decision.ACCEPTED


def test_what_is_not_answered_yet_stays_and_only_that():
    """SIG-2"""
    flow = Flow()
    for cause in (heard(4), heard(5, "disk"), heard(6)):
        flow.offer(cause, 0.0)
    assert not flow.answered("cpu-usage", 4)
    taken = flow.take(0.0)
    assert [signal.id for signal in taken.signals] == [5, 6]
    assert taken.positions == {"cpu-usage": 6, "disk": 5}


def test_a_trigger_by_time_stays_though_its_signals_were_answered():
    """SIG-2"""
    flow = Flow()
    flow.offer(TICK, 0.0)
    flow.offer(heard(4), 0.0)
    assert not flow.answered("cpu-usage", 4)
    assert flow.take(0.0).positions == {}


def tick(due_us):
    return Cause(TriggerKind.CRON, positions={"@cron": due_us}, due_us=due_us)


def test_what_is_to_be_made_up_for_runs_one_by_one_before_what_waits():
    """SIG-4, SIG-6"""
    flow = Flow()
    assert flow.line_up([tick(1), tick(2)], 0.0) == (Decision.ACCEPTED, 0)
    assert flow.offer(tick(3), 0.0) is Decision.HELD
    assert flow.offer(tick(4), 0.0) is Decision.COALESCED
    due = []
    while flow.phase is Phase.WAITING:
        due.append(flow.take(0.0).due_us)
        flow.finish(0.0)
    assert due == [1, 2, 3]


def test_what_is_made_up_for_and_tried_again_keeps_its_place():
    """SIG-2, SIG-6"""
    flow = Flow()
    flow.line_up([tick(1), tick(2)], 0.0)
    flow.offer(tick(3), 0.0)
    again = flow.take(0.0)
    flow.finish(0.0, again)
    assert flow.take(0.0) is again
    assert again.positions == {"@cron": 1}


def test_a_line_keeps_the_throttle_as_well():
    """SIG-5"""
    flow = Flow(throttle_s=2.0)
    flow.line_up([tick(1), tick(2)], 0.0)
    flow.take(0.0)
    assert flow.finish(0.5) is Decision.THROTTLED
    assert flow.due == 2.0


def test_a_signal_that_triggers_nothing_does_not_move_the_cursor_past_others():
    """SIG-2, SIG-7"""
    flow = Flow()
    assert not flow.cover("cpu-usage", 3)  # nothing is before it: the cursor may move
    flow.offer(heard(4), 0.0)
    running = flow.take(0.0)
    assert flow.cover("cpu-usage", 5)
    assert running.positions == {"cpu-usage": 5}
    flow.offer(heard(6), 0.0)
    assert flow.cover("cpu-usage", 7)
    assert (running.positions, flow.pending.positions) == ({"cpu-usage": 5}, {"cpu-usage": 7})
    assert not flow.cover("disk", 8)


def test_what_waits_is_given_up_and_what_runs_is_not():
    """SIG-8"""
    flow = Flow()
    flow.line_up([tick(1), tick(2)], 0.0)
    flow.take(0.0)
    flow.offer(TICK, 0.0)
    assert flow.drop() == 2
    assert flow.phase is Phase.RUNNING
    assert flow.finish(0.0) is None


def test_what_was_held_joins_a_trigger_that_is_tried_again_unless_a_worker_died_over_it():
    """SIG-2: what is given up is what was tried, and nothing that came later."""
    for attempts, runs in ((0, [{"cpu-usage": 2}]), (1, [{"cpu-usage": 1}, {"cpu-usage": 2}])):
        flow = Flow()
        flow.offer(heard(1), 0.0)
        again = flow.take(0.0)
        flow.offer(heard(2), 0.0)
        again.attempts = attempts
        flow.finish(0.0, again)
        positions = []
        while flow.phase is Phase.WAITING:
            positions.append(flow.take(0.0).positions)
            flow.finish(0.0)
        assert positions == runs


def test_a_line_has_an_end_and_what_has_no_room_is_told():
    """SIG-6, SIG-8: nights of suspend must not pile up."""
    flow = Flow(throttle_s=1_800.0)
    flow.line_up([tick(n) for n in range(60)], 0.0)
    assert flow.line_up([tick(n) for n in range(60, 120)], 1.0) == (Decision.HELD, 20)
    assert [trigger.due_us for trigger in flow.line] == [*range(60), *range(80, 120)]
    assert flow.line_up([tick(n) for n in range(120, 320)], 2.0) == (Decision.HELD, 200)
    assert len(flow.line) == MAX_LINE


def test_what_waits_for_the_same_source_comes_before_what_is_made_up_for():
    """SIG-2: else the cursor would pass a tick that has not run."""
    flow = Flow()
    flow.offer(TICK, 0.0)
    flow.take(0.0)
    flow.offer(tick(1), 0.0)
    flow.line_up([tick(2), tick(3)], 0.0)
    flow.offer(tick(4), 0.0)
    due = []
    while flow.finish(0.0) is not None:
        due.append(flow.take(0.0).due_us)
    assert due == [1, 2, 3, 4]
