from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex.causes import Cause, CausingSignal
from nerve.reflex.debounce import MAX_WINDOWS, Debounce
from nerve.sense import TriggerKind


def heard(signal_id):
    signal = CausingSignal(signal_id, "a", 0, {}, (), 2)
    return Cause(TriggerKind.SIGNAL, (signal,), 0, {"a": signal_id})


def test_a_burst_is_one_cause_when_it_has_ceased_for_the_window():
    """SIG-6"""
    debounce = Debounce(2.0)
    assert [debounce.offer(heard(n), now) for n, now in ((1, 0.0), (2, 1.0), (3, 2.5))] == [
        False,
        True,
        True,
    ]
    assert debounce.release(4.4) is None
    cause = debounce.release(4.5)
    assert [signal.id for signal in cause.signals] == [1, 2, 3]
    assert (cause.merged, cause.positions) == (2, {"a": 3})
    assert debounce.release(9.0) is None


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=60), st.sampled_from([0.5, 2.0]))
def test_every_signal_is_in_one_bundle_and_none_waits_longer_than_ten_windows(gaps, window_s):
    """SIG-6, SIG-8"""
    debounce, now, released, opened = Debounce(window_s), 0.0, [], None
    for number, gap in enumerate(gaps, 1):
        now += gap
        if debounce.bundle is not None and debounce.due <= now:
            assert debounce.due - opened <= MAX_WINDOWS * window_s + 1e-9
            released += [signal.id for signal in debounce.release(debounce.due).signals]
        if not debounce.offer(heard(number), now):
            opened = now
        assert debounce.due <= now + window_s
    released += [signal.id for signal in debounce.release(debounce.due).signals]
    assert released == list(range(1, len(gaps) + 1))


def test_what_a_bundle_stands_for_moves_with_signals_that_trigger_nothing():
    """SIG-7"""
    debounce = Debounce(2.0)
    assert not debounce.cover("a", 1)
    debounce.offer(heard(2), 0.0)
    assert debounce.cover("a", 3)
    assert not debounce.cover("b", 3)
    assert debounce.release(2.0).positions == {"a": 3}


def test_what_was_answered_already_is_no_longer_waited_for():
    """SIG-2"""
    debounce = Debounce(2.0)
    debounce.offer(heard(2), 0.0)
    debounce.answered("a", 1)
    assert debounce.bundle is not None
    debounce.answered("a", 2)
    assert debounce.bundle is None
    assert not debounce.drop()


def test_a_bundle_keeps_its_chain_though_it_no_longer_holds_the_signal():
    """SIG-10: else a circle under load would never be cut."""
    debounce = Debounce(2.0)
    debounce.offer(
        Cause(TriggerKind.SIGNAL, (CausingSignal(1, "a", 0, {}, ("b",) * 15, 2),), 0, {"a": 1}), 0.0
    )
    for number in range(2, 300):
        debounce.offer(heard(number), 0.0)
    assert debounce.release(2.0).chain == (*("b",) * 15, "a")
