"""Log records on their way from a worker to the parent.

Built on multiprocessing-logging's `MultiProcessingHandler`, one per worker
*generation*: a queue shared by all workers would stop everybody's logging after
the first worker that is killed while it writes. `install_mp_handler()` is not
used, because it demands the `fork` start method.

The worker logs through a QueueHandler that sends text (`send_records_to`); in the parent
a thread of the handler's takes records off the queue and hands them to a callback
(`RecordsOf`). The parent closes its own copy of the queue's write end as soon as
the worker has started: then the queue ends when the worker does, instead of
blocking whoever closes it after a kill.
"""

import contextlib
import json
import logging
import logging.handlers
from collections.abc import Callable
from typing import Any

from multiprocessing_logging import MultiProcessingHandler

from nerve.config.secrets import Redactor

QUIET_LIBRARIES = ("alembic", "sqlalchemy", "asyncio")
MAX_NAME_CHARS = 200
MAX_RECORD_CHARS = 64 * 1024
"""One record's text; more of it is cut off."""


class RecordsOf:
    """The parent's end: the log records of one worker generation."""

    def __init__(self, name: str, take: Callable[[logging.LogRecord], None]) -> None:
        """Receive records; `take` is called for each, in a thread of its own."""
        self._handler = MultiProcessingHandler(f"logs of {name}", sub_handler=_Handing(take))

    @property
    def queue(self) -> Any:
        """The multiprocessing queue to start the worker with."""
        return self._handler.queue

    def started(self) -> None:
        """Give the write end away: the worker has its own copy now."""
        self.queue._writer.close()  # noqa: SLF001  private; a test fails when it disappears

    def close(self) -> None:
        """Take what is left and end the thread; blocks for at most some hundred milliseconds."""
        with contextlib.suppress(OSError, ValueError):
            self._handler.close()


class _Handing(logging.Handler):
    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: Any) -> None:
        # What came over the queue: text of ours, or whatever a sense has put there itself.
        try:
            fields = json.loads(record)
            self._take(logging.makeLogRecord(fields))
        except (ValueError, TypeError, RecursionError):
            return


class _PlainQueueHandler(logging.handlers.QueueHandler):
    """Sends a record as text, with the few fields that are kept of it.

    The queue pickles what it is given, and `extra=` may hold any object: the parent would
    import the author's module to read it, or fail to.
    """

    def __init__(self, queue: Any, redactor: Redactor) -> None:
        super().__init__(queue)
        self._redactor = redactor

    def prepare(self, record: logging.LogRecord) -> Any:
        text = self.format(record)  # with the traceback, if it has one
        trigger_id = getattr(record, "trigger_id", None)
        fields = {
            # Masked here and not in the parent: a secret should not even travel.
            "name": self._redactor.text(record.name)[:MAX_NAME_CHARS],
            "levelno": record.levelno,
            "levelname": logging.getLevelName(record.levelno),
            "msg": self._redactor.text(text)[:MAX_RECORD_CHARS],
            "trigger_id": trigger_id if isinstance(trigger_id, int) else None,
        }
        return json.dumps(fields)


def send_records_to(queue: Any, redactor: Redactor) -> None:
    """In a worker: send all records of the root logger to the parent."""
    root = logging.getLogger()
    for inherited in list(root.handlers):
        root.removeHandler(inherited)
    handler = _PlainQueueHandler(queue, redactor)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # Alembic tells of every step of every start; what it did is in the worker's report.
    for library in QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    # A connection that a sense has closed or broken is told as that compute's error, once.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
