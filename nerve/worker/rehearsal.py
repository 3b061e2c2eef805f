"""A worker in reserve lives through its life once, with a sense that is nobody's.

Worker, before it has a specification. What runs for the first time in a process is slow: the
kernel copies each page that is written to, Python compiles its caches anew. So the first start
and the first compute take some 10 ms of processor time where the next ones take 4; and
whoever waits for a replacement waits for just these. A worker that waits has the time.

The database is in memory. Nothing is changed that the real start does not set anew, and no limit
of the process is lowered.
"""

import contextlib
import gc
import os
import socket
import sqlite3
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from nerve.clock import SystemClock
from nerve.config.models import GroupConfig, SenseConfig
from nerve.config.secrets import Redactor
from nerve.sense import TriggerKind
from nerve.store.blobs import BlobStore
from nerve.store.migrations import AUTHORS_VERSION_TABLE
from nerve.store.newborn import template
from nerve.store.schema import SENSE_FOLDER, SENSE_HEAD
from nerve.wire.channel import BlockingChannel
from nerve.wire.messages import (
    ComputeMessage,
    ReadyMessage,
    SenseReport,
    parse_down,
)
from nerve.wire.model import dump
from nerve.worker.deadline import Deadline
from nerve.worker.executor import Executor
from nerve.worker.loader import PACKAGE, LoadedSense, load
from nerve.worker.resident import Resident

NAME = "rehearsal"
COMPUTES = 3
NO_LIMIT = 2**60
"""For what is limited while author's code runs; a hard limit cannot be taken back."""
_SOMEWHERE = Path(os.devnull)
"""Stands for the database's file: it is there and cannot be deleted."""

_TABLES = f"""
CREATE TABLE rehearsed (n INTEGER PRIMARY KEY, at_us INTEGER, said TEXT);
CREATE TABLE {AUTHORS_VERSION_TABLE} (version_num TEXT);
INSERT INTO {AUTHORS_VERSION_TABLE} VALUES ('{SENSE_HEAD}');
"""  # noqa: S608  names of ours


@cache
def stage() -> bytes:
    """Make the database that the sense finds; once, in the fork server, for all."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.deserialize(template())
        raw.executescript(_TABLES)
        return raw.serialize()


def rehearse() -> None:
    """Load the sense, open its database, run it, send what it says, close; raises nothing."""
    # What fails here fails in earnest too, and is told there.
    with contextlib.suppress(Exception), contextlib.ExitStack() as at_the_end:
        ours, theirs = socket.socketpair()
        at_the_end.callback(ours.close)
        at_the_end.callback(theirs.close)
        _play(BlockingChannel(ours), at_the_end)
    gc.collect()


def _play(channel: BlockingChannel, at_the_end: contextlib.ExitStack) -> None:
    deadline = Deadline(SystemClock())
    at_the_end.callback(sys.modules.pop, f"{PACKAGE}.{NAME}", None)
    loaded = load(NAME, SenseConfig(), Path(__file__).parent)
    sense = _Understudy(replace(loaded, migrations=SENSE_FOLDER), deadline)
    sense.open()
    at_the_end.callback(sense.close)
    sense.outbox.begin_anew_if_behind({})
    identity = sense.outbox.identity()
    report = SenseReport(name=NAME, epoch=identity.epoch, positions=sense.outbox.positions())
    channel.send(dump(ReadyMessage(generation=0, preloaded=True, senses=(report,))))
    executor = Executor(
        generation=0,
        boot="",
        clock=SystemClock(),
        deadline=deadline,
        blobs=BlobStore(_SOMEWHERE),
        redactor=Redactor(),
        limits=GroupConfig.model_construct(memory_bytes=NO_LIMIT, open_files=NO_LIMIT),
        folder="",
    )
    for trigger_id in range(1, COMPUTES + 1):
        message = ComputeMessage(sense=NAME, trigger_id=trigger_id, kind=TriggerKind.INTERVAL)
        told = parse_down(dump(message))
        assert isinstance(told, ComputeMessage)  # noqa: S101  as it was sent
        channel.send(executor.execute(sense, told).message)
        sense.prune(channel.is_readable)
        sense.outbox.acknowledge(identity.epoch, trigger_id)


class _Understudy(Resident):
    """The sense, with a database in memory."""

    def __init__(self, loaded: LoadedSense, deadline: Deadline) -> None:
        databases = {NAME: _SOMEWHERE}
        super().__init__(
            NAME,
            SenseConfig(),
            loaded,
            databases=databases,
            deadline=deadline,
            clock=SystemClock(),
        )

    def _opened(self) -> sqlite3.Connection:
        raw = sqlite3.connect(":memory:", isolation_level=None)
        raw.deserialize(stage())
        return raw
