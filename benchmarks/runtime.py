"""Nerve's side of the figures: a project, a real supervisor, real workers.

The supervisor runs in this process as under `nerve run`; only triggers come from
here instead of from a schedule. An error in the log ends the measurement: a figure of
something broken is worse than none.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

import psutil

from nerve.clock import SystemClock
from nerve.config import Loaded, load_config
from nerve.reflex.causes import Cause
from nerve.sense import TriggerKind
from nerve.store.journal import Journal, LogEntry, SignalEntry
from nerve.store.state_dir import StateDir
from nerve.supervisor.preparation import workers_prepared
from nerve.supervisor.shortlived import ShortLived, short_spec
from nerve.supervisor.supervisor import Supervisor
from nerve.wire.messages import ReadyMessage, StopMessage

PATIENCE_S = 60.0
SENSE = """
import time
from sqlalchemy import text

INSERT = text("INSERT INTO seen (at_us, said) VALUES (:at_us, :said)")

def compute(db, peers, ctx):
    db.execute(INSERT, {"at_us": time.time_ns() // 1_000, "said": "one row"})
    return {"said": "one row"}
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

def upgrade():
    op.create_table(
        "seen",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer),
        sa.Column("said", sa.Text),
    )
"""

Entry = SignalEntry | LogEntry


def make_project(folder: Path, senses: dict[str, str]) -> Loaded:
    """Write a project whose senses are alone in their groups.

    Args:
        folder: a directory that does not exist yet.
        senses: name to `durability`.
    """
    lines = ["senses:"]
    for name, durability in senses.items():
        migrations = folder / "senses" / name.replace("-", "_") / "migrations"
        migrations.mkdir(parents=True)
        (migrations.parent / "__init__.py").write_text(SENSE)
        (migrations / "0001_seen.py").write_text(MIGRATION)
        lines.append(f"  {name}: {{group: {name}, durability: {durability}}}")
    (folder / "nerve.yaml").write_text("\n".join(lines) + "\n")
    return load_config(folder / "nerve.yaml", environ={})


class Nerve:
    """A supervisor that runs, and the entries it has made durable."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        state = StateDir(loaded.state_dir)
        state.create()
        self._loop = asyncio.get_running_loop()
        self._take: Callable[[Entry], None] = lambda _: None
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._supervisor = Supervisor(
            loaded,
            state,
            Journal(state.journal_path),
            clock=SystemClock(),
            environ=environ,
            observe=self._observe,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, loaded: Loaded) -> AsyncIterator[tuple[Self, int]]:
        """Run until the body ends; yields it and the nanoseconds until all workers were ready."""
        with workers_prepared(loaded, os.environ) as environ:
            began = time.perf_counter_ns()
            nerve = cls(loaded, environ)
            all_ready = nerve.seen("worker.ready", len(loaded.config.senses))
            run = asyncio.create_task(nerve._supervisor.run())
            try:
                await nerve._patiently(all_ready)
                yield nerve, time.perf_counter_ns() - began
            finally:
                nerve._take = lambda _: None
                nerve._supervisor.request_stop("the benchmark is done")
                await run

    async def times_ns(self, sense: str, count: int) -> list[int]:
        """Trigger a sense `count` times, each once the signal of the last is durable."""
        times: list[int] = []
        done = self._loop.create_future()
        began = 0

        def offer() -> None:
            nonlocal began
            began = time.perf_counter_ns()
            self.offer(sense)

        def take(entry: Entry) -> None:
            if not isinstance(entry, SignalEntry):
                return
            times.append(time.perf_counter_ns() - began)
            if len(times) < count:
                # Not at once: nerve acknowledges first, as it would before the next tick.
                self._loop.call_soon(offer)
            else:
                done.set_result(None)

        self._take = take
        offer()
        await self._patiently(done)
        return times

    async def run_each(self, senses: Iterable[str]) -> None:
        """Run each sense once."""
        names = list(senses)
        all_seen = self.seen("signal", len(names))
        for name in names:
            self.offer(name)
        await self._patiently(all_seen)

    def offer(self, sense: str) -> None:
        """Trigger a sense as a person would."""
        self._supervisor.triggers.offer(sense, Cause(TriggerKind.MANUAL))

    def seen(self, type_: str, count: int) -> asyncio.Future[None]:
        """Be done when `count` entries of a type of log row, or signals, are durable."""
        done: asyncio.Future[None] = self._loop.create_future()
        left = count

        def take(entry: Entry) -> None:
            nonlocal left
            left -= (entry.type if isinstance(entry, LogEntry) else "signal") == type_
            if left == 0 and not done.done():
                done.set_result(None)

        self._take = take
        return done

    def _observe(self, _id: int | None, entry: Entry) -> None:
        if isinstance(entry, LogEntry) and entry.level == "error" and not self._failed.done():
            self._failed.set_exception(RuntimeError(f"{entry.source}: {entry.payload}"))
        self._take(entry)

    async def _patiently(self, done: asyncio.Future[None]) -> None:
        waiting = {done, self._failed}
        ended, _ = await asyncio.wait(
            waiting, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not ended:
            raise TimeoutError("nerve did not get there")
        for future in ended:
            future.result()


def start_times_ns(loaded: Loaded, sense: str, count: int) -> list[int]:
    """Start a worker with one sense until it is ready; then stop it. `count` times."""
    own_state = StateDir(loaded.state_dir)
    own_state.create()
    spec = short_spec(loaded, {sense: loaded.config.senses[sense]}, own_state.senses)
    return [_start_once(ShortLived(spec, loaded)) for _ in range(count)]


def _start_once(worker: ShortLived) -> int:
    began = time.perf_counter_ns()
    with worker:
        ready = worker.receive(PATIENCE_S)
        elapsed = time.perf_counter_ns() - began
        if not isinstance(ready, ReadyMessage) or ready.senses[0].fault or not ready.preloaded:
            raise RuntimeError(f"the worker did not come up well: {ready}")
        worker.request(StopMessage(), PATIENCE_S)
    return elapsed


def nerve_pids() -> tuple[list[int], list[int]]:
    """Process ids of all workers, and of the parent and the fork server."""
    below = psutil.Process().children(recursive=True)
    # Of all that is below, workers alone lead a session.
    workers = [process for process in below if os.getsid(process.pid) == process.pid]
    fork_servers = {process.ppid() for process in workers}
    return [process.pid for process in workers], [os.getpid(), *fork_servers]
