"""The way into the journal: everything of one turn of the loop is one transaction.

Parent, on the loop.

    What is committed  All that the turn has brought. Counts go with what is told of the same sense;
                       those of others wait for COUNTS_EVERY_S: with ten thousand senses each has
                       its own page, and a signal would write all that came since the last.
    When               At the end of the turn; while a commit is under way, after it. So the busier
                       nerve is, the more goes into each.
    Who commits        The journal's thread, so that a sync never holds the loop. Where commits are
                       not synced (`journal.durability: normal`) the loop itself, as long as that is
                       quick; whatever has to wait is left to the thread.
    Then               `committed` is called, on the loop and not before; acknowledgements and
                       reflexes hang on it. A checkpoint follows, in the thread, where one is due.
    Idle               Nothing is collected, under way or left to settle. `drain` waits for that.

A commit that fails keeps its batch, and the thread tries it again. Meanwhile `is_healthy` is False
and the supervisor starts nothing new, so what has to be kept stays below MAX_WAITING_ENTRIES; log
rows beyond it are counted and left out, signals never: they are safe in their outboxes and are not
read.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future

from nerve.errors import StateError
from nerve.store.batch import Batch, LogEntry, Pair, Pause, Quarantine, SignalEntry
from nerve.store.journal import Journal, Result
from nerve.supervisor.journal_thread import JournalThread

MAX_WAITING_ENTRIES = 50_000
SLOW_COMMIT_S = 0.1
"""A commit on the loop that took longer: the disk is busy, or dying."""
SLOW_FOR_S = 10.0
"""So long the thread commits then."""
COUNTS_EVERY_S = 1.0
"""Counts of senses that tell nothing else wait so long for each other; so do those of signals."""
MAX_DETAIL_CHARS = 500
"""Of what more there is to say of an outcome or a reason; the log has all of it."""


class Recorder:
    """Collects entries, and has them committed."""

    def __init__(
        self,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        *,
        committed: Callable[[Batch, list[int | None]], None],
        troubled: Callable[[StateError], None],
        recovered: Callable[[], None],
        restored: Callable[[], None],
        filled: Callable[[], None],
    ) -> None:
        """Start the thread; all callbacks are made on the loop.

        `troubled` at the first failure of a row of them and where another fault follows,
        `recovered` after the last; `restored` when a deleted journal was written back;
        `filled` when so much waits that no worker should be read until `committed`.
        """
        self._journal = journal
        self._loop = loop
        self._committed = committed
        self._troubled = troubled
        self._recovered = recovered
        self._filled = filled
        self._batch = Batch()
        self._in_hand: Batch | None = None
        self._flush: asyncio.Handle | None = None
        self._counting: asyncio.TimerHandle | None = None
        self._are_counts_due = False
        self._failure: StateError | None = None
        self._awaited: list[Callable[[], None]] = []
        self._awaited_in_hand: list[Callable[[], None]] = []
        self._slow_until = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self.left_out = 0
        self._thread = JournalThread(
            journal,
            loop,
            committed=self._on_success,
            refused=self._on_failure,
            left_out=self._on_left_out,
            restored=restored,
        )

    @property
    def is_healthy(self) -> bool:
        """Whether the last batch could be written."""
        return self._failure is None

    @property
    def trouble(self) -> str:
        """Why the last batch could not be written yet; empty where it was."""
        return "" if self._failure is None else str(self._failure)

    def signal(self, entry: SignalEntry) -> None:
        """Record a signal with this turn's batch."""
        self._batch.entries.append(entry)
        self._soon()
        if len(self._batch.entries) == MAX_WAITING_ENTRIES:
            self._filled()

    def log(self, entry: LogEntry) -> None:
        """Record a log row with this turn's batch."""
        if len(self._batch.entries) >= MAX_WAITING_ENTRIES:
            self.left_out += 1
            return
        self._batch.entries.append(entry)
        self._soon()

    def cursor(self, target: str, source: str, signal_id: int) -> None:
        """Move a cursor forward with this turn's batch."""
        before = self._batch.cursors.get((target, source), 0)
        self._batch.cursors[target, source] = max(signal_id, before)
        self._soon()

    def place(self, target: str, source: str, signal_id: int) -> None:
        """Put a cursor where a person wants it, back as well, with this turn's batch."""
        self._batch.forgotten.add((target, source))
        self._batch.cursors[target, source] = signal_id
        self._soon()

    def count(
        self, sense: str, outcome: str, at_us: int, number: int = 1, detail: str = ""
    ) -> None:
        """Count an outcome or a reason; it waits for COUNTS_EVERY_S, or for word of its sense."""
        self._batch.count(sense, outcome, at_us, number, detail[:MAX_DETAIL_CHARS])
        self._idle.clear()
        self._count_later()

    def forget(self, target: str, source: str) -> None:
        """Delete a cursor with this turn's batch; one that is put in the same turn stays."""
        self._batch.forgotten.add((target, source))
        self._soon()

    def fact(self, name: str, value: str) -> None:
        """Store a fact about the installation, under `meta`, with this turn's batch."""
        self._batch.meta[name] = value
        self._soon()

    def quarantine(self, sense: str, quarantine: Quarantine | None) -> None:
        """Store a sense's quarantine, or None for its end, with this turn's batch."""
        self._batch.quarantines[sense] = quarantine
        self._soon()

    def pause(self, sense: str, pause: Pause | None) -> None:
        """Store that a sense is paused, or None for the end of it, with this turn's batch."""
        self._batch.paused[sense] = pause
        self._soon()

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Call back once all that was recorded so far is durable, counts included."""
        self._awaited.append(callback)
        self._submit_counts()

    def unwritten_cursors(self) -> dict[Pair, int]:
        """Cursors that have moved and of which the journal may not know yet."""
        in_hand = self._in_hand.cursors if self._in_hand is not None else {}
        return {
            pair: max(
                0 if pair in self._batch.forgotten else in_hand.get(pair, 0),
                self._batch.cursors.get(pair, 0),
            )
            for pair in in_hand.keys() | self._batch.cursors.keys()
        }

    def chore(self, work: Callable[[sqlite3.Connection], Result]) -> Future[Result]:
        """Have something done to the database between two batches; from any thread.

        A signal may have to wait for it, so it should take some milliseconds at most. While the
        journal cannot be written it waits as the batches do; who gives up waiting cancels it.
        """
        return self._thread.chore(lambda journal: journal.perform(work))

    def record_now(self, entries: list[LogEntry]) -> Future[None]:
        """Have log rows made durable between two batches; from any thread, as `chore`."""

        def work(journal: Journal) -> None:
            batch = Batch([*entries])
            self._thread.tell(self._committed, batch, journal.commit(batch))

        return self._thread.chore(work)

    @property
    def waiting_entries(self) -> int:
        """How many signals and log rows are not durable yet."""
        in_hand = len(self._in_hand.entries) if self._in_hand is not None else 0
        return in_hand + len(self._batch.entries)

    @property
    def busy_since(self) -> float | None:
        """Since when the thread is at its present job, monotonic; None while it is at none."""
        return self._thread.busy_since

    @property
    def has_entries(self) -> bool:
        """Whether a signal or log row is on its way that is not durable yet."""
        return bool(self._in_hand is not None or self._batch.entries)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all is durable; False when that takes longer than `timeout_s`."""
        self._submit_counts()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End the thread after one last try; what is not durable then is not recorded."""
        self._thread.close()

    def _soon(self) -> None:
        """Commit at the end of this turn."""
        self._idle.clear()
        if self._in_hand is None and self._flush is None:
            self._flush = self._loop.call_soon(self._submit)

    def _count_later(self) -> None:
        if self._counting is None:
            self._counting = self._loop.call_later(COUNTS_EVERY_S, self._submit_counts)

    def _submit_counts(self) -> None:
        """Commit all that is counted, with the next batch."""
        if self._counting is not None:
            self._counting.cancel()
            self._counting = None
        self._are_counts_due = True
        self._soon()

    def _submit(self) -> None:
        self._flush = None
        if self._in_hand is not None:
            return
        are_counts_due, self._are_counts_due = self._are_counts_due, False
        if self._batch.is_empty() and self._journal.is_settled:
            self._idle.set()
            self._awaited_in_hand, self._awaited = self._awaited, []
            self._tell_durable()
            return
        self._in_hand = self._batch
        self._awaited_in_hand, self._awaited = self._awaited, []
        self._batch = Batch() if are_counts_due else self._in_hand.leave_counts()
        ids = self._commit_here(self._in_hand)
        if ids is None:
            self._thread.commit(self._in_hand)
        else:
            self._on_success(ids)

    def _commit_here(self, batch: Batch) -> list[int | None] | None:
        """Commit on the loop, where that takes some microseconds; None where the thread has to.

        Two threads that hand a batch to one another cost more than such a commit.
        """
        began = self._loop.time()
        if not self.is_healthy or began < self._slow_until:
            return None
        ids = self._thread.commit_at_once(batch)
        ended = self._loop.time()
        if ids is not None and ended - began > SLOW_COMMIT_S:
            self._slow_until = ended + SLOW_FOR_S
        return ids

    def _on_success(self, ids: list[int | None]) -> None:
        assert self._in_hand is not None  # noqa: S101  it was submitted
        batch, self._in_hand = self._in_hand, None
        if not self.is_healthy:
            self._failure = None
            self._recovered()
        try:
            self._committed(batch, ids)
            if self._awaited_in_hand:
                self._tell_durable()
        finally:  # whatever is made of it, the next batch must not wait for ever
            self._continue()

    def _tell_durable(self) -> None:
        awaited, self._awaited_in_hand = self._awaited_in_hand, []
        for callback in awaited:
            callback()

    def _continue(self) -> None:
        if self._journal.is_checkpoint_due:  # now that what was committed is told
            self._thread.checkpoint()
        if self._batch.is_urgent() or self._are_counts_due:
            self._soon()
        elif self._batch.counts or not self._journal.is_settled:
            self._count_later()
        elif self._flush is None:
            self._idle.set()

    def _on_failure(self, error: StateError) -> None:
        before, self._failure = self._failure, error
        if before is None or error.fault != before.fault:
            self._troubled(error)

    def _on_left_out(self, entries: int) -> None:
        self.left_out += entries
