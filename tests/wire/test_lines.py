import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.wire.lines import LINE_TOO_LONG, LineDecoder

MAX_BYTES = 20
lines = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=20)


def all_of(decoder):
    found = []
    while (line := decoder.next()) is not None:
        found.append(line)
    return found


@given(lines, st.lists(st.integers(1, 30), min_size=1))
def test_lines_come_out_whole_and_in_order_however_the_stream_is_cut(sent, cuts):
    """CTL-1"""
    stream = b"".join(line + b"\n" for line in sent)
    decoder, received, at, turn = LineDecoder(MAX_BYTES), [], 0, 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        decoder.feed(stream[at : at + step])
        received += all_of(decoder)
        assert decoder.waiting_bytes <= MAX_BYTES
        at, turn = at + step, turn + 1
    told = [line for line in sent if line.strip() or len(line) > MAX_BYTES]
    assert received == [LINE_TOO_LONG if len(line) > MAX_BYTES else line for line in told]
    assert decoder.waiting_bytes == 0


def test_a_line_over_the_limit_is_told_of_once_and_before_its_end():
    """CTL-1"""
    decoder = LineDecoder(MAX_BYTES)
    decoder.feed(b"x" * (MAX_BYTES + 1))
    assert decoder.next() is LINE_TOO_LONG
    for _ in range(3):
        decoder.feed(b"x" * 1_000)
        assert decoder.next() is None
        assert decoder.waiting_bytes == 0
    decoder.feed(b"\nnext\n")
    assert all_of(decoder) == [b"next"]


@pytest.mark.parametrize("blank", [b"\n", b"\n\n", b"  \n", b"\r\n"])
def test_blank_lines_are_passed_over(blank):
    decoder = LineDecoder(MAX_BYTES)
    decoder.feed(blank + b"line\n" + blank)
    assert all_of(decoder) == [b"line"]
