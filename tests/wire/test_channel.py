import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from nerve.wire.channel import (
    MAX_UNSENT_BYTES,
    BlockingChannel,
    Channel,
    ChannelClosed,
    ChannelOverflow,
)
from nerve.wire.framing import encode


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def test_reading_an_empty_channel_gives_nothing_and_does_not_wait(pair):
    channel, _ = pair
    assert list(channel.receive()) == []


def test_half_a_frame_keeps_nobody_waiting(pair):
    """MSG-2"""
    channel, worker = pair
    frame = encode(b"{}")
    worker.sendall(frame[:5])
    assert list(channel.receive()) == []
    worker.sendall(frame[5:])
    assert list(channel.receive()) == [b"{}"]


def test_sending_to_a_worker_that_has_died_is_an_error_of_that_message(pair):
    """MSG-5"""
    channel, worker = pair
    worker.close()
    with pytest.raises(ChannelClosed):
        channel.send(b"{}")


def test_a_worker_that_reads_nothing_never_blocks_the_parent(pair):
    """MSG-2"""
    channel, _ = pair
    body = b"x" * 1_000_000
    with pytest.raises(ChannelOverflow):
        for _ in range(MAX_UNSENT_BYTES // len(body) + 2):
            channel.send(body)


def test_what_did_not_fit_at_once_arrives_in_order(pair):
    channel, worker = pair
    bodies = [bytes([65 + n]) * 300_000 for n in range(5)]
    with ThreadPoolExecutor(1) as reading:
        reader = BlockingChannel(worker)
        received = reading.submit(lambda: [reader.receive() for _ in bodies])
        for body in bodies:
            channel.send(body)
        while channel.flush():
            pass
        assert received.result(timeout=30) == bodies


def test_a_worker_learns_that_the_parent_is_gone(pair):
    channel, worker = pair
    channel.close()
    with pytest.raises(ChannelClosed):
        BlockingChannel(worker).receive()
