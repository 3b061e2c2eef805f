import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.errors import FrameTooLarge, WireError
from nerve.wire.framing import MAX_FRAME_BYTES, FrameDecoder, encode

bodies = st.lists(st.binary(min_size=1, max_size=200), max_size=20)


@given(bodies, st.lists(st.integers(1, 60), min_size=1))
def test_frames_come_out_whole_and_in_order_however_the_stream_is_cut(sent, cuts):
    """MSG-2"""
    stream = b"".join(encode(body) for body in sent)
    decoder, received, at, turn = FrameDecoder(), [], 0, 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        received += decoder.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert received == sent
    assert decoder.incomplete_bytes == 0


@given(st.binary(max_size=300))
def test_garbage_is_frames_or_a_wire_error_and_nothing_else(garbage):
    """MSG-2"""
    decoder = FrameDecoder()
    try:
        list(decoder.feed(garbage))
    except WireError:
        return
    assert decoder.incomplete_bytes <= len(garbage)


def test_a_frame_over_the_limit_is_refused_at_its_first_four_bytes():
    """MSG-2"""
    with pytest.raises(FrameTooLarge) as caught:
        list(FrameDecoder().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big")))
    assert caught.value.limit == MAX_FRAME_BYTES


def test_a_body_over_the_limit_is_refused_before_it_is_sent():
    with pytest.raises(FrameTooLarge):
        encode(bytes(MAX_FRAME_BYTES + 1))


def test_an_empty_frame_is_an_error():
    """MSG-2"""
    with pytest.raises(WireError, match="empty"):
        list(FrameDecoder().feed(b"\0\0\0\0"))
