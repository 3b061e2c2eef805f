import asyncio
import os
import time

import pytest

from nerve.clock import SystemClock
from nerve.config import Redactor
from nerve.logs import Rate
from nerve.logs.rate import BURST_S, LINES_PER_S, TELL_EVERY_S
from nerve.supervisor.output import (
    LOOKS_PER_S,
    MAX_LINE_CHARS,
    READ_BYTES,
    OutputLines,
    OutputStream,
)

BURST = BURST_S * LINES_PER_S
PATIENCE_S = 30


def lines_of(descriptor, redact=None, **rate):
    return OutputLines(descriptor, Rate(0.0, **rate), redact or Redactor(["hunter2hunter2"]).text)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    output = lines_of(reading)
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


def test_a_character_cut_in_a_line_that_never_ends_survives(pipe):
    """LOG-5"""
    output, writing = pipe
    text = ("ö" * MAX_LINE_CHARS * 2).encode()
    os.write(writing, text[:-1])
    lines, _ = output.read(0.0)
    os.write(writing, text[-1:] + b"\n")
    lines += output.read(0.0)[0]
    assert "".join(lines) == "ö" * MAX_LINE_CHARS * 2


def test_a_line_that_never_ends_is_cut(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"x" * (3 * MAX_LINE_CHARS + 5))
    lines, _ = output.read(0.0)
    assert [len(line) for line in lines] == [MAX_LINE_CHARS] * 2
    rest, left_out = output.read_rest(0.0)
    assert ([len(line) for line in rest], left_out) == ([MAX_LINE_CHARS, 5], 0)


@pytest.mark.parametrize("end", [b" and more\n", b" and more" + b"y" * 2 * MAX_LINE_CHARS + b"\n"])
def test_a_secret_across_the_cut_is_masked(pipe, end):
    """LOG-5, CFG-8"""
    output, writing = pipe
    os.write(writing, b"x" * (MAX_LINE_CHARS - 4) + b"hunter2hunter2" + end)
    lines, _ = output.read(0.0)
    assert "hunt" not in "".join(lines)
    assert "and more" in "".join(lines)


def test_a_line_that_was_dropped_in_its_middle_is_dropped_to_its_end(pipe):
    """LOG-5, CFG-8: what follows the cut could begin inside a secret"""
    output, writing = pipe
    os.write(writing, b"flood\n" * BURST + b"x" * (2 * MAX_LINE_CHARS - 7) + b"hunter2")
    lines, _ = output.read(0.0)
    assert len(lines) == BURST
    os.write(writing, b"hunter2 tail\nnext\n")
    assert output.read(10.0)[0] == ["next"]
    assert output.rate.take_left_out() == 1


def test_what_is_left_out_is_not_searched_for_secrets():
    """LOG-5"""
    reading, writing = os.pipe()
    searched = []
    output = lines_of(reading, lambda text: searched.append(text) or text)
    os.write(writing, b"flood\n" * 10_000)
    output.read(0.0)
    assert len(searched) == BURST
    output.close()
    os.close(writing)


def test_blank_lines_count_and_are_not_kept(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"\n \n" * BURST + b"text\n")
    assert output.read(0.0)[0] == []
    assert output.rate.left_out == BURST + 1


def test_what_a_flood_lost_is_told_at_the_end(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"flood\n" * (BURST + 70) + b"last words")
    lines, left_out = output.read_rest(0.0)
    assert (len(lines), left_out) == (BURST, 71)


def test_a_flood_is_cut_and_what_was_left_out_is_counted(pipe):
    """LOG-5"""
    output, writing = pipe
    os.write(writing, b"flood\n" * (BURST + 70))
    lines, _ = output.read(0.0)
    assert (len(lines), output.rate.take_left_out()) == (BURST, 0)
    os.write(writing, b"calm\n")
    lines, _ = output.read(1.0)
    assert (lines, output.rate.take_left_out()) == (["calm"], 70)


def test_the_rate_is_that_of_the_group():
    """LOG-5"""
    reading, writing = os.pipe()
    output = lines_of(reading, lines_per_second=2)
    os.write(writing, b"line\n" * 100)
    assert len(output.read(0.0)[0]) == 2 * BURST_S
    os.write(writing, b"line\n" * 100)
    assert len(output.read(1.0)[0]) == 2
    output.close()
    os.close(writing)


def test_a_flood_without_an_end_is_told_of_now_and_then():
    """LOG-5"""
    rate = Rate(0.0)
    told = []
    for second in range(1, int(3 * TELL_EVERY_S)):
        rate.allow(1_000, float(second))
        told.append(rate.take_left_out())
    assert len([count for count in told if count]) == 2
    assert sum(told) + rate.left_out == 1_000 * len(told) - BURST - LINES_PER_S * (len(told) - 1)


def test_half_a_line_is_told_at_the_end():
    """LOG-5"""
    reading, writing = os.pipe()
    last = lines_of(reading)
    os.write(writing, b"no newline")
    os.close(writing)
    assert last.read(0.0) == ([], True)
    assert last.read(0.0) == (["no newline"], False)
    last.close()


class Flooded:
    """A stream on a loop, what it told, and how often it was looked at."""

    def __init__(self, descriptor):
        self.told = asyncio.Queue()
        self.lines = CountingLines(descriptor, Rate(time.monotonic()), str)
        self.stream = OutputStream(
            self.lines,
            lambda lines, left_out: self.told.put_nowait((lines, left_out)),
            clock=SystemClock(),
            loop=asyncio.get_running_loop(),
        )


class CountingLines(OutputLines):
    looks = 0

    def read(self, now):
        self.looks += 1
        return super().read(now)


@pytest.mark.parametrize("piece", [b"x" * 99 + b"\n", b"\n", b"x"])
def test_a_flood_in_pieces_of_any_size_wakes_the_parent_a_bounded_number_of_times(piece):
    """LOG-5"""

    async def scenario():
        reading, writing = os.pipe()
        flooded = Flooded(reading)
        flooded.stream._looks = Rate(time.monotonic(), 5)  # of which 20 are allowed at once
        began = time.monotonic()
        turns = 0
        while flooded.stream._pause is None:
            assert time.monotonic() - began < PATIENCE_S
            os.write(writing, piece)
            await asyncio.sleep(0)
            turns += 1
        # It is paused now, and its reader is off the loop: nothing that is written wakes it.
        looks = flooded.lines.looks
        assert looks <= turns + 1
        flooded.stream._pause.cancel()
        for _ in range(100):
            os.write(writing, piece)
            await asyncio.sleep(0)
        assert flooded.lines.looks == looks
        flooded.stream._watch()
        os.write(writing, b"last\n")
        flooded.stream.take_rest()
        flooded.stream.close()
        os.close(writing)

    asyncio.run(scenario())


def test_looks_that_find_nothing_are_no_flood():
    """LOG-5: a group of a hundred computes a second looks so often at what none of them prints."""

    async def scenario():
        reading, writing = os.pipe()
        quiet = Flooded(reading)
        quiet.stream._looks = Rate(time.monotonic(), 5)
        for _ in range(1_000):
            quiet.stream.look(at_the_end=True)
        assert quiet.stream._pause is None
        quiet.stream.close()
        os.close(writing)

    asyncio.run(scenario())


def test_a_flooded_pipe_fills_and_holds_the_one_who_floods():
    """LOG-5"""

    async def scenario():
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        flooded = Flooded(reading)
        written = 0
        began = time.monotonic()
        while time.monotonic() - began < 1:
            try:
                written += os.write(writing, b"x" * 99 + b"\n")
            except BlockingIOError:
                await asyncio.sleep(0)
        took = time.monotonic() - began
        allowed = LOOKS_PER_S * (BURST_S + took) + 2
        assert flooded.lines.looks <= allowed
        assert written <= READ_BYTES * (allowed + 1)
        flooded.stream.close()
        os.close(writing)

    asyncio.run(scenario())


def test_what_was_left_out_is_told_although_nothing_follows():
    """LOG-5"""

    async def scenario():
        reading, writing = os.pipe()
        flooded = Flooded(reading)
        os.write(writing, b"flood\n" * (BURST + 70))
        told = [await asyncio.wait_for(flooded.told.get(), PATIENCE_S) for _ in range(2)]
        assert [(len(lines), left_out) for lines, left_out in told] == [(BURST, 0), (0, 70)]
        flooded.stream.close()
        os.close(writing)

    asyncio.run(scenario())


def test_a_pipe_that_somebody_else_keeps_open_is_not_waited_for():
    """LOG-4, RUN-3"""

    async def scenario():
        reading, writing = os.pipe()
        flooded = Flooded(reading)
        os.write(writing, b"last words")
        flooded.stream.take_rest()
        flooded.stream.close()
        assert flooded.told.get_nowait() == (["last words"], 0)
        with pytest.raises(BrokenPipeError):
            os.write(writing, b"of nobody")
        os.close(writing)

    asyncio.run(scenario())
