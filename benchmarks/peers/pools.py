"""Peers that are pools of processes in the caller: no broker between, futures for results."""

import functools
import itertools
import multiprocessing
import multiprocessing.pool
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.work import work

PATIENCE_S = 30.0
"""For one result."""

Result = dict[str, str]


@dataclass(frozen=True, slots=True)
class FuturesPeer:
    """One whose results are futures; `submit` takes the `synchronous` of the worker."""

    submit: Callable[[str], "Future[Result]"]
    close: Callable[[], object]

    @staticmethod
    def is_done(pending: "Future[Result]") -> bool:
        """Whether the result is there."""
        return pending.done()

    @staticmethod
    def take(pending: "Future[Result]") -> Result:
        """Wait for the result."""
        return pending.result(PATIENCE_S)


def executor(method: str, folder: Path, workers: int) -> FuturesPeer:
    """The standard library's ProcessPoolExecutor, with a start method."""
    context = multiprocessing.get_context(method)
    pool = futures.ProcessPoolExecutor(workers, mp_context=context)
    return FuturesPeer(
        lambda synchronous: pool.submit(work, str(folder), synchronous), pool.shutdown
    )


fork = functools.partial(executor, "fork")
forkserver = functools.partial(executor, "forkserver")
spawn = functools.partial(executor, "spawn")


def loky(folder: Path, workers: int) -> FuturesPeer:
    """Loky's executor."""
    from loky import ProcessPoolExecutor  # an extra

    pool = ProcessPoolExecutor(workers)
    return FuturesPeer(
        lambda synchronous: pool.submit(work, str(folder), synchronous), pool.shutdown
    )


def pebble(folder: Path, workers: int) -> FuturesPeer:
    """Pebble's ProcessPool, which is the one that can end a task that hangs."""
    from pebble import ProcessPool  # an extra

    pool = ProcessPool(max_workers=workers)

    def close() -> None:
        pool.close()
        pool.join(PATIENCE_S)

    return FuturesPeer(lambda synchronous: pool.schedule(work, (str(folder), synchronous)), close)


class PoolPeer:
    """multiprocessing.Pool, whose results are no futures."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = str(folder)
        self._pool = multiprocessing.get_context("fork").Pool(workers)
        self.close = self._pool.terminate

    def submit(self, synchronous: str) -> "multiprocessing.pool.AsyncResult[Result]":
        """Have `work` done."""
        return self._pool.apply_async(work, (self._folder, synchronous))

    @staticmethod
    def is_done(pending: "multiprocessing.pool.AsyncResult[Result]") -> bool:
        """Whether the result is there."""
        return pending.ready()

    @staticmethod
    def take(pending: "multiprocessing.pool.AsyncResult[Result]") -> Result:
        """Wait for the result."""
        return pending.get(PATIENCE_S)


def apscheduler(folder: Path, workers: int) -> FuturesPeer:
    """APScheduler 3 with its pool of processes; each piece of work is a job that is due now."""
    from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED  # an extra
    from apscheduler.executors.pool import ProcessPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    # Its default, a second, would have it leave out what waits in a queue.
    defaults = {"misfire_grace_time": None}
    pool = {"default": ProcessPoolExecutor(workers)}
    scheduler = BackgroundScheduler(executors=pool, job_defaults=defaults, timezone="UTC")
    waiting: dict[str, Future[Result]] = {}
    numbers = itertools.count()

    def submit(synchronous: str) -> "Future[Result]":
        name = str(next(numbers))
        waiting[name] = Future()
        future = waiting[name]
        scheduler.add_job(work, args=(str(folder), synchronous), id=name)
        return future

    def hear(event: Any) -> None:
        future = waiting.pop(event.job_id)
        if event.exception is None:
            future.set_result(event.retval)
        else:
            future.set_exception(event.exception)

    scheduler.add_listener(hear, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    scheduler.start()
    return FuturesPeer(submit, scheduler.shutdown)
