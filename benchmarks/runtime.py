"""Nerve's side of the figures: a real supervisor, real workers, of a project (`projects`).

The supervisor runs in this process as under `nerve run`; only triggers come from
here instead of from a schedule. An error in the log ends the measurement: a figure of
something broken is worse than none.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from benchmarks.family import WORKERS, below_sentries
from benchmarks.floor import PAUSE_S
from benchmarks.projects import BEHIND, HANGING, HANGING_ALLOWANCE_MS
from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.process.launch import fork_server_pid
from nerve.reflex.causes import Cause
from nerve.sense import TriggerKind
from nerve.store.batch import LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.preparation import workers_prepared
from nerve.supervisor.supervisor import Supervisor
from nerve.wire.messages import ReadyMessage

NS_PER_S = 1_000_000_000
PATIENCE_S = 60.0
Entry = SignalEntry | LogEntry
T = TypeVar("T")


@contextlib.contextmanager
def _locked(loaded: Loaded) -> Iterator[None]:
    """Make and hold the state directory, as a parent does for as long as it runs."""
    state = StateDir(loaded.state_dir)
    state.create()
    lock = state.lock()
    try:
        yield
    finally:
        os.close(lock)


class _Watched(Supervisor):
    """A supervisor that tells of a ready worker before that is recorded, which takes a sync."""

    up: asyncio.Future[int] | None = None

    def came_up(self, name: str, ready: ReadyMessage) -> None:
        super().came_up(name, ready)
        if self.up is not None:
            self.up.set_result(time.monotonic_ns())
            self.up = None


class Nerve:
    """A supervisor that runs, and the entries it has made durable.

    Attributes:
        killed_at_ns: when `replaced_ns` last killed, on the monotonic clock.
    """

    killed_at_ns = 0

    def __init__(
        self, loaded: Loaded, environ: Mapping[str, str], expected: frozenset[str]
    ) -> None:
        state = StateDir(loaded.state_dir)
        self._loop = asyncio.get_running_loop()
        self._take: Callable[[Entry], None] = lambda _: None
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._expected = expected
        self._supervisor = _Watched(
            loaded,
            state,
            Journal(state.journal_path, full_sync=loaded.config.journal.durability == "full"),
            clock=SystemClock(),
            environ=environ,
            observe=self._observe,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, loaded: Loaded, expected: frozenset[str] = frozenset()
    ) -> AsyncIterator[tuple[Self, int]]:
        """Run until the body ends; yields it and the nanoseconds until all workers were ready.

        `expected` are types of log rows that are no reason to end the measurement.
        """
        with _locked(loaded), workers_prepared(loaded, os.environ) as environ:
            began = time.perf_counter_ns()
            nerve = cls(loaded, environ, expected)
            groups = {sense.group for sense in loaded.config.senses.values()}
            all_ready = nerve.seen("worker.ready", len(groups))
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

    async def rate(self, senses: Sequence[str], seconds: float) -> float:
        """Signals per second, each sense triggered again as soon as its last one is durable."""
        seen: list[int] = []
        until = sys.maxsize
        under_way = len(senses)
        done = self._loop.create_future()

        def take(entry: Entry) -> None:
            nonlocal until, under_way
            if not isinstance(entry, SignalEntry):
                return
            seen.append(time.perf_counter_ns())
            if len(seen) == len(senses):  # the first of each were for warming up
                until = seen[-1] + int(seconds * NS_PER_S)
            if seen[-1] < until:
                self._loop.call_soon(self.offer, entry.sense)
                return
            under_way -= 1
            if under_way == 0:
                done.set_result(None)

        self._take = take
        for sense in senses:
            self.offer(sense)
        await self._patiently(done)
        counted = [at for at in seen[len(senses) :] if at < until]
        return len(counted) / seconds

    async def replaced_ns(self) -> int:
        """Kill the one worker, which is idle; the time until its replacement is ready."""
        await asyncio.sleep(PAUSE_S)
        (worker,) = worker_pids()
        up = self._next_up()
        self.killed_at_ns = time.monotonic_ns()
        os.kill(worker, signal.SIGKILL)
        return await self._patiently(up) - self.killed_at_ns

    async def recovered_ns(self) -> tuple[int, int]:
        """Run HANGING of `make_hanging_project`, and BEHIND after it.

        From the hard deadline: the time to a ready replacement, and to the signal of BEHIND.
        """
        await asyncio.sleep(PAUSE_S)
        up, told = self._next_up(), self.seen("signal", 1)
        deadline_ns = time.monotonic_ns() + HANGING_ALLOWANCE_MS * 1_000_000
        self.offer(HANGING)
        self.offer(BEHIND)
        up_ns = await self._patiently(up) - deadline_ns
        await self._patiently(told)
        return up_ns, time.monotonic_ns() - deadline_ns

    def _next_up(self) -> asyncio.Future[int]:
        self._supervisor.up = self._loop.create_future()
        return self._supervisor.up

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
        if self._is_trouble(entry) and not self._failed.done():
            self._failed.set_exception(RuntimeError(f"{entry}"))
        self._take(entry)

    def _is_trouble(self, entry: Entry) -> bool:
        if not isinstance(entry, LogEntry) or entry.level != "error":
            return False
        return entry.type not in self._expected

    async def _patiently(self, done: asyncio.Future[T]) -> T:
        waiting: set[asyncio.Future[Any]] = {done, self._failed}
        ended, _ = await asyncio.wait(
            waiting, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not ended:
            raise TimeoutError("nerve did not get there")
        for future in ended:
            future.result()  # raises what went wrong, if it did
        return done.result()


def worker_pids() -> list[int]:
    """Process ids of all workers of this process, that in reserve apart."""
    sentry = fork_server_pid()
    return below_sentries([sentry] if sentry else [])[WORKERS]
