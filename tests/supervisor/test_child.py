import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from types import SimpleNamespace

from nerve.clock import SystemClock
from nerve.logs import RecordsOf
from nerve.supervisor.child import Child, ChildEvents, Threads
from nerve.supervisor.reserve import Blank
from nerve.wire.channel import BlockingChannel
from nerve.wire.messages import WorkerSpec

PATIENCE_S = 30
PEERS = 20_000


def large_spec(tmp_path):
    return WorkerSpec(
        generation=1,
        boot="b",
        group="g",
        folder="",
        blobs="",
        senses={},
        databases={f"sense-{number}": f"/a/path/of/{number}.db" for number in range(PEERS)},
        slate=str(tmp_path / "slate"),
    )


def test_a_specification_larger_than_a_socket_is_sent_to_its_end(tmp_path):
    spec = large_spec(tmp_path)

    async def scenario(threads):
        ours, theirs = socket.socketpair()
        (sentinel, exits), (stdout, out), (stderr, err) = os.pipe(), os.pipe(), os.pipe()
        process = SimpleNamespace(sentinel=sentinel)
        launched = SimpleNamespace(
            process=process, pid=os.getpid(), channel=ours, stdout=stdout, stderr=stderr
        )
        reserve = SimpleNamespace(take=lambda: Blank(launched, RecordsOf("test")))
        events = ChildEvents(*[lambda *_: None] * len(fields(ChildEvents)))
        given = Threads(threads, threads, threads, reserve)
        child = Child(spec, events, clock=SystemClock(), threads=given)
        await child.start()
        worker = BlockingChannel(theirs)
        records = worker.take_over()
        reading = asyncio.get_running_loop().run_in_executor(threads, worker.receive)
        try:
            frame = await asyncio.wait_for(asyncio.shield(reading), PATIENCE_S)
        finally:
            theirs.shutdown(socket.SHUT_RDWR)  # or the thread would wait for ever
        child._threads.sweeping.submit = lambda *_, **__: None  # there is no process
        os.close(records)
        child.abandon()
        child._hearing.close()
        worker.close()
        for descriptor in (sentinel, exits, out, err):
            os.close(descriptor)
        return frame

    with ThreadPoolExecutor(1) as threads:
        frame = asyncio.run(scenario(threads))
    assert WorkerSpec.model_validate_json(frame) == spec
