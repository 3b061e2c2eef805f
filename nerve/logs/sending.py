"""The worker's end of the log pipe.

Worker; in whatever thread logs. A record is masked, made small and written into the
pipe before the logging call returns, without a queue and without a thread: so a
record that was logged before a crash arrives, nothing of a worker's memory grows when
the parent is stuck, and there is no lock that a kill could leave behind. A logging loop
stops at the bucket here. What is left out, there or at a full pipe, is counted, and the
count travels with the next record that passes, or at the worker's orderly end.
"""

import logging
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import util
from multiprocessing.connection import Connection

from nerve.config.secrets import Redactor
from nerve.logs.frames import MAX_COUNT, MAX_NAME_CHARS, MAX_RECORD_CHARS, is_count, write
from nerve.logs.rate import Rate

FULL_PIPE_WAIT_MS = 200
"""For the parent to read on; the first record that waits in vain is lost, the next do not wait."""
MAX_FORKED_CHARS = 150
"""Text and name, each, in a child that the sense has forked: its records have to fit into one
frame, at twelve bytes for a character, because those of several processes would mix."""
LEVELS = {
    "": logging.INFO,
    # Alembic tells of every step of every start; what it did is in the worker's report.
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "asyncio": logging.WARNING,
    # A connection that a sense has closed or broken is told as that compute's error, once.
    "sqlalchemy.pool": logging.CRITICAL,
}
"""What is sent at all, by logger."""
_FORMATTER = logging.Formatter("%(message)s")
"""Made at the import, by the fork server: what checks its text would be copied, 0.1 MB."""


@dataclass(frozen=True, slots=True)
class RecordPipe:
    """What a worker is started with, to send its log records."""

    connection: Connection
    lines_per_second: int


class PipeHandler(logging.Handler):
    """Sends a record as text, with the few fields that are kept of it.

    `extra=` may hold any object, and the parent must not meet it.
    """

    def __init__(self, pipe: RecordPipe, redactor: Redactor) -> None:
        super().__init__()
        self._pipe = pipe  # for its descriptor to stay open
        self._descriptor = pipe.connection.fileno()
        self._identity = _identity(self._descriptor)
        self._redactor = redactor
        self._begin(MAX_RECORD_CHARS)
        os.set_blocking(self._descriptor, False)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if it is within the rate; raises nothing."""
        if os.getpid() != self._pid:
            self._begin(MAX_FORKED_CHARS)
        if not self._rate.allow(1, time.monotonic()):
            return
        try:
            self._send(self._fields(record), records=1)
        except Exception:  # noqa: BLE001  the author's own arguments; told as logging always does
            self.handleError(record)

    def tell_left_out(self) -> None:
        """Send the count alone; there is no next record it could travel with."""
        if self._rate.left_out:
            self._send({}, records=0)

    def _begin(self, max_chars: int) -> None:
        self._pid = os.getpid()
        self._max_chars = max_chars
        self._rate = Rate(time.monotonic(), self._pipe.lines_per_second)
        self._is_stalled = False

    def _send(self, fields: Mapping[str, object], *, records: int) -> None:
        left_out = self._rate.take_left_out(at_the_end=True)
        if not self._write({**fields, "left_out": left_out}):
            self._rate.leave_out(left_out + records)

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        text = self.format(record)  # with the traceback, if it has one
        trigger_id = getattr(record, "trigger_id", None)
        return {
            # Masked here and not in the parent: a secret should not even travel.
            "name": self._redactor.text(record.name)[: min(self._max_chars, MAX_NAME_CHARS)],
            "levelno": min(max(0, int(record.levelno)), MAX_COUNT),
            "msg": self._redactor.text(text)[: self._max_chars],
            "trigger_id": trigger_id if is_count(trigger_id) else None,
        }

    def _write(self, fields: dict[str, object]) -> bool:
        """Write all frames of a record; False when the pipe is full, or is the pipe no more."""
        try:
            # A sense may have closed it, and its number may be a database by now.
            if _identity(self._descriptor) != self._identity:
                return False
            return all(self._write_frame(frame) for frame in write(fields))
        except OSError:
            return False

    def _write_frame(self, frame: bytes) -> bool:
        try:
            os.write(self._descriptor, frame)
        except BlockingIOError:
            if self._is_stalled or not self._becomes_writable():
                self._is_stalled = True
                return False
            return self._write_frame_now(frame)
        self._is_stalled = False
        return True

    def _write_frame_now(self, frame: bytes) -> bool:
        try:
            return os.write(self._descriptor, frame) > 0
        except BlockingIOError:  # another thread or child was quicker
            return False

    def _becomes_writable(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(FULL_PIPE_WAIT_MS))


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def send_records_to(pipe: RecordPipe, redactor: Redactor) -> None:
    """In a worker: send all records of the root logger to the parent."""
    root = logging.getLogger()
    for inherited in list(root.handlers):
        root.removeHandler(inherited)
    handler = PipeHandler(pipe, redactor)
    handler.setFormatter(_FORMATTER)
    root.addHandler(handler)
    set_levels()
    # A process of multiprocessing runs these at its end, and not what `atexit` has.
    util.Finalize(handler, handler.tell_left_out, exitpriority=0)


def set_levels() -> None:
    """Set the levels from which on records are sent; in the fork server already, for all workers.

    Each that is set touches every logger there is.
    """
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level != level:
            logger.setLevel(level)
