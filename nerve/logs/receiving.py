"""The parent's end of the log pipe.

Parent, in one thread for each worker *generation*: a pipe shared by all workers would
stop everybody's logging after the first worker that is killed while it writes.

Built on multiprocessing-logging's `MultiProcessingHandler`, which makes the pipe, starts
the thread and joins it. What the thread does is our own, because the one of the library
unpickles what comes, believes any length it is told, and waits for the rest of half
a record; a sense that writes into the pipe itself could run code in the parent, or
hold the thread for ever. Of the queue only the two ends of its pipe are kept: its
semaphores would be shared with the worker, and would outlive a parent that is killed.
`install_mp_handler()` is not used, because it demands the `fork` start method.

The parent closes its own copy of the write end as soon as the worker has started: then
the pipe ends when the worker does. A child of the sense may still hold it open, so
nothing here waits for that end: what the dead worker has left is read without waiting.
The thread sleeps until something comes or until it is told that nothing will: fifty idle workers
wake the parent not once.
"""

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multiprocessing_logging import MultiProcessingHandler

from nerve.clock import MS_PER_S
from nerve.logs.frames import FrameJoiner, Garbage, read
from nerve.logs.rate import BURST_S, LINES_PER_S, Rate
from nerve.logs.sending import RecordPipe

READ_BYTES = 64 * 1024
PACE_MS = 20
"""Between two reads of a flood, at least."""
REST_FACTOR = 10
"""Between two reads of a flood, as a multiple of what the last one took: whatever a sense writes
into the pipe, its reader is busy for an eleventh of the time at most."""
MAX_COUNTS_READ = 64
"""Records of one chunk that are read although they are over the rate, for the counts they carry;
a worker's own bucket lets no more pass."""
MAX_LAST_READS = 32
"""Reads of READ_BYTES after a worker's death: a pipe holds no more than some of them."""
LAST_READ_WAIT_S = 1.0
"""For the thread to be done with one chunk, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class RecordEvents:
    """What is called with what a worker logs: in the thread, or by who asks for the rest.

    Attributes:
        record: a record within the rate.
        left_out: how many were left out, told once a flood is over.
        broken: no more comes, because what came was no record; with the reason.
    """

    record: Callable[[logging.LogRecord], None]
    left_out: Callable[[int], None]
    broken: Callable[[str], None]


class RecordsOf:
    """The log records of one worker generation."""

    def __init__(
        self,
        name: str,
        take: Callable[[logging.LogRecord], None] | RecordEvents | None = None,
        *,
        lines_per_second: int = LINES_PER_S,
    ) -> None:
        """Receive records; `take` alone gets what is told of them as records, too.

        Without it `listen` is called before anybody has the pipe to write to.
        """
        self._handler = _PipeReader(f"logs of {name}")
        if take is not None:
            self.listen(take, lines_per_second)

    def listen(
        self, take: Callable[[logging.LogRecord], None] | RecordEvents, lines_per_second: int
    ) -> None:
        """Say who receives the records, and how many of them."""
        events = take if isinstance(take, RecordEvents) else _as_records(take)
        self._lines_per_second = lines_per_second
        self._handler.listen(events, lines_per_second)

    @property
    def queue(self) -> RecordPipe:
        """What to start the worker with."""
        return RecordPipe(self._handler.writer, self._lines_per_second)

    def started(self) -> None:
        """Give the write end away: the worker has its own copy now."""
        self._handler.writer.close()

    def take_waiting(self) -> None:
        """Take what has been written by now, without waiting for the thread to come to it."""
        self._handler.take_waiting()

    def take_rest(self) -> None:
        """Take what a dead worker has left; it ends there, whoever else may still write."""
        self._handler.take_rest()

    def close(self) -> None:
        """Take what is left and end the thread; blocks for at most some hundred milliseconds."""
        self._handler.close()


_NOBODY = RecordEvents(record=lambda _: None, left_out=lambda _: None, broken=lambda _: None)


def _as_records(take: Callable[[logging.LogRecord], None]) -> RecordEvents:
    def tell(text: str) -> None:
        fields = {"name": "nerve", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
        take(logging.makeLogRecord(fields))

    return RecordEvents(
        record=take,
        left_out=lambda count: tell(f"{count} log records left out"),
        broken=lambda why: tell(f"its log records are lost from here on: {why}"),
    )


class _PipeReader(MultiProcessingHandler):  # type: ignore[misc]  # the library has no types
    """The thread and the pipe.

    After each read the thread owes some rest, and takes it once it owes more than BURST_S: so a
    burst is read at once, and a flood at a pace.
    """

    def __init__(self, name: str) -> None:
        # All of it before the library's own part, which starts the thread.
        self.listen(_NOBODY, LINES_PER_S)
        self._joiner = FrameJoiner()
        self._read_at = time.monotonic()
        self._rest_owed_s = 0.0
        self._reading = threading.Lock()
        self._over = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_ended = False
        try:
            super().__init__(name, sub_handler=logging.NullHandler())
        except BaseException:
            os.close(self._over)
            raise

    def listen(self, events: RecordEvents, lines_per_second: int) -> None:
        """Say who is told, before anything can come."""
        self._events = events
        self._rate = Rate(time.monotonic(), lines_per_second)

    @property
    def queue(self) -> Any:
        """What the library takes for its queue; it sets it, and only `_receive` would use it."""
        return None

    @queue.setter
    def queue(self, made: Any) -> None:
        # Private names; a test fails when they disappear. The rest of the queue ends here.
        self.reader, self.writer = made._reader, made._writer  # noqa: SLF001  as said

    def _receive(self) -> None:
        """Read until the end of the pipe, or until it is over here. Overrides the library's."""
        os.set_blocking(self.reader.fileno(), False)
        poll = select.poll()
        poll.register(self.reader.fileno(), select.POLLIN)
        poll.register(self._over, select.POLLIN)
        while not self._is_ended and not self._is_over():
            poll.poll()  # without a bound: whoever has made this closes it
            self._read_and_rest()
        self.take_rest()
        with self._reading:
            self.reader.close()

    def _read_and_rest(self) -> None:
        began = time.monotonic()
        with self._reading:
            self._read()
        ended = time.monotonic()
        rest_s = max(PACE_MS / MS_PER_S, REST_FACTOR * (ended - began))
        self._rest_owed_s = max(0.0, self._rest_owed_s - (ended - self._read_at)) + rest_s
        self._read_at = ended
        if self._rest_owed_s > BURST_S:
            self._is_over(rest_s)

    def _is_over(self, timeout_s: float = 0) -> bool:
        """Whether nobody wants to hear more; waits for that."""
        over = select.poll()
        over.register(self._over, select.POLLIN)
        return bool(over.poll(timeout_s * MS_PER_S))

    def _read(self) -> bool:
        """Read once and pass it on; False when there is nothing (more) to read."""
        chunk = b"" if self._is_ended else self._read_chunk()
        if chunk:
            self._take(chunk)
        return bool(chunk)

    def take_waiting(self) -> None:
        """Read what is there by now; in any thread."""
        if self._reading.acquire(timeout=LAST_READ_WAIT_S):
            try:
                self._read_all()
            finally:
                self._reading.release()

    def _read_all(self) -> None:
        reads = 0
        while reads < MAX_LAST_READS and self._read():
            reads += 1

    def take_rest(self) -> None:
        """Read what is there and nothing after it; in any thread."""
        if not self._reading.acquire(timeout=LAST_READ_WAIT_S):
            return
        try:
            self._read_all()
            self._is_ended = True
            if not self.reader.closed:  # else the thread has ended
                os.eventfd_write(self._over, 1)
            if left_out := self._rate.take_left_out(at_the_end=True):
                self._events.left_out(left_out)
        finally:
            self._reading.release()

    def _read_chunk(self) -> bytes:
        try:
            chunk = os.read(self.reader.fileno(), READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # closed
            chunk = b""
        self._is_ended = not chunk
        return chunk

    def _take(self, chunk: bytes) -> None:
        bodies, garbage = self._join(chunk)
        garbage = self._pass_on(bodies) or garbage
        if garbage is not None:
            self._is_ended = True
            self._events.broken(str(garbage))
        if left_out := self._rate.take_left_out():
            self._events.left_out(left_out)

    def _join(self, chunk: bytes) -> tuple[list[bytes], Garbage | None]:
        bodies: list[bytes] = []
        try:
            bodies.extend(self._joiner.feed(chunk))  # those before the garbage are there
        except Garbage as garbage:
            return bodies, garbage
        return bodies, None

    def _pass_on(self, bodies: list[bytes]) -> Garbage | None:
        now = time.monotonic()
        self._rate.allow(0, now)
        for index, body in enumerate(bodies):
            if self._rate.is_spent and index >= MAX_COUNTS_READ:
                self._rate.leave_out(len(bodies) - index)
                break
            try:
                told = read(body)
            except Garbage as garbage:
                return garbage
            self._rate.leave_out(told.left_out)
            if told.record is not None and self._rate.allow(1, now):
                self._events.record(told.record)
        return None

    def close(self) -> None:
        if self._is_closed:  # `logging` closes all handlers once more at the end of the process
            return
        os.eventfd_write(self._over, 1)
        with contextlib.suppress(OSError):
            self.writer.close()
        super().close()
        if not self._receive_thread.is_alive():
            os.close(self._over)
