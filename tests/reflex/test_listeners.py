from nerve.config.models import Config
from nerve.reflex.causes import MAX_DEPTH, Cause, CausingSignal
from nerve.reflex.listeners import Listeners, is_loop, pairs_of
from nerve.sense import TriggerKind


def signal(signal_id, sense="a", depth=0):
    return CausingSignal(signal_id, sense, 0, {}, depth, 2)


def test_pairs_do_not_depend_on_how_the_file_groups_them():
    """SIG-7"""
    together = {"kind": "sense", "sense": ["x", "y"], "on": ["a", "b"]}
    apart = [{"kind": "sense", "sense": s, "on": [o]} for s in "xy" for o in "ab"]
    assert set(pairs_of(Config(reflexes=(together,)))) == set(pairs_of(Config(reflexes=apart)))


def test_a_signal_concerns_each_listener_once():
    listeners = Listeners([("x", "a"), ("y", "a"), ("z", "b")])
    assert [target for target, _ in listeners.hear(signal(5))] == ["x", "y"]
    assert list(listeners.hear(signal(5))) == []


def test_what_the_cursor_covers_is_not_offered_again():
    """SIG-7"""
    listeners = Listeners([("x", "a")])
    listeners.start_at({("x", "a"): 5})
    assert list(listeners.hear(signal(5))) == []
    ((_, cause),) = listeners.hear(signal(6))
    assert cause.positions == {"a": 6}


def test_the_backlog_is_one_cause_and_is_not_heard_again():
    """SIG-7"""
    listeners = Listeners([("x", "a")])
    cause = listeners.backlog(("x", "a"), (signal(7), signal(9)), 3)
    assert (cause.left_out, cause.positions) == (3, {"a": 9})
    assert list(listeners.hear(signal(9))) == []


def test_a_chain_beyond_the_limit_is_a_loop():
    """SIG-10"""
    assert not is_loop(Cause(TriggerKind.SIGNAL, (signal(1, depth=MAX_DEPTH - 1),)))
    assert is_loop(Cause(TriggerKind.SIGNAL, (signal(1, depth=MAX_DEPTH),)))
