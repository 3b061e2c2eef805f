import os

import pytest

from nerve.config import Redactor
from nerve.supervisor.output import MAX_LINE_CHARS, OutputLines
from nerve.supervisor.rate import BURST_LINES, LINES_PER_S


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    output = OutputLines(reading, 0.0, Redactor(["hunter2hunter2"]).text)
    yield output, writing
    output.close()
    os.close(writing)


def test_a_character_cut_by_a_chunk_border_survives(pipe):
    """LOG-5"""
    output, writing = pipe
    text = "größer\n".encode()
    for cut in range(len(text)):
        os.write(writing, text[:cut])
        before, _ = output.read(0.0)
        os.write(writing, text[cut:])
        after, more = output.read(0.0)
        assert (before + after, more) == (["größer"], True)


def test_a_line_that_never_ends_is_cut(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"x" * (3 * MAX_LINE_CHARS + 5))
    lines, _ = output.read(0.0)
    assert [len(line) for line in lines] == [MAX_LINE_CHARS] * 2
    rest, left_out = output.read_rest(0.0)
    assert ([len(line) for line in rest], left_out) == ([MAX_LINE_CHARS, 5], 0)


def test_a_secret_across_the_cut_is_masked(pipe):
    """LOG-5, CFG-8"""
    output, writing = pipe
    os.write(writing, b"x" * (MAX_LINE_CHARS - 4) + b"hunter2hunter2 and more\n")
    lines, _ = output.read(0.0)
    assert "hunt" not in "".join(lines)
    assert "and more" in "".join(lines)


def test_what_a_flood_lost_is_told_at_the_end(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"flood\n" * (BURST_LINES + 70) + b"last words")
    lines, left_out = output.read_rest(0.0)
    assert (len(lines), left_out) == (BURST_LINES, 71)


def test_a_flood_is_cut_and_what_was_left_out_is_counted(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"flood\n" * (BURST_LINES + 70))
    lines, _ = output.read(0.0)
    assert (len(lines), output.rate.take_left_out()) == (BURST_LINES, 0)
    os.write(writing, b"calm\n")
    lines, _ = output.read(1.0)
    assert (lines, output.rate.take_left_out()) == (["calm"], 70)
    assert LINES_PER_S > 1


def test_half_a_line_is_told_at_the_end():
    """LOG-5"""
    reading, writing = os.pipe()
    last = OutputLines(reading, 0.0, Redactor(["hunter2hunter2"]).text)
    os.write(writing, b"no newline")
    os.close(writing)
    assert last.read(0.0) == ([], True)
    assert last.read(0.0) == (["no newline"], False)
    last.close()
