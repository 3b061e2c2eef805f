"""All that a worker says apart from its messages: what it prints and what it logs.

Parent. Lines come on the loop, log records in a thread of their own; both are passed on
on the loop, and when the worker is gone the rest of both at once, so that nothing
arrives after its exit has been told.
"""

import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Callable

from nerve.clock import Clock
from nerve.config import Redactor
from nerve.logs import Rate, RecordEvents
from nerve.supervisor.output import OutputLines, OutputStream
from nerve.supervisor.reserve import Blank
from nerve.wire.messages import WorkerSpec


class Hearing:
    """The output and the log records of one worker generation."""

    def __init__(
        self,
        spec: WorkerSpec,
        blank: Blank,
        *,
        printed: Callable[[str, list[str], int], None],
        records: RecordEvents,
        clock: Clock,
    ) -> None:
        """`printed` and what `records` names are called on the loop."""
        self._lines_per_second = spec.limits.output_lines_per_second
        self._redactor = Redactor(spec.masked)
        self._printed = printed
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._heard: deque[Callable[[], None]] = deque()
        self._records = blank.records
        self._records.listen(
            RecordEvents(
                record=lambda record: self._hear(lambda: records.record(record)),
                left_out=lambda count: self._hear(lambda: records.left_out(count)),
                broken=lambda why: self._hear(lambda: records.broken(why)),
            ),
            self._lines_per_second,
        )
        self._outputs = [
            self._output("stdout", blank.launched.stdout),
            self._output("stderr", blank.launched.stderr),
        ]
        self._written = select.poll()
        for output in self._outputs:
            self._written.register(output.descriptor, select.POLLIN)

    @property
    def log_descriptor(self) -> int:
        """What to hand over to the worker, for its log records."""
        return self._records.queue.connection.fileno()

    def begin(self) -> None:
        """The worker has its end of the pipe; when it ends, so does the pipe."""
        self._records.started()

    def look(self, *, at_the_end: bool) -> None:
        """Pass on what has been printed so far; at the end of a compute, what it lost as well."""
        # Nearly always nothing has been: one system call finds that out for both.
        written = dict(self._written.poll(0))
        for output in self._outputs:
            if output.descriptor in written or output.has_left_out:
                output.look(at_the_end=at_the_end)

    def take_rest(self) -> None:
        """Pass on what a dead worker has left; nothing comes after it."""
        for output in self._outputs:
            output.take_rest()
            output.close()
        self._outputs = []
        self._records.take_rest()
        self._tell_heard()

    def mask(self, secrets: tuple[str, ...]) -> None:
        """Mask these from now on, and no others."""
        self._redactor.become(secrets)

    def close(self) -> None:
        """End the records' thread; blocks for at most some hundred milliseconds."""
        self._records.close()

    def _output(self, stream: str, descriptor: int) -> OutputStream:
        rate = Rate(self._clock.monotonic(), self._lines_per_second)
        return OutputStream(
            OutputLines(descriptor, rate, self._redactor.text),
            lambda lines, left_out: self._printed(stream, lines, left_out),
            clock=self._clock,
            loop=self._loop,
        )

    def _hear(self, tell: Callable[[], None]) -> None:
        # In the records' thread, which keeps to the rate; at the exit in the loop's own.
        self._heard.append(tell)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell_heard)

    def _tell_heard(self) -> None:
        while self._heard:
            self._heard.popleft()()
