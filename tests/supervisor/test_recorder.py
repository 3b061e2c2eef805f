"""What goes into one batch, and chores: what the journal's thread does between two batches."""

import asyncio
import sqlite3
import threading

import pytest

from nerve.errors import DatabaseError
from nerve.store.batch import LogEntry
from nerve.store.journal import Journal
from nerve.supervisor import recorder
from nerve.supervisor.recorder import Recorder

ROW = LogEntry(1, "s", "log", "info", None, "{}")
PATIENCE_S = 10.0


@pytest.fixture
def recording(tmp_path):
    """Run a scenario with a recorder; `committed` is set after each batch."""

    def run(scenario):
        async def main():
            journal, committed = Journal(tmp_path / "logs.db"), asyncio.Event()
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
