"""One worker process, as the parent holds it.

Parent. Mechanism only: it starts the process, carries messages both ways on the
event loop, passes on what is printed and logged, and tells of the exit; what any
of it means is for `group` to decide. A child is one generation and is never used
again: after its exit everything of it is closed, so that nothing late can arrive.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sys
import termios
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from nerve.clock import Clock
from nerve.errors import WireError
from nerve.logs import RecordEvents
from nerve.process.cgroup import Cgroup
from nerve.process.kernel import is_alive
from nerve.process.launch import (
    end_adopted,
    end_fork_server,
    end_strays,
    is_gone,
)
from nerve.process.slate import create
from nerve.process.stack import stack_of
from nerve.process.tree import kill_group, kill_tree
from nerve.supervisor.hearing import Hearing
from nerve.supervisor.inquest import Exit
from nerve.supervisor.reserve import Blank, Reserve
from nerve.wire.channel import Channel, ChannelClosed
from nerve.wire.messages import (
    FailedMessage,
    NoSignalMessage,
    SignalMessage,
    Up,
    WorkerSpec,
    parse_up,
)
from nerve.wire.model import Message, dump

ENTRY = "nerve.worker.main:run"
"""By text: naming the function would import what only workers may."""
ENTRY_IN_RESERVE = "nerve.worker.main:run_in_reserve"
LAUNCH_TIMEOUT_S = 30.0
"""For the fork server to answer; its first start includes its imports."""
OUTCOMES = (SignalMessage, NoSignalMessage, FailedMessage)


@dataclass(frozen=True, slots=True)
class ChildEvents:
    """What a child calls, always on the loop.

    Attributes:
        message: a valid message arrived.
        broken: something arrived that is no message; the child is to be ended.
        printed: lines on `stdout` or `stderr`, and how many were left out before.
        record: a log record of the worker's.
        records_left_out: how many of them were over the rate.
        records_broken: no more of them come: something else was written into their pipe.
        exited: the process is gone and everything it said has been passed on.
        left_behind: how many processes it had left behind, which are killed by now.
    """

    message: Callable[[Up], None]
    broken: Callable[[WireError], None]
    printed: Callable[[str, list[str], int], None]
    record: Callable[[logging.LogRecord], None]
    records_left_out: Callable[[int], None]
    exited: Callable[[Exit], None]
    left_behind: Callable[[int], None]
    records_broken: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Threads:
    """Where blocking work is done.

    Apart, because a fork server that does not answer holds whoever starts a worker, and
    a worker must be killed all the same.

    Attributes:
        starting, ending: for launches and for kills.
        sweeping: for what is left to do after a death, which may wait for a launch.
        reserve: where workers come from.
    """

    starting: Executor
    ending: Executor
    sweeping: Executor
    reserve: Reserve


class Child:
    """A running worker."""

    def __init__(
        self,
        spec: WorkerSpec,
        events: ChildEvents,
        *,
        clock: Clock,
        threads: Threads,
    ) -> None:
        self.generation = spec.generation
        self.pid = 0
        self.slate = Path(spec.slate)
        self._cgroup = Cgroup(Path(spec.cgroup)) if spec.cgroup else None
        self._spec = spec
        self._events = events
        self._clock = clock
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self.is_gone = False
        self.has_slate = bool(spec.slate)
        self._is_paused = False
        self._has_ended = False

    async def start(self) -> None:
        """Start the process; raises OSError, EOFError or TimeoutError when that fails."""
        launching = self._loop.run_in_executor(self._threads.starting, self._prepare)
        try:
            blank = await asyncio.wait_for(asyncio.shield(launching), LAUNCH_TIMEOUT_S)
        except BaseException as error:
            launching.add_done_callback(self._discard)
            if isinstance(error, TimeoutError):
                # It holds the starter thread, and all who wait for one, until it is gone. In a
                # thread of its own: nothing may stand before this.
                threading.Thread(target=end_fork_server, daemon=True).start()
            raise
        self._attach(blank)

    def _discard(self, launching: asyncio.Future[Blank]) -> None:
        """End a worker that was forked after nobody waited for it any more."""
        if not launching.cancelled() and launching.exception() is None:
            self._threads.ending.submit(launching.result().discard)

    def _prepare(self) -> Blank:
        """In a thread: the files may be on a slow disk, and the fork server may be slow."""
        try:
            create(self.slate)
        except OSError:  # a full disk, say; then one knows less of its end
            self._spec = self._spec.model_copy(update={"slate": ""})
            self.has_slate = False  # what stands there now is an earlier worker's
        if self._cgroup is not None:
            with contextlib.suppress(OSError):
                self._cgroup.create()
        return self._threads.reserve.take()

    def _attach(self, blank: Blank) -> None:
        self._launched = blank.launched
        self.pid = blank.launched.pid
        self._channel = Channel(blank.launched.channel)
        events = self._events
        self._hearing = Hearing(
            self._spec,
            blank,
            printed=events.printed,
            records=RecordEvents(events.record, events.records_left_out, events.records_broken),
            clock=self._clock,
        )
        if not self._is_paused:
            self._loop.add_reader(self._channel, self._on_readable)
        self._loop.add_reader(self._launched.process.sentinel, self._on_sentinel)
        with contextlib.suppress(ChannelClosed):  # dead already; its exit is on its way
            self._channel.hand_over(self._hearing.log_descriptor)
            # Of a large group it is more than a socket holds, and the rest goes when that is read.
            self._send(self._spec.model_dump_json(by_alias=True).encode())
        self._hearing.begin()

    def send(self, message: Message) -> None:
        """Send a message; after ChannelClosed or ChannelOverflow the child is to be ended."""
        if self.is_gone:
            raise ChannelClosed("the worker has exited")
        self._send(dump(message))

    def mask(self, secrets: tuple[str, ...]) -> None:
        """From now on mask these in what it prints."""
        if not self.is_gone:
            self._hearing.mask(secrets)

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; False before its exit has been noticed, too."""
        return not self.is_gone and is_alive(self.pid)

    def kill(self) -> None:
        """SIGKILL the worker and all below it; `exited` follows."""
        if not self.is_gone:
            # In a thread: the tree may be large, and looking through /proc takes milliseconds.
            self._threads.ending.submit(self._end)

    def kill_with_stack(self, told: Callable[[str], None]) -> None:
        """Call `told` with the stacks of the worker, on the loop, and then kill it."""
        if not self.is_gone:
            self._threads.ending.submit(self._dump_and_end, told)

    def _dump_and_end(self, told: Callable[[str], None]) -> None:
        if self.is_gone:
            return
        stack = stack_of(self.pid, self.slate, self._spec.folder)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(told, stack)
        self._end()

    def _end(self) -> None:
        if self.is_gone:  # it may have been so while this waited for a thread; its number is free
            return
        if self._cgroup is not None:
            self._cgroup.kill()
        kill_tree(self.pid)

    def abandon(self) -> None:
        """Hear nothing more of it: it was killed and does not go."""
        self.is_gone = True
        self._loop.remove_reader(self._launched.process.sentinel)
        self._take_the_rest()
        self._close()
        self._threads.sweeping.submit(self._end_strays, bereft=False)

    def pause(self, *, paused: bool) -> None:
        """Stop, or go on, reading what the worker says; meanwhile its own sends wait."""
        self._is_paused = paused
        if self.is_gone or self._has_ended or not self.pid:
            return
        if paused:
            self._loop.remove_reader(self._channel)
        else:
            self._loop.add_reader(self._channel, self._on_readable)

    def _send(self, body: bytes) -> None:
        if self._channel.send(body):
            self._loop.add_writer(self._channel, self._on_writable)

    def _on_readable(self) -> bool:
        """Pass on one read's messages; False when nothing more will come."""
        try:
            for frame in self._channel.receive():
                message = parse_up(frame)
                # Printed before it was said, so by the same compute.
                self._hearing.look(at_the_end=isinstance(message, OUTCOMES))
                self._events.message(message)
        except ChannelClosed:
            self._end_reading()
            return False
        except WireError as error:
            self._end_reading()
            self._events.broken(error)
            return False
        return True

    def _end_reading(self) -> None:
        self._has_ended = True
        self._loop.remove_reader(self._channel)

    def _on_writable(self) -> None:
        try:
            if not self._channel.flush():
                self._loop.remove_writer(self._channel)
        except ChannelClosed:  # the exit is on its way and tells more
            self._loop.remove_writer(self._channel)

    def _on_sentinel(self) -> None:
        """The process is gone: take what it still had said, close everything, tell."""
        self._loop.remove_reader(self._launched.process.sentinel)
        self.is_gone = True
        self._take_the_rest()
        # What multiprocessing takes for exit code 255: the pipe ended without one, because the fork
        # server that would have written it is gone.
        bereft = not _bytes_waiting(self._launched.process.sentinel)
        self._launched.process.join(0)
        code = self._launched.process.exitcode
        self._launched.process.close()
        self._close()
        kill_group(self.pid)  # the greater part of what it may have left behind, at once
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # ours to reap, if the fork server died with it
        ended = Exit(None, self._launched.server_pid) if bereft else Exit(code)
        self._events.exited(ended)
        self._threads.sweeping.submit(self._end_strays, bereft=bereft)

    def _end_strays(self, *, bereft: bool) -> None:
        is_gone(self.pid)
        if self._cgroup is not None:
            self._cgroup.kill()
        # Without a fork server the strays are this process's.
        killed = end_adopted() if bereft else end_strays()
        if self._cgroup is not None:
            self._cgroup.remove()
        if killed:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._events.left_behind, killed)

    def _close(self) -> None:
        self._channel.close()
        # Blocks while its thread takes the last records, so not on the loop.
        self._threads.sweeping.submit(self._hearing.close)

    def _take_the_rest(self) -> None:
        # The dead write no more, so this ends: at most what the socket and the pipes held.
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        while not self._has_ended and self._channel.is_readable() and self._on_readable():
            pass
        self._hearing.take_rest()


def _bytes_waiting(descriptor: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
