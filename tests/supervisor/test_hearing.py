import asyncio
import json
import os
from types import SimpleNamespace

from nerve.clock import SystemClock
from nerve.config import GroupConfig
from nerve.logs import RecordEvents, RecordsOf
from nerve.logs.frames import write
from nerve.supervisor.hearing import Hearing
from nerve.supervisor.reserve import Blank
from nerve.wire.messages import WorkerSpec

PATIENCE_S = 30
RECORD = {"name": "a", "levelno": 20, "msg": "logged", "trigger_id": None, "left_out": 0}


class Worker:
    """The far ends of all pipes of a worker, and what came out of them."""

    def __init__(self, lines_per_second=50):
        self.told = asyncio.Queue()
        limits = GroupConfig(output_lines_per_second=lines_per_second)
        spec = WorkerSpec(
            generation=1, boot="b", group="g", folder="f", blobs="b", senses={}, databases={},
            limits=limits, masked=("hunter2hunter2",),
        )  # fmt: skip
        stdout, self.stdout = os.pipe()
        stderr, self.stderr = os.pipe()
        launched = SimpleNamespace(stdout=stdout, stderr=stderr)
        self.hearing = Hearing(
            spec,
            Blank(launched, RecordsOf("test")),
            printed=lambda *what: self.told.put_nowait(what),
            records=RecordEvents(
                record=lambda record: self.told.put_nowait(record.getMessage()),
                left_out=lambda count: self.told.put_nowait(count),
                broken=lambda why: self.told.put_nowait(("broken", why)),
            ),
            clock=SystemClock(),
        )
        self.logs = os.dup(self.hearing.log_descriptor)
        self.hearing.begin()

    def next(self):
        return asyncio.wait_for(self.told.get(), PATIENCE_S)

    def close(self):
        self.hearing.take_rest()
        self.hearing.close()
        for descriptor in (self.logs, self.stdout, self.stderr):
            os.close(descriptor)


def test_what_is_printed_and_logged_arrives_masked_with_its_stream():
    """LOG-5, CFG-8"""

    async def scenario():
        worker = Worker()
        os.write(worker.stdout, b"it is hunter2hunter2\n")
        assert await worker.next() == ("stdout", ["it is ********"], 0)
        os.write(worker.stderr, b"oh\n")
        assert await worker.next() == ("stderr", ["oh"], 0)
        os.write(worker.logs, b"".join(write(RECORD)))
        assert await worker.next() == "logged"
        worker.close()

    asyncio.run(scenario())


def test_the_rest_of_both_is_told_at_once_and_nothing_after_it():
    """LOG-4, invariant 4"""

    async def scenario():
        worker = Worker(lines_per_second=1)
        os.write(worker.stdout, b"line\n" * 6)
        os.write(worker.logs, b"".join(write(RECORD)) * 6)
        worker.hearing.take_rest()  # without a turn of the loop
        told = [worker.told.get_nowait() for _ in range(worker.told.qsize())]
        assert told == [("stdout", ["line"] * 4, 2), *["logged"] * 4, 2]
        for descriptor in (worker.stdout, worker.logs):
            try:
                os.write(descriptor, b"late\n")
            except BrokenPipeError:
                continue
        worker.hearing.close()
        await asyncio.sleep(0)
        assert worker.told.empty()
        worker.close()

    asyncio.run(scenario())


def test_garbage_among_the_log_records_is_told_on_the_loop():
    """RUN-6"""

    async def scenario():
        worker = Worker()
        os.write(worker.logs, json.dumps(RECORD).encode() + b"\n")
        told, why = await worker.next()
        assert (told, bool(why)) == ("broken", True)
        os.write(worker.stdout, b"still heard\n")
        assert await worker.next() == ("stdout", ["still heard"], 0)
        worker.close()

    asyncio.run(scenario())
