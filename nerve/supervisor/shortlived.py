"""A worker for one errand: to describe senses, or to run one in a scratch directory.

Commands use it (`check`, `describe`, `test`), and a reload in a thread of a running nerve, whose
fork server is there already; it blocks and needs no event loop. The
same worker code runs as under `nerve run`, so what passes here passes there. Every
wait has a deadline; when it passes, or on any way out of the `with`, the worker and
all it started are killed.
"""

import logging
import os
import secrets
import select
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

from nerve.config import Loaded
from nerve.config.models import SenseConfig
from nerve.errors import NerveError
from nerve.logs import RecordsOf
from nerve.process.launch import is_gone, launch
from nerve.process.slate import read_stacks
from nerve.process.stack import readable, stack_of
from nerve.process.tree import kill_tree
from nerve.supervisor.child import ENTRY
from nerve.supervisor.inquest import Exit
from nerve.supervisor.preparation import workers_prepared
from nerve.supervisor.specification import worker_spec
from nerve.wire.channel import READ_BYTES, hand_over
from nerve.wire.framing import FrameDecoder, encode
from nerve.wire.messages import (
    DescribedMessage,
    DescribeMessage,
    Fault,
    Up,
    WorkerSpec,
    parse_up,
)
from nerve.wire.model import Message, dump

DESCRIBE_TIMEOUT_S = 60.0
"""For the fork server's first start, and the import of one sense."""
EXIT_TIMEOUT_S = 5.0
MAX_LAST_WORDS_CHARS = 500
MAX_PRINTED_BYTES = 256 * 1024
MAX_LAST_READS = 8
"""Of READ_BYTES, of what was printed up to a moment; a pipe holds no more than one of them."""


class WorkerDied(NerveError):
    """It ended before it had answered."""


class WorkerSilent(NerveError):
    """It did not answer in time."""


class ShortLived:
    """A worker that lives inside a `with`.

    Attributes:
        records: its log records so far.
    """

    def __init__(self, spec: WorkerSpec, loaded: Loaded, *, is_prepared: bool = False) -> None:
        """`is_prepared` where workers are being started here already, as under `nerve run`."""
        self._prepared = nullcontext() if is_prepared else workers_prepared(loaded, os.environ)
        self.records: list[logging.LogRecord] = []
        self._spec = spec
        self._loaded = loaded
        self._decoder = FrameDecoder()
        self._frames: Iterator[bytes] = iter(())
        self._printed = bytearray()
        self._reading = threading.Lock()

    def __enter__(self) -> Self:
        with self._prepared:
            self._records_of = RecordsOf(self._spec.group, self.records.append)
            try:
                self._launched = launch(f"nerve: {self._spec.group}", ENTRY)
            except BaseException:
                self._records_of.started()
                self._records_of.close()
                raise
        self._read_outputs()
        try:
            channel = self._launched.channel
            hand_over(channel, self._records_of.queue.connection.fileno())
            channel.sendall(encode(self._spec.model_dump_json(by_alias=True).encode()))
        except BaseException:  # it may be dead already; nothing of it must be left in a parent
            self._records_of.started()
            self._end()
            raise
        self._records_of.started()
        return self

    def _read_outputs(self) -> None:
        """Read all the time: a sense that prints a lot must not block on a full pipe."""
        self._outputs = {self._launched.stdout, self._launched.stderr}
        for descriptor in self._outputs:
            os.set_blocking(descriptor, False)
        self._readers = [
            threading.Thread(target=self._read_output, args=(descriptor,), daemon=True)
            for descriptor in self._outputs
        ]
        for reader in self._readers:
            reader.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        kill_tree(self._launched.pid)
        self._launched.process.join(EXIT_TIMEOUT_S)
        is_gone(self._launched.pid)
        self._launched.channel.close()
        for reader in self._readers:
            reader.join(1.0)
        self._records_of.close()

    @property
    def printed(self) -> str:
        """What it printed so far, both streams as they came, secrets masked."""
        for descriptor in tuple(self._outputs):
            for _ in range(MAX_LAST_READS):
                if not self._take_output(descriptor):
                    break
        return self._loaded.redactor.text(self._printed.decode(errors="replace"))

    def take_records(self) -> list[logging.LogRecord]:
        """Return what it has logged since this was last asked, up to now."""
        self._records_of.take_waiting()
        taken = list(self.records)
        del self.records[: len(taken)]
        return taken

    def send(self, message: Message) -> None:
        """Send a message without waiting for the answer; raises WorkerDied."""
        try:
            self._launched.channel.sendall(encode(dump(message)))
        except OSError as error:
            raise self._death() from error

    def receive(self, timeout_s: float) -> Up:
        """Wait for its next message.

        Raises WorkerDied, WorkerSilent when `timeout_s` pass, MessageInvalid.
        """
        give_up = time.monotonic() + timeout_s
        while (frame := next(self._frames, None)) is None:
            self._launched.channel.settimeout(max(0.001, give_up - time.monotonic()))
            try:
                received = self._launched.channel.recv(READ_BYTES)
            except TimeoutError as error:
                raise self._silence(timeout_s) from error
            except OSError as error:
                raise self._death() from error
            if not received:
                raise self._death()
            self._frames = self._decoder.feed(received)
        return parse_up(frame)

    def request(self, message: Message, timeout_s: float) -> Up:
        """Send a message and wait for the next one that comes."""
        self.send(message)
        return self.receive(timeout_s)

    def _silence(self, timeout_s: float) -> WorkerSilent:
        """Say that it hangs, and where, if it has a slate to write that on."""
        names = ", ".join(self._spec.senses)
        slate, folder = self._spec.slate, self._spec.folder
        stack = stack_of(self._launched.pid, Path(slate), folder) if slate else ""
        return WorkerSilent(
            f"the worker of {names} did not answer within {timeout_s:g} s"
            + (f"; it hangs here:\n{stack}" if stack else ""),
            hint="" if stack else "something in it hangs: while it is imported, or in a migration",
        )

    def _death(self) -> WorkerDied:
        """Say how it ended, the last that it printed, and where a fatal signal met it."""
        self._launched.process.join(EXIT_TIMEOUT_S)
        names = ", ".join(self._spec.senses)
        printed = self.printed.strip()[-MAX_LAST_WORDS_CHARS:]
        last_words = f"its last words: {printed}" if printed else ""
        slate, folder = self._spec.slate, self._spec.folder
        stack = readable(read_stacks(Path(slate)), folder) if slate else ""
        return WorkerDied(
            f"the worker of {names} {Exit(self._launched.process.exitcode)}"
            + (f"; it was here:\n{stack}" if stack else ""),
            hint=last_words,
        )

    def _read_output(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while descriptor in self._outputs:
            poll.poll()  # without a bound: the end of the worker is the end of the pipe
            self._take_output(descriptor)

    def _take_output(self, descriptor: int) -> bool:
        """Read once what is there; False when that is nothing."""
        with self._reading:
            if descriptor not in self._outputs:
                return False
            chunk = b""
            try:
                chunk = os.read(descriptor, READ_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                pass  # as good as its end
            self._printed += chunk[: max(0, MAX_PRINTED_BYTES - len(self._printed))]
            if not chunk:
                self._outputs.discard(descriptor)
                os.close(descriptor)
            return bool(chunk)


def describe_senses(loaded: Loaded, names: Iterable[str]) -> list[DescribedMessage]:
    """Load each sense in a worker of its own and tell what is known of it.

    A sense that hangs or ends its worker is told as a fault of that sense alone.
    """
    return [describe_sense(loaded, name) for name in names]


def describe_sense(
    loaded: Loaded,
    name: str,
    timeout_s: float = DESCRIBE_TIMEOUT_S,
    *,
    environ: Mapping[str, str] | None = None,
) -> DescribedMessage:
    """Do so for one sense, with another patience.

    With `environ` under a nerve that runs and has prepared workers: where the variables are taken
    from that the sense asks for.
    """
    senses = {name: loaded.config.senses[name]}
    spec = short_spec(loaded, senses, loaded.state_dir, environ=environ)
    spec = spec.model_copy(update={"open_databases": False})
    try:
        with ShortLived(spec, loaded, is_prepared=environ is not None) as worker:
            answer = worker.request(DescribeMessage(sense=name), timeout_s)
    except (NerveError, OSError, EOFError) as error:  # the last where the fork server has ended
        hint = error.hint if isinstance(error, NerveError) else "try it again"
        answer = None
        message = str(error) or "its worker could not be started"
        fault = Fault(kind="import_died", message=message, hint=hint)
    if isinstance(answer, DescribedMessage):
        return answer
    if answer is not None:
        fault = getattr(answer, "fault", Fault(kind="import_died", message="no answer"))
    return DescribedMessage(generation=0, sense=name, fault=fault)


def short_spec(
    loaded: Loaded,
    senses: dict[str, SenseConfig],
    own_state: Path,
    *,
    blobs: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> WorkerSpec:
    """Specify a worker for some senses whose own databases lie flat in `own_state`.

    All other senses are peers, with their databases in the real state directory.
    """

    def database_of(name: str) -> Path:
        return (own_state if name in senses else loaded.state_dir / "senses") / f"{name}.db"

    return worker_spec(
        loaded,
        next(iter(senses.values())).group,
        senses,
        boot=secrets.token_hex(6),
        generation=0,
        blobs=blobs or loaded.state_dir / "blobs",
        database_of=database_of,
        environ=os.environ if environ is None else environ,
    )
