"""Frames at the parent's end of a worker's channel: what a worker gone mad could say.

The parent's own classes hold a real socketpair here, `Group` down to `Child`, and record what comes
of it with `Ledger`, `Recorder` and `Journal` into a real logs.db; a million real workers would take a
day, so the process at the other end is made up. It is ended by whatever is no message, and replaced, as a
real one is; in between it says what it likes.
"""

import asyncio
import os
import socket
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace

from nerve.clock import SystemClock
from nerve.config.models import SenseConfig
from nerve.config.secrets import Redactor
from nerve.reflex.causes import Cause, PendingTrigger
from nerve.sense import TriggerKind
from nerve.store.journal import Journal
from nerve.supervisor.child import Threads
from nerve.supervisor.group import Group
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.reserve import Blank
from nerve.supervisor.states import WorkerState
from nerve.wire.framing import encode
from nerve.wire.messages import WorkerSpec
from tests.fuzz.corpus import up
from tests.fuzz.figures import MAX_SILENCE_S, Figures
from tests.fuzz.mangling import Mangler

NOBODY = 2**31 - 1
"""A process id that no process can have."""
UNFRAMED_IN = 200
"""One of so many frames has no length before it."""
SETTLE_EVERY = 5_000
"""Frames, until what they have left to be recorded is waited for."""
DRAIN_S = 60.0


class Process:
    """What `Child` needs of a worker's process: it ends when told, by SIGKILL."""

    exitcode = -9

    def __init__(self) -> None:
        self.sentinel, self._exit = os.pipe()
        ours, self.channel = socket.socketpair()
        self.channel.setblocking(False)
        stdout, out = os.pipe()
        stderr, err = os.pipe()
        os.close(out)
        os.close(err)
        self.is_ended = False
        self.launched = SimpleNamespace(
            process=self, pid=NOBODY, channel=ours, stdout=stdout, stderr=stderr, server_pid=1
        )

    def end(self) -> None:
        if not self.is_ended:
            self.is_ended = True
            os.write(self._exit, b"\0" * 8)
            os.close(self._exit)
            self.channel.close()

    def join(self, timeout_s: float) -> None: ...

    def close(self) -> None:
        os.close(self.sentinel)


class Records:
    """In the place of the pipe for log records, over which nothing comes."""

    def __init__(self) -> None:
        connection = SimpleNamespace(fileno=lambda: 1)
        self.queue = SimpleNamespace(connection=connection)

    def listen(self, *_: object) -> None: ...

    started = take_rest = close = lambda _: None


class AtOnce(Executor):
    """A thread that has always finished; `instead` is done in place of what it was given."""

    def __init__(self, instead=None) -> None:
        self._instead = instead

    def submit(self, work, /, *arguments, **named):
        future = Future()
        future.set_result(self._instead() if self._instead else work(*arguments, **named))
        return future


class Stage:
    """A group, all that it records into, and the worker that it believes it has."""

    def __init__(self, folder: Path, figures: Figures) -> None:
        self.figures = figures
        self.trigger_id = 0
        self.process = None
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_error)
        self.journal = Journal(folder / "logs.db", full_sync=False)
        self.recorder = Recorder(
            self.journal,
            loop,
            committed=lambda *_: None,
            troubled=lambda error: figures.faults.append(f"the journal: {error}"),
            recovered=lambda: None,
            restored=lambda: None,
            filled=lambda: figures.count("fillings"),
        )
        self.ledger = Ledger(
            self.recorder, Redactor(()), boot="boot", clock=SystemClock(), ended=lambda *_: None
        )
        self.group = Group(
            "g",
            {"disk": SenseConfig()},
            self,
            self.ledger,
            spec_for=self._spec,
            clock=SystemClock(),
            threads=Threads(
                AtOnce(), AtOnce(lambda: self.process.end()), AtOnce(lambda: None), self
            ),
        )
        # Else the group would be given up after five deaths, and wait before the second.
        self.group.deaths._restarts = SimpleNamespace(
            came_up=lambda: None, delay_s=lambda *_, **__: 0.0, bereft_s=lambda _: 0.0
        )

    def _on_error(self, _, context) -> None:
        self.figures.faults.append(f"an exception on the loop: {context}"[:2_000])

    def _spec(self, generation, senses):
        return WorkerSpec(
            generation=generation, boot="boot", group="g", folder="", blobs="",
            senses=dict.fromkeys(senses, SenseConfig()), databases={},
        )  # fmt: skip

    def take(self) -> Blank:
        """Be the reserve: the next worker."""
        self.process = Process()
        self.figures.count("workers")
        return Blank(self.process.launched, Records())

    # --- the hub of the group -------------------------------------------------------

    def may_dispatch(self):
        return True

    def start_trigger(self, sense):
        self.trigger_id += 1
        return self.trigger_id, PendingTrigger(Cause(TriggerKind.INTERVAL))

    def rests_s(self, sense):
        return 0.0

    def came_up(self, name, ready):
        self.figures.count("ready")

    def gave_up(self, name):
        self.figures.faults.append("the group was given up")

    def _heard(self, *_, **__): ...

    failed = defer = strike = absolve = lost_fork_server = _heard


def strike(folder: Path, seed: int, frames: int) -> Figures:
    """Have workers say so many frames to a group; the memory is that of this process."""
    folder.mkdir()
    figures = Figures("parent's end of the channel")
    asyncio.run(_strike(folder, Mangler(seed), frames, figures))
    return figures


async def _strike(folder: Path, mangler: Mangler, frames: int, figures: Figures) -> None:
    stage = Stage(folder, figures)
    began = time.monotonic()
    figures.weigh("self", 0)
    stage.group.start()
    while figures.frames < frames and not figures.faults:
        if not await _is_attached(stage):
            break
        await _say(stage, mangler)
        figures.frames += 1
        if figures.frames % SETTLE_EVERY == 0:
            since = time.monotonic()
            if not await stage.recorder.drain(DRAIN_S):
                figures.faults.append("the journal does not keep up")
            figures.waited(since)
        figures.weigh("self", figures.frames / frames)
    await _end(stage)
    figures.conclude(began)


async def _is_attached(stage: Stage) -> bool:
    """Wait until there is a worker that has not ended; a fault where none comes."""
    give_up = time.monotonic() + MAX_SILENCE_S
    while stage.process is None or stage.process.is_ended or not stage.group.worker_pid:
        if time.monotonic() > give_up:
            stage.figures.faults.append(f"no worker comes: {stage.group.state}")
            return False
        await asyncio.sleep(0)
    return True


async def _say(stage: Stage, mangler: Mangler) -> None:
    """Have the worker say one frame, and the parent hear it."""
    group = stage.group
    corpus = up(group.generation, "boot", stage.trigger_id)
    if group.state is WorkerState.STARTING and mangler.below(10):
        body = b'{"type":"ready","generation":%d,"preloaded":true,"senses":[]}' % group.generation
    else:
        body = mangler.frame(corpus)
    if group.state is WorkerState.IDLE and not group._queue:
        group.enqueue("disk")
    sent = memoryview(body if mangler.below(UNFRAMED_IN) == 0 else encode(body))
    channel = stage.process.channel
    while sent and not stage.process.is_ended:
        try:
            sent = sent[channel.send(sent) :]
            while channel.recv(1 << 16):  # what the parent says, so that its buffer stays empty
                pass
        except BlockingIOError:
            pass
        except OSError:
            break
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _end(stage: Stage) -> None:
    stage.group.stop()
    if stage.process is not None:
        stage.process.end()
    await asyncio.wait_for(stage.group.stopped.wait(), DRAIN_S)
    await stage.recorder.drain(DRAIN_S)
    stage.recorder.close()
    counted = stage.journal.received()
    stage.figures.told["outboxes recorded"] = sum(len(epochs) for epochs in counted.values())
    stage.journal.close()
