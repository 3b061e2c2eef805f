import contextlib
import fcntl
import gc
import logging
import os
import pickle
import select
import struct
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import SemLock
from pathlib import Path

import pytest

from nerve.config import Redactor
from nerve.logs.frames import FrameJoiner, read, write
from nerve.logs.rate import BURST_S, LINES_PER_S
from nerve.logs.receiving import MAX_LAST_READS, PACE_MS, READ_BYTES, RecordsOf
from nerve.logs.sending import PipeHandler, RecordPipe

BURST = BURST_S * LINES_PER_S
MANY = 1_000_000
PIPE_BYTES = 2 * READ_BYTES
RECORD = {"name": "a", "levelno": 20, "msg": "hello", "trigger_id": None, "left_out": 0}


def record(text):
    return logging.makeLogRecord({"name": "a", "levelno": 20, "msg": text})


def switches(thread):
    """How often a thread has gone to sleep."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return int(status.rpartition("\nvoluntary_ctxt_switches:")[2].split()[0])


class Unread:
    """The worker's end of a pipe that nobody reads."""

    def __init__(self, lines_per_second=LINES_PER_S):
        self.reading, writing = os.pipe()
        os.set_blocking(self.reading, False)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.connection = Connection(writing, readable=False)
        pipe = RecordPipe(self.connection, lines_per_second)
        self.handler = PipeHandler(pipe, Redactor(["hunter2hunter2"]))

    def read(self):
        joiner = FrameJoiner()
        return [read(body) for body in joiner.feed(os.read(self.reading, PIPE_BYTES))]


@pytest.fixture
def unread():
    made = []

    def make(*arguments):
        made.append(Unread(*arguments))
        return made[-1]

    yield make
    for one in made:
        os.close(one.reading)
        one.connection.close()


def test_a_logging_loop_ends_at_the_bucket_and_the_count_travels_with_the_next_record(unread):
    """LOG-5"""
    worker = unread()
    worker.handler._rate._per_s = 0  # nothing is refilled while this runs
    for number in range(10 * BURST):
        worker.handler.handle(record(f"{number}"))
    assert len(worker.read()) == BURST
    worker.handler._rate._allowed = 1
    worker.handler.handle(record("next"))
    (told,) = worker.read()
    assert (told.record.msg, told.left_out) == ("next", 9 * BURST)


def test_what_was_left_out_is_told_at_the_orderly_end(chat):
    """LOG-5"""
    worker = chat("burst")
    assert worker.wait() == 0
    worker.close()
    assert len(worker.heard.messages) + worker.heard.left_out == 1_000
    assert worker.heard.left_out > 0


def test_a_parent_that_reads_nothing_costs_one_wait_and_no_memory(unread, monkeypatch):
    """RUN-10, LOG-4"""
    worker, waits = unread(MANY), []
    wait = PipeHandler._becomes_writable
    monkeypatch.setattr(
        PipeHandler, "_becomes_writable", lambda handler: waits.append(1) or wait(handler)
    )
    for number in range(5_000):
        worker.handler.handle(record(f"{number} {'x' * 200}"))
    assert waits == [1]
    kept = len(worker.read())
    worker.handler.handle(record("next"))
    (told,) = worker.read()
    assert (told.record.msg, told.left_out) == ("next", 5_000 - kept)


def test_a_record_is_masked_before_it_is_cut(unread):
    """CFG-8"""
    worker = unread()
    worker.handler.handle(record("x" * (64 * 1024 - 4) + "hunter2hunter2"))
    (told,) = worker.read()
    assert "hunt" not in told.record.msg


def test_a_descriptor_that_has_become_another_file_is_not_written_into(unread, tmp_path):
    """RUN-6"""
    worker = unread()
    other = os.open(tmp_path / "sense.db", os.O_CREAT | os.O_WRONLY)
    os.dup2(other, worker.connection.fileno())
    worker.handler.handle(record("lost"))
    assert (tmp_path / "sense.db").read_bytes() == b""
    assert worker.handler._rate.left_out == 1
    os.close(other)


def test_a_closed_descriptor_loses_records_and_raises_nothing(unread):
    """RUN-6"""
    worker = unread()
    worker.connection.close()
    worker.handler.handle(record("lost"))
    assert worker.handler._rate.left_out == 1


class Thing:
    def __reduce__(self):
        return (os.mkdir, ("made-by-unpickling",))


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack("!i", 2**31 - 1),
        struct.pack("!iQ", -1, 2**62),
        pickle.dumps(Thing()) + b"\n",
        b"\0" * READ_BYTES,
        b"=[]\n",
        b"\n",
    ],
)
def test_garbage_ends_the_records_is_told_once_and_hangs_nobody(
    heard, garbage, tmp_path, monkeypatch
):
    """RUN-6, LOG-4"""
    monkeypatch.chdir(tmp_path)
    heard.write(b"".join(write(RECORD)))
    heard.write(garbage + b"\n" * select.PIPE_BUF if b"\n" not in garbage else garbage)
    heard.wait_for(lambda heard: heard.broken)
    heard.thread.join(30)
    assert not heard.thread.is_alive()
    assert (heard.messages, len(heard.broken)) == (["hello"], 1)
    assert not (tmp_path / "made-by-unpickling").exists()
    with pytest.raises(BrokenPipeError):
        heard.write(b"more")


def test_a_flood_into_the_pipe_itself_is_read_at_a_pace(heard):
    """LOG-5"""
    heard.records._handler._rest_owed_s = BURST_S  # as after many reads
    frame = b"".join(write(RECORD))
    writing = heard.records.queue.connection.fileno()
    os.set_blocking(writing, False)
    began, written = time.monotonic(), 0
    while time.monotonic() - began < 1:
        try:
            written += os.write(writing, frame * (select.PIPE_BUF // len(frame)))
        except BlockingIOError:
            select.select([], [writing], [], 0.1)
    reads = (time.monotonic() - began) * 1_000 / PACE_MS + 1
    assert written <= (reads + 1) * READ_BYTES
    assert len(heard.messages) < BURST + 10 * LINES_PER_S


def test_a_pipe_that_is_held_open_is_not_waited_for(heard):
    """LOG-4"""
    heard.write(b"".join(write(RECORD)) + b"=half a frame")
    heard.records.take_rest()
    with contextlib.suppress(BrokenPipeError):  # the thread may have ended by now
        heard.write(b"late\n")
    heard.records.close()
    assert (heard.messages, heard.broken) == (["hello"], [])


def test_nothing_is_looked_for_while_nothing_comes(heard):
    """LOG-4: a thread that wakes up by itself does so fifty times over with fifty groups."""
    heard.write(b"".join(write(RECORD)))
    heard.wait_for(lambda heard: heard.messages)
    before = switches(heard.thread)
    heard.thread.join(1.5)
    assert switches(heard.thread) - before < 5  # those of what it has just told


def test_who_takes_the_rest_of_a_pipe_that_is_held_open_ends_the_thread(heard):
    """LOG-4"""
    heard.records.take_rest()
    heard.thread.join(30)
    assert not heard.thread.is_alive()


def test_the_rest_of_a_flood_is_read_within_a_bound(heard):
    """LOG-4"""
    stop = threading.Event()
    frames = b"".join(write(RECORD)) * 20

    def flood():
        while not stop.is_set():
            try:
                heard.write(frames)
            except OSError:
                return

    writer = threading.Thread(target=flood)
    writer.start()
    heard.wait_for(lambda heard: heard.messages)
    heard.records.take_rest()
    told = len(heard.messages)
    assert told <= MAX_LAST_READS * READ_BYTES
    stop.set()
    heard.thread.join(30)  # closes the reading end, should the writer wait for it
    writer.join(30)
    assert not writer.is_alive()
    assert len(heard.messages) == told


def locks():
    return [one for one in gc.get_objects() if isinstance(one, SemLock)]


@pytest.fixture
def locks_of_others():
    """Those that tests before this one have left to the collector."""
    return locks()


def test_no_lock_is_shared_with_a_worker(locks_of_others, heard):
    """LOG-4, RUN-10, invariant 4"""
    others = set(map(id, locks_of_others))
    assert not [one for one in locks() if id(one) not in others]


def test_who_wants_records_alone_gets_what_is_told_of_them_as_records(tmp_path):
    """LOG-5"""
    records = []
    of = RecordsOf("test", records.append, lines_per_second=1)
    descriptor = of.queue.connection.fileno()
    os.write(descriptor, b"".join(write({**RECORD, "left_out": 3})) + b"garbage\n")
    of.started()
    of.close()
    first, broken, left_out = (r.getMessage() for r in records)
    assert (first, left_out) == ("hello", "3 log records left out")
    assert "lost from here on" in broken
