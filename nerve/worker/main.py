"""The life of a worker, from the fork to its exit.

Worker, main thread; entered through `nerve.process.launch`. The boot order is
fixed: isolate, then for each sense load, open its database and migrate, then
`ready`, then whatever the outboxes still hold. After that one message at a time:

    compute      -> signal | no_signal | failed, and then old rows are deleted
    acknowledge  -> (nothing; the rows go with a later commit)
    update       -> (nothing; a reload has changed the peers or the secrets)
    describe     -> described
    stop         -> checkpoint, close, stopped, exit

A message that cannot be read or acted on is answered with `failed` and the loop
goes on. A parent that is gone ends the worker.
"""

import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from nerve.clock import SystemClock
from nerve.config.secrets import Redactor
from nerve.errors import MessageInvalid
from nerve.logs import RecordPipe, send_records_to
from nerve.process import guard
from nerve.process.apart import set_apart
from nerve.process.kernel import name_process
from nerve.process.slate import Phase
from nerve.store.blobs import BlobStore
from nerve.wire.channel import LOST_CHANNEL_EXIT, BlockingChannel, ChannelClosed
from nerve.wire.messages import (
    Acknowledged,
    AcknowledgeMessage,
    BootFailedMessage,
    ComputeMessage,
    DescribedMessage,
    DescribeMessage,
    Down,
    FailedMessage,
    Fault,
    PlacedMessage,
    PlaceMessage,
    ReadyMessage,
    StopMessage,
    StoppedMessage,
    UpdateMessage,
    UpMessage,
    WorkerSpec,
    parse_down,
)
from nerve.wire.model import dump
from nerve.worker import limits
from nerve.worker.arrival import Arrival
from nerve.worker.deadline import Deadline
from nerve.worker.describe import describe
from nerve.worker.executor import Executor
from nerve.worker.isolation import settle
from nerve.worker.orphans import reap_orphans, set_aside
from nerve.worker.rehearsal import rehearse
from nerve.worker.reins import Reins
from nerve.worker.traces import describe_exception, writable

SPARE_NAME = "nerve: spare"


def run(sock: socket.socket) -> None:
    """Wait for a specification, then be that worker until told to stop.

    A parent that is gone ends it.
    """
    _run(sock)


def run_in_reserve(sock: socket.socket) -> None:
    """The same for a worker whose specification will be long in coming."""
    _run(sock, meanwhile=rehearse)


def _run(sock: socket.socket, meanwhile: Callable[[], None] | None = None) -> None:
    channel = BlockingChannel(sock)
    set_apart()
    name_process(SPARE_NAME)
    reins = Reins()
    if meanwhile is not None and not channel.is_readable():
        meanwhile()
    try:
        records = channel.take_over()
        spec = WorkerSpec.model_validate_json(channel.receive())
        _serve(spec, channel, records, reins)
    except ChannelClosed:
        os._exit(
            LOST_CHANNEL_EXIT
        )  # nobody is there to be told, and what is committed is in the outbox


def _serve(spec: WorkerSpec, channel: BlockingChannel, records: int, reins: Reins) -> None:
    redactor = Redactor(spec.masked)
    try:
        settle(spec)
        reins.take_up(spec)
        limits.apply(spec.limits)
        pipe = RecordPipe(Connection(records), spec.limits.output_lines_per_second)
        send_records_to(pipe, redactor)
        worker = Worker(spec, channel, redactor, reins)
        worker.boot()
        worker.serve()
    except ChannelClosed:
        raise
    except Exception as error:  # noqa: BLE001  the entry of the process: the parent must learn why
        fault = describe_exception(error, redactor, spec.folder)
        channel.send(dump(BootFailedMessage(generation=spec.generation, fault=fault)))
        sys.exit(1)


class Worker:
    """One group's senses and the loop that runs them."""

    def __init__(
        self, spec: WorkerSpec, channel: BlockingChannel, redactor: Redactor, reins: Reins
    ) -> None:
        self._spec = spec
        self._reins = reins
        self._channel = channel
        self._redactor = redactor
        self._deadline = Deadline(SystemClock())
        self._databases = {sense: Path(path) for sense, path in spec.databases.items()}
        self._arrival = Arrival(spec, self._databases, redactor, reins, self._deadline)
        self._residents, self._faults = self._arrival.residents, self._arrival.faults
        self._executor = Executor(
            generation=spec.generation,
            boot=spec.boot,
            clock=SystemClock(),
            deadline=self._deadline,
            blobs=BlobStore(Path(spec.blobs)),
            redactor=redactor,
            limits=spec.limits,
            folder=spec.folder,
        )

    def boot(self) -> None:
        """Bring up every sense of the group, and say how each came up."""
        if not self._spec.open_databases:
            return
        with ExitStack() as readers:
            reports = tuple(self._arrival.bring_up(name, readers) for name in self._spec.senses)
            set_aside()
            self._reins.write(Phase.IDLE)
            preloaded = guard.guarded_by(os.getppid())
            self._send(
                ReadyMessage(generation=self._spec.generation, preloaded=preloaded, senses=reports)
            )
            for teller in self._arrival.tellers:
                for signal in teller.signals():
                    self._send(signal)

    def serve(self) -> None:
        """Answer messages until `stop`."""
        while True:
            frame = self._channel.receive()
            try:
                message = parse_down(frame)
            except MessageInvalid as error:
                self._refuse("message_invalid", str(error))
                continue
            if isinstance(message, StopMessage):
                return self._stop()
            self._act(message)

    def _act(self, message: Down) -> None:
        match message:
            case ComputeMessage():
                self._take_acknowledged(message.acknowledged)
                self._compute(message)
            case AcknowledgeMessage():
                self._take_acknowledged(message.acknowledged)
            case UpdateMessage():
                self._update(message)
            case PlaceMessage():
                self._put_back(message)
            case DescribeMessage():
                self._describe(message.sense)

    def _take_acknowledged(self, acknowledged: Acknowledged) -> None:
        for sense, (epoch, seq) in acknowledged.items():
            if resident := self._residents.get(sense):
                resident.outbox.acknowledge(epoch, seq)

    def _update(self, message: UpdateMessage) -> None:
        # All senses of this worker share the one and the other.
        self._databases.clear()
        self._databases.update({sense: Path(path) for sense, path in message.databases.items()})
        self._redactor.become(message.masked)
        for sense, grace_period_ms in message.grace_period_ms.items():
            if resident := self._residents.get(sense):
                changed = {"grace_period_ms": grace_period_ms}
                resident.config = resident.config.model_copy(update=changed)

    def _compute(self, message: ComputeMessage) -> None:
        resident = self._residents.get(message.sense)
        if resident is None:
            fault = self._faults.get(message.sense)
            why = fault.message if fault else "this worker has no such sense"
            self._refuse("unavailable", why, message)
            return
        self._reins.begin(resident.config, message)
        outcome = self._executor.execute(resident, message)
        self._channel.send(outcome.message)
        # Not before: a sense that has closed the channel answers for what follows.
        self._reins.end(message.sense)
        reap_orphans()
        if not outcome.is_failure:  # which has added no rows
            resident.prune(self._channel.is_readable)

    def _put_back(self, message: PlaceMessage) -> None:
        fault = self._faults.get(message.sense)
        try:
            if fault is None:
                self._residents[message.sense].put_back(message.source, message.position)
        except Exception as error:  # noqa: BLE001  whatever the database says, the worker goes on
            fault = describe_exception(error, self._redactor)
        self._send(
            PlacedMessage(
                generation=self._spec.generation,
                sense=message.sense,
                source=message.source,
                position=message.position,
                fault=fault,
            )
        )

    def _refuse(self, kind: str, why: str, message: ComputeMessage | None = None) -> None:
        self._send(
            FailedMessage(
                generation=self._spec.generation,
                outcome="refused",
                sense=message.sense if message else None,
                trigger_id=message.trigger_id if message else None,
                at_us=SystemClock().now_us(),
                fault=Fault(kind=kind, message=writable(why)),
            )
        )

    def _describe(self, name: str) -> None:
        try:
            described = describe(name, self._spec, self._redactor)
        except Exception as error:  # noqa: BLE001  author's code is imported
            described = DescribedMessage(
                generation=self._spec.generation,
                sense=name,
                fault=describe_exception(error, self._redactor, self._spec.folder),
            )
        self._send(described)

    def _stop(self) -> None:
        for resident in self._residents.values():
            try:
                resident.close()
            except Exception as error:  # noqa: BLE001  one database must not keep the others open
                fault = describe_exception(error, self._redactor, self._spec.folder)
                logging.getLogger(f"sense.{resident.name}").warning("closing: %s", fault.message)
        self._send(StoppedMessage(generation=self._spec.generation))
        self._channel.close()

    def _send(self, message: UpMessage) -> None:
        self._channel.send(dump(message))
