"""One worker process, as the parent holds it.

Parent. Mechanism only: it starts the process, carries messages both ways on the
event loop, passes on what is printed and logged, and tells of the exit; what any
of it means is for `group` to decide. A child is one generation and is never used
again: after its exit everything of it is closed, so that nothing late can arrive.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from nerve.clock import Clock
from nerve.config import Redactor
from nerve.errors import WireError
from nerve.logs import RecordsOf
from nerve.process.launch import Launched, launch
from nerve.process.tree import kill_group, kill_tree
from nerve.supervisor.output import OutputLines
from nerve.supervisor.rate import Rate
from nerve.wire.channel import Channel, ChannelClosed
from nerve.wire.messages import Message, Up, WorkerSpec, dump, parse_up

ENTRY = "nerve.worker.main:run"
LAUNCH_TIMEOUT_S = 30.0
"""For the fork server to answer; its first start includes its imports."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended; `signal` and `code` as subprocess has them, None when unknown."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "ended in an unknown way"
        return f"was ended by signal {-self.code}" if self.code < 0 else f"exited with {self.code}"


@dataclass(frozen=True, slots=True)
class ChildEvents:
    """What a child calls, always on the loop.

    Attributes:
        message: a valid message arrived.
        broken: something arrived that is no message; the child is to be ended.
        printed: lines on `stdout` or `stderr`, and how many were left out before.
        record: a log record of the worker's.
        records_left_out: how many of them were over the rate.
        exited: the process is gone and everything it said has been passed on.
    """

    message: Callable[[Up], None]
    broken: Callable[[WireError], None]
    printed: Callable[[str, list[str], int], None]
    record: Callable[[logging.LogRecord], None]
    records_left_out: Callable[[int], None]
    exited: Callable[[Exit], None]


class Child:
    """A running worker."""

    def __init__(
        self,
        spec: WorkerSpec,
        events: ChildEvents,
        *,
        clock: Clock,
        threads: Executor,
    ) -> None:
        self.generation = spec.generation
        self.pid = 0
        self._spec = spec
        self._redact = Redactor(spec.masked).text
        self._events = events
        self._clock = clock
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self.is_gone = False
        self._rate = Rate(clock.monotonic())

    async def start(self) -> None:
        """Start the process; raises OSError, EOFError or TimeoutError when that fails."""
        name = f"nerve: {self._spec.group}"
        records = RecordsOf(name, self._on_record)
        spec = self._spec.model_dump_json(by_alias=True).encode()
        launching = self._loop.run_in_executor(
            self._threads, lambda: launch(name, ENTRY, spec, log_queue=records.queue)
        )
        try:
            launched = await asyncio.wait_for(asyncio.shield(launching), LAUNCH_TIMEOUT_S)
        except BaseException:
            launching.add_done_callback(_discard)
            self._threads.submit(records.close)
            raise
        records.started()
        self._attach(launched, records)

    def _attach(self, launched: Launched, records: RecordsOf) -> None:
        self.pid = launched.pid
        self._launched = launched
        self._records = records
        self._channel = Channel(launched.channel)
        now = self._clock.monotonic()
        self._outputs = {
            "stdout": OutputLines(launched.stdout, now, self._redact),
            "stderr": OutputLines(launched.stderr, now, self._redact),
        }
        self._loop.add_reader(self._channel, self._on_readable)
        self._loop.add_reader(launched.process.sentinel, self._on_sentinel)
        for stream, output in self._outputs.items():
            self._loop.add_reader(output.descriptor, self._on_output, stream)

    def send(self, message: Message) -> None:
        """Send a message; after ChannelClosed or ChannelOverflow the child is to be ended."""
        if self.is_gone:
            raise ChannelClosed("the worker has exited")
        if self._channel.send(dump(message)):
            self._loop.add_writer(self._channel, self._on_writable)

    def kill(self) -> None:
        """SIGKILL the worker and all below it; `exited` follows."""
        if not self.is_gone:
            # In a thread: the tree may be large, and looking through /proc takes milliseconds.
            self._threads.submit(kill_tree, self.pid)

    def abandon(self) -> None:
        """Hear nothing more of it: it was killed and does not go."""
        self.is_gone = True
        self._loop.remove_reader(self._launched.process.sentinel)
        self._take_the_rest()
        self._close()

    def pause(self, *, paused: bool) -> None:
        """Stop, or go on, reading what the worker says; meanwhile its own sends wait."""
        if self.is_gone:
            return
        if paused:
            self._loop.remove_reader(self._channel)
        else:
            self._loop.add_reader(self._channel, self._on_readable)

    def _on_readable(self) -> bool:
        """Pass on one read's messages; False when nothing more will come."""
        try:
            for frame in self._channel.receive():
                for stream in self._outputs:
                    self._on_output(stream)  # printed before it was said, so by the same compute
                self._events.message(parse_up(frame))
        except ChannelClosed:
            self._loop.remove_reader(self._channel)
            return False
        except WireError as error:
            self._loop.remove_reader(self._channel)
            self._events.broken(error)
            return False
        return True

    def _on_writable(self) -> None:
        try:
            if not self._channel.flush():
                self._loop.remove_writer(self._channel)
        except ChannelClosed:  # the exit is on its way and tells more
            self._loop.remove_writer(self._channel)

    def _on_output(self, stream: str) -> None:
        output = self._outputs[stream]
        lines, more = output.read(self._clock.monotonic())
        left_out = output.rate.take_left_out()
        if lines or left_out:
            self._events.printed(stream, lines, left_out)
        if not more:
            self._loop.remove_reader(output.descriptor)

    def _on_record(self, record: logging.LogRecord) -> None:
        # In the handler's thread, and the rate is kept there: a flood must not reach the loop.
        passes = self._rate.allow(1, self._clock.monotonic())
        left_out = self._rate.take_left_out()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if left_out:
                self._loop.call_soon_threadsafe(self._events.records_left_out, left_out)
            if passes:
                self._loop.call_soon_threadsafe(self._events.record, record)

    def _on_sentinel(self) -> None:
        """The process is gone: take what it still had said, close everything, tell."""
        self._loop.remove_reader(self._launched.process.sentinel)
        self.is_gone = True
        self._take_the_rest()
        self._launched.process.join(0)
        code = self._launched.process.exitcode
        self._launched.process.close()
        self._close()
        # What it left behind in its own process group; whatever set itself apart from that
        # is with the fork server now, and ends with it.
        kill_group(self.pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # ours to reap, if the fork server died with it
        # 255 is also what the standard library reports when the fork server died with it.
        self._events.exited(Exit(code))

    def _close(self) -> None:
        self._channel.close()
        for output in self._outputs.values():
            output.close()
        # Blocks while its thread takes the last records, so not on the loop.
        self._threads.submit(self._records.close)

    def _take_the_rest(self) -> None:
        # The dead write no more, so this ends: at most what the socket and the pipes held.
        waiting = self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        while waiting and self._channel.is_readable() and self._on_readable():
            pass
        for stream, output in self._outputs.items():
            self._loop.remove_reader(output.descriptor)
            lines, left_out = output.read_rest(self._clock.monotonic())
            if lines or left_out:
                self._events.printed(stream, lines, left_out)
        if left_out := self._rate.take_left_out(at_the_end=True):
            self._events.records_left_out(left_out)


def _discard(launching: asyncio.Future[Launched]) -> None:
    """End a worker that was forked after nobody waited for it any more."""
    if launching.cancelled() or launching.exception() is not None:
        return
    launched = launching.result()
    kill_tree(launched.pid)
    launched.channel.close()
    os.close(launched.stdout)
    os.close(launched.stderr)
