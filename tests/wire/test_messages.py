import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.errors import MessageInvalid
from nerve.sense import TriggerKind
from nerve.wire.messages import (
    MAX_TEXT_CHARS,
    CauseSignal,
    ComputeMessage,
    NoSignalMessage,
    SignalMessage,
    StoredCause,
    UpdateMessage,
    dump_cause,
    dump_signal,
    parse_down,
    parse_up,
    shorten,
)
from nerve.wire.model import dump

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def compute(**changes):
    whole = {"type": "compute", "sense": "disk", "trigger_id": 1, "kind": "interval"}
    return json.dumps({**whole, **changes}).encode()


def test_a_compute_message_survives_the_way():
    """MSG-1"""
    signal = CauseSignal(id=7, sense="cpu-usage", at_us=5, payload={"a": [1, None]})
    message = ComputeMessage(
        sense="disk",
        trigger_id=3,
        kind=TriggerKind.SIGNAL,
        signals=(signal,),
        positions={"cpu-usage": 7},
    )
    assert parse_down(dump(message)) == message


@given(json_values.filter(lambda value: value is not None))
def test_any_payload_that_is_json_survives_the_way(payload):
    """MSG-1"""
    message = SignalMessage(
        generation=1,
        sense="disk",
        epoch="e",
        seq=1,
        at_us=1,
        payload=payload,
        cause=StoredCause(kind=TriggerKind.MANUAL, boot="b", trigger=1, depth=0),
    )
    assert parse_up(dump(message)).payload == payload


def test_an_update_survives_the_way_and_shows_no_secret():
    """MSG-1, CFG-8"""
    message = UpdateMessage(
        databases={"disk": "/d.db"}, masked=("hunter2",), grace_period_ms={"disk": 5}
    )
    assert parse_down(dump(message)) == message
    assert "hunter2" not in repr(message)


def test_a_signal_out_of_stored_parts_is_what_the_model_would_write():
    """MSG-1"""
    signals = tuple(
        CauseSignal(id=n, sense="cpu", at_us=1, payload={"n": n}) for n in (3, 2**63 - 1)
    )
    for message in (
        ComputeMessage(sense="disk", trigger_id=7, kind=TriggerKind.MANUAL),
        ComputeMessage(
            sense="disk",
            trigger_id=7,
            kind=TriggerKind.SIGNAL,
            signals=signals,
            left_out=4,
            merged=5,
            chain=("cpu", "load"),
        ),
    ):
        cause = StoredCause(
            kind=message.kind,
            boot='b"',
            trigger=7,
            depth=len(message.chain),
            chain=message.chain,
            signals=tuple(signal.id for signal in message.signals),
            left_out=message.left_out,
            merged=message.merged,
        )
        assert dump_cause('b"', message) == cause.model_dump_json()
        payload = {"said": "\u00fc\n", "n": [1.5, None, True]}
        signal = SignalMessage(
            generation=1,
            sense="disk",
            epoch='e"',
            seq=2,
            at_us=3,
            payload=payload,
            cause=cause,
            duration_us=4,
        )
        stored = (
            3,
            json.dumps(payload, ensure_ascii=False, separators=(",", ":")),
            cause.model_dump_json(),
        )
        parts = {"generation": 1, "sense": "disk", "epoch": 'e"', "seq": 2, "duration_us": 4}
        assert dump_signal(**parts, stored=stored) == dump(signal)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"null", "message"),
        (b"[]", "message"),
        (b"3", "message"),
        (b"{", "message"),
        (b"\xff\xfe", "message"),
        (b"{}", "type"),
        (b'{"type": "dance"}', "dance"),
        (b'{"type": null}', "type"),
        (compute(sense=None), "sense"),
        (json.dumps({"type": "compute", "trigger_id": 1, "kind": "interval"}).encode(), "sense"),
        (compute(trigger_id="1"), "trigger_id"),
        (compute(trigger_id=-1), "trigger_id"),
        (compute(trigger_id=2**63), "trigger_id"),
        (compute(kind="whim"), "kind"),
        (compute(extra=1), "extra"),
    ],
)
def test_a_message_is_valid_as_a_whole_or_refused_with_its_reason(frame, reason):
    """MSG-1: a compute without a sense is refused as such"""
    with pytest.raises(MessageInvalid, match=reason):
        parse_down(frame)


def test_no_signal_is_a_message_of_its_own():
    """MSG-3"""
    message = NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1)
    assert json.loads(dump(message))["type"] == "no_signal"
    assert parse_up(dump(message)) == message


def test_a_signal_without_a_payload_is_refused():
    """MSG-1, SIG-3"""
    frame = {"type": "signal", "generation": 1, "sense": "disk", "epoch": "e", "seq": 1, "at_us": 1}
    cause = {"kind": "manual", "boot": "b", "trigger": 1, "depth": 0}
    assert parse_up(json.dumps({**frame, "payload": 0, "cause": cause}).encode()).payload == 0
    with pytest.raises(MessageInvalid, match="null is no signal"):
        parse_up(json.dumps({**frame, "payload": None, "cause": cause}).encode())


@pytest.mark.parametrize(
    ("payload", "is_refused"),
    [("NaN", True), ("[1e999]", True), ('{"a": -Infinity}', True), ('"NaN, Infinity"', False)],
)
def test_a_number_that_no_json_has_is_refused(payload, is_refused):
    """MSG-3: it could be stored, and then nobody could read it."""
    cause = '{"kind": "manual", "boot": "b", "trigger": 1, "depth": 0}'
    frame = (
        '{"type": "signal", "generation": 1, "sense": "s", "epoch": "e", "seq": 1, "at_us": 1,'
        f' "payload": {payload}, "cause": {cause}}}'
    )
    if is_refused:
        with pytest.raises(MessageInvalid, match="JSON"):
            parse_up(frame.encode())
    else:
        assert parse_up(frame.encode()).payload == "NaN, Infinity"


def test_a_refusal_never_repeats_what_came():
    """MSG-1"""
    with pytest.raises(MessageInvalid) as caught:
        parse_down(compute(sense=["hunter2"]))
    assert "hunter2" not in str(caught.value)


@given(st.binary(max_size=100))
def test_garbage_is_refused_in_both_directions(garbage):
    """MSG-2"""
    for parse in (parse_down, parse_up):
        with pytest.raises(MessageInvalid):
            parse(garbage)


def test_a_long_text_loses_its_middle_and_says_so():
    short = shorten("a" * 1_000_000)
    assert len(short) <= MAX_TEXT_CHARS
    assert "left out" in short


@pytest.mark.parametrize("at_us", [2**63 - 1, 253_402_300_800_000_000, -1])
def test_a_moment_that_no_calendar_shows_is_invalid_both_ways(at_us):
    """MSG-2"""
    signal = {"id": 1, "sense": "disk", "at_us": at_us, "payload": 1}
    compute = {
        "type": "compute",
        "sense": "heat",
        "trigger_id": 1,
        "kind": "on",
        "signals": [signal],
    }
    with pytest.raises(MessageInvalid, match="at_us"):
        parse_down(json.dumps(compute).encode())
    said = {"type": "no_signal", "generation": 1, "sense": "disk", "trigger_id": 1}
    with pytest.raises(MessageInvalid, match="at_us"):
        parse_up(json.dumps({**said, "at_us": at_us, "duration_us": 1}).encode())
