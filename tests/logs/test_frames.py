import contextlib
import json
import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.logs.frames import (
    MAX_COUNT,
    MAX_RECORD_BYTES,
    MAX_RECORD_CHARS,
    FrameJoiner,
    Garbage,
    read,
    write,
)

RECORD = {"name": "sense.a", "levelno": 20, "msg": "hello", "trigger_id": 7, "left_out": 0}


def body(**more):
    return json.dumps({**RECORD, **more}).encode()


@pytest.mark.parametrize(
    "text", ["short", "long" * 5_000, "\U0001f600" * MAX_RECORD_CHARS, "\udcff"]
)
def test_a_record_survives_its_frames_and_any_chunks(text):
    """LOG-5"""
    frames = list(write({**RECORD, "msg": text}))
    assert all(len(frame) <= select.PIPE_BUF and frame.count(b"\n") == 1 for frame in frames)
    stream = b"".join(frames) * 2
    joiner = FrameJoiner()
    bodies = [
        b for at in range(0, len(stream), 1_000) for b in joiner.feed(stream[at : at + 1_000])
    ]
    assert [read(b).record.getMessage() for b in bodies] == [text, text]


def test_half_a_record_is_forgotten_and_the_next_one_arrives():
    """LOG-4"""
    first, *others = write({**RECORD, "msg": "x" * 10_000})
    whole = b"".join(write(RECORD))
    for half in (first, b"".join(others), first + others[0]):
        assert [read(b).record.msg for b in FrameJoiner().feed(half + whole)] == ["hello"]


def test_a_count_travels_with_a_record_and_alone():
    """LOG-5"""
    assert read(body(left_out=5)).left_out == 5
    assert read(b'{"left_out": 5}').record is None


@pytest.mark.parametrize(
    ("level", "name"), [(0, "DEBUG"), (10, "DEBUG"), (25, "INFO"), (30, "WARNING"), (99, "ERROR")]
)
def test_a_level_of_the_authors_own_stands_on_one_of_four_steps(level, name):
    assert read(body(levelno=level)).record.levelname == name


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"nonsense",
        b"[]",
        b"[" * 100_000,
        b"9" * 100_000,
        body(name=5),
        body(name="n" * 1_000),
        body(msg=["a", "list"]),
        body(msg="x" * (MAX_RECORD_CHARS + 1)),
        body(levelno="ERROR"),
        body(levelno=True),
        body(trigger_id=-1),
        body(trigger_id=MAX_COUNT + 1),
        body(left_out=-3),
        body(left_out=None),
    ],
)
def test_what_is_no_record_is_garbage(hostile):
    """RUN-6, invariant 9"""
    with pytest.raises(Garbage):
        read(hostile)


def test_fields_that_nobody_asked_for_are_dropped():
    """LOG-4"""
    record = read(body(args=[1, 2], exc_info=[1], getMessage="x")).record
    assert record.getMessage() == "hello"
    assert not record.exc_info


def test_a_frame_or_a_record_that_does_not_end_is_garbage():
    """LOG-5"""
    with pytest.raises(Garbage):
        list(FrameJoiner().feed(b"=" + b"x" * select.PIPE_BUF))
    part = b"|" + b"x" * 4_000 + b"\n"
    with pytest.raises(Garbage):
        list(FrameJoiner().feed(b"(\n" + part * (MAX_RECORD_BYTES // 4_000 + 1)))


@given(st.lists(st.binary() | st.sampled_from([b"=", b"(", b"|", b")", b"\n", b"{}"])))
def test_any_bytes_are_frames_or_garbage(chunks):
    """LOG-4, invariant 9"""
    joiner = FrameJoiner()
    with contextlib.suppress(Garbage):
        for chunk in chunks:
            for found in joiner.feed(chunk):
                read(found)
