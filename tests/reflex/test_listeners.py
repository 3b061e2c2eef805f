from nerve.config.models import Config
from nerve.reflex.causes import Cause, CausingSignal, is_loop, loop_in_words
from nerve.reflex.listeners import Listeners, Route, caused_by, routes_of
from nerve.sense import TriggerKind
from nerve.wire.messages import MAX_CHAIN


def signal(signal_id, sense="a", payload=None, chain=()):
    return CausingSignal(signal_id, sense, 0, payload or {}, chain, 2)


def reflex(**keys):
    return {"kind": "sense", "sense": "x", "on": "a", **keys}


def test_routes_do_not_depend_on_how_the_file_groups_them():
    """SIG-7"""
    together = {"kind": "sense", "sense": ["x", "y"], "on": ["a", "b"]}
    apart = [{"kind": "sense", "sense": s, "on": [o]} for s in "xy" for o in "ab"]
    pairs = [{r.pair for r in routes_of(Config(reflexes=rs))} for rs in ((together,), apart)]
    assert pairs[0] == pairs[1] == {(s, o) for s in "xy" for o in "ab"}


def test_a_signal_goes_to_each_listener_once():
    listeners = Listeners([Route("x", "a"), Route("y", "a"), Route("z", "b")])
    assert [route.target for route in listeners.hear(signal(5))] == ["x", "y"]
    assert list(listeners.hear(signal(5))) == []


def test_what_the_cursor_covers_is_not_offered_again():
    """SIG-7"""
    listeners = Listeners([Route("x", "a")])
    listeners.start_at({("x", "a"): 5})
    assert list(listeners.hear(signal(5))) == []
    assert len(list(listeners.hear(signal(6)))) == 1
    assert caused_by(signal(6)).positions == {"a": 6}


def test_where_decides_by_the_payload_and_its_errors_are_decisions():
    """SIG-8"""
    (route,) = routes_of(Config(reflexes=(reflex(where="load > 5"),)))
    assert route.refusal(signal(1, payload={"load": 6})) is None
    assert route.refusal(signal(1, payload={"load": 4})).reason == "filtered"
    failed = route.refusal(signal(1, payload={"other": 4}))
    assert failed.reason == "where_failed"
    assert "load" in failed.detail


def test_a_chain_of_signals_that_becomes_too_long_is_a_loop_and_is_named():
    """SIG-10"""
    chain = tuple("ab"[n % 2] for n in range(MAX_CHAIN))
    assert not is_loop(caused_by(signal(1, chain=chain[1:])))
    loop = caused_by(signal(1, sense=chain[-2], chain=chain))
    assert is_loop(loop)
    assert loop_in_words(loop, "b") == "b -> a -> b"
    assert loop_in_words(loop, "c").startswith("a -> b -> a ->")


def test_a_trigger_by_time_is_never_a_loop():
    """SIG-10"""
    assert not is_loop(Cause(TriggerKind.INTERVAL))
