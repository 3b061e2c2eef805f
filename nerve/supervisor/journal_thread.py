"""The journal's thread: commits and chores that may have to wait for the disk.

Parent. It does one job after the other. A batch that the storage refuses is kept and tried again
with growing pauses, for as long as that takes; an entry that no database takes is left out, so that
it does not stop the rest. What comes of a job is told on the loop.

The loop may commit itself, as long as the thread is not at the journal (`commit_at_once`). So one
of the two has it at a time.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic

from nerve.errors import StateError
from nerve.store.batch import Batch
from nerve.store.journal import Journal, Result

RETRY_FIRST_S = 0.25
RETRY_MAX_S = 10.0


@dataclass(frozen=True, slots=True)
class _Chore(Generic[Result]):
    """Something to be done between two batches, and who waits for it."""

    work: Callable[[Journal], Result]
    done: Future[Result]

    def do(self, journal: Journal) -> None:
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            self.done.set_result(self.work(journal))
        except BaseException as error:  # noqa: BLE001  it is for whoever waits
            self.done.set_exception(error)


class JournalThread:
    """Does one job after the other with the journal.

    Attributes:
        busy_since: since when it is at a chore, or at one try of a batch, monotonic; None while it
            waits. Without an end for long, the disk holds it fast.
    """

    def __init__(
        self,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        *,
        committed: Callable[[list[int | None]], None],
        refused: Callable[[StateError], None],
        left_out: Callable[[int], None],
        restored: Callable[[], None],
    ) -> None:
        """Start it; all callbacks are made on the loop.

        `committed` when the batch is durable; `refused` at each failed try; `left_out` when so many
        entries were that no database takes; `restored` when a deleted journal was written back.
        """
        self._journal = journal
        self._loop = loop
        self._committed = committed
        self._refused = refused
        self._left_out = left_out
        self._restored = restored
        self._checkpointing: Future[None] | None = None
        self.busy_since: float | None = None
        self._using = threading.Lock()
        self._closing = threading.Event()
        self._jobs: queue.SimpleQueue[Batch | _Chore[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def commit(self, batch: Batch) -> None:
        """Make a batch durable; the next one only when `committed` was called for it."""
        self._jobs.put(batch)

    def commit_at_once(self, batch: Batch) -> list[int | None] | None:
        """Commit here and now, on the loop; None where that has to wait, be it for the thread."""
        if not self._using.acquire(blocking=False):
            return None
        try:
            return self._journal.commit_at_once(batch)
        finally:
            self._using.release()

    def chore(self, work: Callable[[Journal], Result]) -> Future[Result]:
        """Have something done between two batches; from any thread."""
        chore = _Chore(work, Future[Result]())
        self._jobs.put(chore)
        return chore.done

    def checkpoint(self) -> None:
        """Write the WAL back between two batches, once; on the loop."""
        if self._checkpointing is None or self._checkpointing.done():
            self._checkpointing = self.chore(Journal.checkpoint)

    def tell(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call something on the loop; from any thread."""
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: nobody is there to be told
            return

    def close(self) -> None:
        """End it after one last try; what is not durable then is not recorded."""
        self._closing.set()
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                with self._using:
                    self.busy_since = self._loop.time()
                    ids = self._do(job)
            except StateError:
                return  # it is the end, and the batch stays in hand
            finally:
                self.busy_since = None
            if self._journal.take_restored():
                self.tell(self._restored)
            if ids is not None:  # told when the journal is free again, for the loop's next commit
                self.tell(self._committed, ids)

    def _do(self, job: "Batch | _Chore[Any]") -> list[int | None] | None:
        if isinstance(job, Batch):
            return self._insist(job)
        job.do(self._journal)
        if self._journal.is_checkpoint_due:  # of many chores on end; nothing else may come
            with contextlib.suppress(StateError):
                self._journal.checkpoint()
        return None

    def _insist(self, batch: Batch) -> list[int | None]:
        """Commit a batch, however long that takes; raises StateError at the end only."""
        try:
            return self._retry(batch)
        except StateError:
            raise
        except Exception:  # noqa: BLE001  an entry no database takes: it must not stop the rest
            return self._one_by_one(batch)

    def _one_by_one(self, batch: Batch) -> list[int | None]:
        ids: list[int | None] = []
        for part in batch.apart():
            try:
                ids += self._retry(part)
            except StateError:
                raise
            except Exception:  # noqa: BLE001  this is the one; or all, and then each is counted
                ids += [None] * len(part.entries)
                self.tell(self._left_out, len(part.entries))
        return ids

    def _retry(self, batch: Batch) -> list[int | None]:
        """Commit, and again with growing pauses while it is the storage that refuses."""
        pause_s = RETRY_FIRST_S
        is_last = False
        while True:
            self.busy_since = self._loop.time()
            try:
                return self._journal.commit(batch)
            except StateError as error:
                self.tell(self._refused, error)
                if is_last:
                    raise
            self.busy_since = None
            is_last = self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)
