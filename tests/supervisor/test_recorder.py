"""Who commits, and what the journal's thread does between two batches."""

import asyncio
import json
import sqlite3
import threading
from contextlib import closing

import pytest

from nerve.clock import US_PER_S
from nerve.errors import DatabaseError
from nerve.store.batch import Batch, LogEntry
from nerve.store.journal import AT_ONCE_BYTES, AT_ONCE_ROWS, Journal
from nerve.store.journal_file import BACKSTOP_PAGES, CHECKPOINT_PAGES, PAGE_BYTES
from nerve.supervisor import recorder
from nerve.supervisor.recorder import Recorder

PATIENCE_S = 30
ROW = LogEntry(1, "s", "log", "info", None, "{}")


@pytest.fixture
def recording(tmp_path):
    """Run a scenario with a recorder; `committed` is set after each batch.

    What SQLite is told goes to `told`, with the name of the thread that said it.
    """

    def run(scenario, *, full_sync=True, told=None):
        async def main():
            journal = Journal(tmp_path / "logs.db", full_sync=full_sync)
            committed = asyncio.Event()
            if told is not None:
                journal._raw.set_trace_callback(
                    lambda text: told.append((threading.current_thread().name, text))
                )
            recorder = Recorder(
                journal,
                asyncio.get_running_loop(),
                committed=lambda *_: committed.set(),
                troubled=lambda _: None,
                recovered=lambda: None,
                restored=lambda: None,
                filled=lambda: None,
            )
            try:
                await scenario(recorder, committed)
            finally:
                await asyncio.to_thread(recorder.close)
                journal.close()

        asyncio.run(main())

    return run


def test_a_chore_works_on_the_journal_and_tells_what_came_of_it(recording):
    async def scenario(recorder, committed):
        recorder.log(ROW)
        await committed.wait()
        count = recorder.chore(lambda raw: raw.execute("SELECT count(*) FROM logs").fetchone())
        assert await asyncio.wrap_future(count) == (1,)

    recording(scenario)


def test_a_chore_that_fails_is_rolled_back_and_hurts_nobody_else(recording):
    """LOG-6"""

    def spoil(raw):
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("DELETE FROM logs")
        raw.execute("nonsense")

    async def scenario(recorder, committed):
        recorder.log(ROW)
        await committed.wait()
        with pytest.raises(DatabaseError, match="nonsense"):
            await asyncio.wrap_future(recorder.chore(spoil))
        committed.clear()
        recorder.log(ROW)
        await committed.wait()
        count = recorder.chore(lambda raw: raw.execute("SELECT count(*) FROM logs").fetchone())
        assert await asyncio.wrap_future(count) == (2,)

    recording(scenario)


def test_a_chore_that_nobody_waits_for_any_more_is_not_done(recording):
    async def scenario(recorder, _):
        begun, go_on, done = threading.Event(), threading.Event(), []

        def hold(_raw: sqlite3.Connection):
            begun.set()
            go_on.wait()

        first, second = recorder.chore(hold), recorder.chore(lambda _: done.append(1))
        await asyncio.to_thread(begun.wait)
        assert not first.cancel()
        assert second.cancel()
        go_on.set()
        await asyncio.wrap_future(recorder.chore(lambda _: None))
        assert done == []

    recording(scenario)


def test_counts_go_with_what_is_told_of_their_sense_and_others_wait(recording):
    """SIG-8"""
    counted = "SELECT sense, outcome, count FROM outcomes ORDER BY sense, outcome"

    async def scenario(recorder, committed):
        recorder.count("other", "no_signal", 1)
        recorder.count("s", "no_signal", 1)
        recorder.count("s", "error", 2)
        recorder.log(ROW)
        await committed.wait()
        rows = recorder.chore(lambda raw: raw.execute(counted).fetchall())
        assert await asyncio.wrap_future(rows) == [("s", "error", 1), ("s", "no_signal", 1)]
        assert await recorder.drain(PATIENCE_S)
        rows = recorder.chore(lambda raw: raw.execute(counted).fetchall())
        assert await asyncio.wrap_future(rows) == [
            ("other", "no_signal", 1),
            ("s", "error", 1),
            ("s", "no_signal", 1),
        ]

    recording(scenario)


def test_counts_alone_are_written_after_a_while(recording, monkeypatch):
    """SIG-8"""

    async def scenario(recorder, committed):
        recorder.count("s", "no_signal", 1)
        await committed.wait()
        count = recorder.chore(lambda raw: raw.execute("SELECT count FROM outcomes").fetchone())
        assert await asyncio.wrap_future(count) == (1,)

    monkeypatch.setattr(recorder, "COUNTS_EVERY_S", 0.01)
    recording(scenario)


def test_a_cursor_that_is_forgotten_and_nothing_else_is_a_batch(recording):
    """SIG-7"""

    async def scenario(recorder, committed):
        recorder.cursor("s", "source", 1)
        await asyncio.wait_for(committed.wait(), PATIENCE_S)
        committed.clear()
        recorder.forget("s", "source")
        await asyncio.wait_for(committed.wait(), PATIENCE_S)
        rows = recorder.chore(lambda raw: raw.execute("SELECT * FROM cursors").fetchall())
        assert await asyncio.wrap_future(rows) == []

    recording(scenario)


def said_by(told, words):
    """Return the threads that have said something, in their order."""
    return [thread for thread, text in told if words in text]


@pytest.mark.parametrize("full_sync", [True, False])
def test_what_is_synced_is_committed_in_the_thread_and_what_is_not_on_the_loop(
    recording, full_sync
):
    """LOG-6: a sync must not hold the loop, and to hand over a batch costs more than a commit."""
    told = []

    async def scenario(recorder, committed):
        for _ in range(3):
            committed.clear()
            recorder.log(ROW)
            await asyncio.wait_for(committed.wait(), PATIENCE_S)

    recording(scenario, full_sync=full_sync, told=told)
    synced = said_by(told, "synchronous=FULL") and said_by(told, "COMMIT")[:1]
    assert synced == ([] if full_sync else ["journal"])  # the first: ids are granted with it
    thread = "journal" if full_sync else "MainThread"
    assert said_by(told, "COMMIT")[len(synced) : 3] == [thread] * (3 - len(synced))


def test_many_rows_are_written_in_the_thread_even_where_nothing_is_synced(recording):
    """SIG-4: the loop has ticks to keep."""
    told = []

    async def scenario(recorder, committed):
        for number in (1, 1, AT_ONCE_ROWS + 1):
            committed.clear()
            for n in range(number):
                recorder.cursor(f"s{n}", "source", 1)
            recorder.log(ROW)
            await asyncio.wait_for(committed.wait(), PATIENCE_S)

    recording(scenario, full_sync=False, told=told)
    assert said_by(told, "COMMIT")[:3] == ["journal", "MainThread", "journal"]


def test_large_payloads_are_written_in_the_thread_even_where_nothing_is_synced(recording):
    """SIG-4: a hundred of a megabyte take more than a tenth of a second."""
    told = []

    async def scenario(recorder, committed):
        for row in (ROW, ROW, ROW._replace(payload=json.dumps("x" * AT_ONCE_BYTES))):
            committed.clear()
            recorder.log(row)
            await asyncio.wait_for(committed.wait(), PATIENCE_S)

    recording(scenario, full_sync=False, told=told)
    assert said_by(told, "COMMIT")[:3] == ["journal", "MainThread", "journal"]


def test_a_locked_journal_does_not_hold_the_loop_where_it_commits_itself(recording, tmp_path):
    """LOG-6"""
    told = []

    async def scenario(recorder, committed):
        recorder.log(ROW)  # the first goes to the thread anyway
        await asyncio.wait_for(committed.wait(), PATIENCE_S)
        committed.clear()
        with closing(sqlite3.connect(tmp_path / "logs.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            recorder.log(ROW)
            while said_by(told, "BEGIN")[1:] != ["MainThread", "journal"]:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)
            assert not committed.is_set()
        await asyncio.wait_for(committed.wait(), PATIENCE_S)

    recording(scenario, full_sync=False, told=told)


@pytest.mark.parametrize("full_sync", [True, False])
def test_the_log_of_what_was_written_is_brought_in_between_two_commits(
    recording, tmp_path, full_sync
):
    """LOG-6: neither does a signal wait for it, nor does it grow without end."""
    told = []
    row = ROW._replace(payload=json.dumps("x" * PAGE_BYTES))

    async def scenario(recorder, committed):
        for _ in range(40):
            committed.clear()
            for _ in range(CHECKPOINT_PAGES // 10):
                recorder.log(row)
            await asyncio.wait_for(committed.wait(), PATIENCE_S)
        last = recorder.chore(lambda raw: raw.execute("PRAGMA wal_checkpoint").fetchone())
        assert (await asyncio.wrap_future(last))[1] < BACKSTOP_PAGES

    recording(scenario, full_sync=full_sync, told=told)
    assert set(said_by(told, "wal_checkpoint(PASSIVE)")) == {"journal"}
    assert len(said_by(told, "wal_checkpoint(PASSIVE)")) >= 3


def test_counts_bring_the_log_in_as_rows_do(tmp_path):
    """LOG-6: senses that tell nothing fill it all the same, a page for each dozen of counts."""
    journal = Journal(tmp_path / "logs.db", full_sync=False)
    wal = tmp_path / "logs.db-wal"
    checkpoints = 0
    for second in range(40):
        batch = Batch()
        for number in range(5_000):
            batch.count(f"sense-{number}", "no_signal", second * US_PER_S)
        journal.commit(batch)
        if journal.is_checkpoint_due:
            journal.checkpoint()
            checkpoints += 1
    size = wal.stat().st_size
    journal.close()
    assert checkpoints
    assert size < BACKSTOP_PAGES * PAGE_BYTES


def test_chores_bring_the_log_in_though_nothing_else_is_written(recording, tmp_path):
    """LOG-6: the archive deletes a thousand rows at a time, and that for hours after a long pause."""

    async def scenario(recorder, committed):
        for _ in range(60_000):
            recorder.log(ROW)
            if recorder.waiting_entries >= 1_000:
                await asyncio.sleep(0.001)
        await recorder.drain(PATIENCE_S)
        for first_id in range(0, 60_000, 100):
            deleting = f"DELETE FROM logs WHERE id BETWEEN {first_id} AND {first_id + 99}"
            await asyncio.wrap_future(recorder.chore(lambda raw, d=deleting: raw.execute(d)))
        assert (tmp_path / "logs.db-wal").stat().st_size < BACKSTOP_PAGES * PAGE_BYTES

    recording(scenario, full_sync=False)


def test_only_the_loops_own_commits_do_not_wait_for_a_lock(tmp_path):
    """LOG-6: an open `sqlite3` shell must not make a crash of a clean stop, nor end the archive."""
    journal = Journal(tmp_path / "logs.db", full_sync=False)
    journal.begin_boot("b", pid=1, version="1", at_us=1)
    journal.commit(Batch([ROW]))
    for write in (
        lambda: journal.perform(lambda raw: raw.execute("DELETE FROM logs")),
        lambda: journal.end_boot("b", how="stopped", at_us=2),
    ):
        assert journal.commit_at_once(Batch([ROW]))
        with closing(
            sqlite3.connect(tmp_path / "logs.db", isolation_level=None, check_same_thread=False)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            ending = threading.Timer(0.2, other.execute, ["ROLLBACK"])
            ending.start()
            write()
            ending.join()
    journal.close()


def test_since_when_the_thread_is_at_a_job_is_known_until_its_end(recording):
    async def scenario(recorder, committed):
        held, let_go = threading.Event(), threading.Event()
        before = asyncio.get_running_loop().time()

        def work(raw):
            held.set()
            let_go.wait(PATIENCE_S)

        chore = recorder.chore(work)
        await asyncio.to_thread(held.wait, PATIENCE_S)
        assert before <= recorder.busy_since <= asyncio.get_running_loop().time()
        let_go.set()
        await asyncio.wrap_future(chore)
        await asyncio.wrap_future(recorder.chore(lambda raw: None))
        recorder.close()
        assert recorder.busy_since is None

    recording(scenario)


def test_a_batch_that_is_refused_and_waits_for_another_try_holds_nobody(recording, monkeypatch):
    async def scenario(recorder, committed):
        fails, waits = iter([DatabaseError("no room", path="x")]), threading.Event()
        commit, wait = recorder._journal.commit, recorder._thread._closing.wait

        def failing(batch):
            if error := next(fails, None):
                raise error
            return commit(batch)

        def waiting(seconds):
            seen.append(recorder.busy_since)
            waits.set()
            return wait(0)

        seen = []
        monkeypatch.setattr(recorder._journal, "commit", failing)
        monkeypatch.setattr(recorder._thread._closing, "wait", waiting)
        recorder.log(ROW)
        await asyncio.to_thread(waits.wait, PATIENCE_S)
        await asyncio.wait_for(committed.wait(), PATIENCE_S)
        assert seen == [None]
        assert recorder.trouble == ""

    recording(scenario)
