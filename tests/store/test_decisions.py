import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.errors import StateError
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.decisions import MAX_GAP_US, RUN_SPAN_US, TRIM_IDS, trim
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader

START = 1_790_000_000_000_000
MINUTE_US = 60_000_000


@pytest.fixture
def path(state):
    return state.journal_path


@pytest.fixture
def journal(path):
    with closing(Journal(path)) as journal:
        yield journal


def put(journal, *counts):
    """Commit what became of triggers: (sense, word, time, number, detail), the last two optional."""
    batch = Batch()
    for sense, word, at_us, *more in counts:
        batch.count(sense, word, at_us, *more)
    journal.commit(batch)


def runs(path):
    with closing(open_reader(path)) as reader:
        return reader.execute(
            "SELECT sense, decision, count, first_us, last_us, detail FROM decisions ORDER BY id"
        ).fetchall()


def totals(path):
    with closing(open_reader(path)) as reader:
        return {
            (sense, word): (count, last_us)
            for sense, word, count, last_us in reader.execute("SELECT * FROM outcomes")
        }


def test_a_sense_that_always_comes_to_the_same_has_one_row(journal, path):
    for n in range(50):
        put(journal, ("disk", "no_signal", START + n * RUN_SPAN_US))
    assert runs(path) == [("disk", "no_signal", 50, START, START + 49 * RUN_SPAN_US, "")]


def test_what_goes_on_in_turns_is_one_row_an_hour_for_each(journal, path):
    for minute in range(120):
        word = ("signal", "no_signal")[minute % 2]
        put(journal, ("disk", word, START + minute * MINUTE_US))
    assert [(word, count) for _, word, count, *_ in runs(path)] == [
        ("signal", 30),
        ("no_signal", 30),
        ("signal", 30),
        ("no_signal", 30),
    ]


def test_other_senses_do_not_break_a_run(journal, path):
    put(journal, ("disk", "signal", START))
    put(journal, ("cpu", "error", START))
    put(journal, ("disk", "signal", START + 2 * RUN_SPAN_US), ("cpu", "error", START + 1))
    assert [(sense, count) for sense, _, count, *_ in runs(path)] == [("disk", 2), ("cpu", 2)]


def test_a_long_silence_ends_a_run_and_so_does_a_clock_that_was_set_back(journal, path):
    """SIG-4"""
    for at_us in (START, START + MAX_GAP_US, START + MAX_GAP_US - 1):
        put(journal, ("disk", "signal", at_us))
    assert [first_us - START for _, _, _, first_us, *_ in runs(path)] == [
        0,
        MAX_GAP_US,
        MAX_GAP_US - 1,
    ]


def test_the_last_detail_that_says_something_stays(journal, path):
    for detail in ("full", "", "fuller", ""):
        put(journal, ("disk", "error", START, 1, detail))
    assert [(count, detail) for _, _, count, _, _, detail in runs(path)] == [(4, "fuller")]


def test_a_later_parent_begins_its_own_runs_and_goes_on_counting(path):
    """SIG-7, SIG-8"""
    for n in range(2):
        with closing(Journal(path)) as journal:
            put(journal, ("disk", "signal", START + n, 3))
    assert [count for _, _, count, *_ in runs(path)] == [3, 3]
    assert totals(path) == {("disk", "signal"): (6, START + 1)}


def test_a_transaction_that_failed_leaves_no_trace_in_the_tables_or_in_memory(path):
    """LOG-6, SIG-8"""
    with closing(Journal(path)) as journal:
        put(journal, ("disk", "signal", START))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            journal._raw.execute("PRAGMA busy_timeout = 0")
            for word in ("signal", "error"):
                with pytest.raises(StateError):
                    put(journal, ("disk", word, START + 1))
            other.execute("ROLLBACK")
        put(journal, ("disk", "error", START + 2))
        put(journal, ("disk", "signal", START + RUN_SPAN_US + 3))
    # The second `signal` came after an `error`, more than an hour after its run had begun.
    assert [(word, count) for _, word, count, *_ in runs(path)] == [
        ("signal", 1),
        ("error", 1),
        ("signal", 1),
    ]


def test_a_row_that_was_rolled_back_late_is_not_gone_on_with(path):
    """LOG-6, SIG-8: the insert of the run had worked, the commit had not."""
    with closing(Journal(path)) as journal:
        refused = Batch(meta={"a fact": object()})  # the last that a transaction writes
        refused.count("disk", "signal", START)
        with pytest.raises((StateError, sqlite3.Error)):
            journal.commit(refused)
        put(journal, ("disk", "signal", START + 1))
    assert runs(path) == [("disk", "signal", 1, START + 1, START + 1, "")]
    assert totals(path) == {("disk", "signal"): (1, START + 1)}


words = st.sampled_from(["signal", "no_signal", "throttled"])
steps_us = st.one_of(
    st.integers(0, MINUTE_US), st.integers(0, 2 * MAX_GAP_US), st.integers(-MAX_GAP_US, 0)
)
written = st.lists(
    st.tuples(st.sampled_from(["disk", "cpu"]), words, steps_us, st.integers(1, 9), st.booleans()),
    max_size=40,
)


@pytest.fixture(scope="module")
def one_journal(tmp_path_factory):
    path = tmp_path_factory.mktemp("decisions") / "logs.db"
    with closing(Journal(path)) as journal:
        journal._raw.execute("PRAGMA synchronous = OFF")
        yield journal, path


@settings(max_examples=60)
@given(written)
def test_runs_add_up_are_few_and_do_not_overlap_whatever_is_written(one_journal, written):
    """SIG-8"""
    journal, path = one_journal
    for table in ("decisions", "outcomes"):
        journal._raw.execute(f"DELETE FROM {table}")
    journal._runs = type(journal._runs)()
    at_us, breaks, counted, batch = START, 0, Counter(), Batch()
    first_us = last_us = at_us
    for sense, word, step_us, number, ends in written:
        at_us += step_us
        breaks += step_us < 0 or step_us >= MAX_GAP_US
        first_us, last_us = min(first_us, at_us), max(last_us, at_us)
        counted[sense, word] += number
        batch.count(sense, word, at_us, number)
        if ends:
            journal.commit(batch)
            batch = Batch()
    journal.commit(batch)
    found, summed = runs(path), Counter()
    for sense, word, number, *_ in found:
        summed[sense, word] += number
    assert summed == counted == {key: count for key, (count, _) in totals(path).items()}
    # One an hour for each; a silence begins another, and a clock that was set back one or two.
    span = (last_us - first_us) // RUN_SPAN_US + 1
    assert len(found) <= len(counted) * (span + 2 * breaks + 1)
    for sense, word, _, begun_us, ended_us, _ in found:
        assert begun_us <= ended_us, (sense, word)


def test_old_runs_are_trimmed_piece_by_piece_and_those_that_may_go_on_are_not(path):
    """LOG-3"""
    with closing(Journal(path)) as journal:
        journal._raw.executemany(
            "INSERT INTO decisions (sense, decision, count, first_us, last_us, detail)"
            " VALUES ('disk', 'signal', 1, ?, ?, '')",
            [(START + n, START + n) for n in range(TRIM_IDS + 10)],
        )
        put(journal, ("disk", "signal", START + 5))
        after, passes = 0, 0
        while after is not None:
            after = trim(journal._raw, after, START + TRIM_IDS + 5)
            passes += 1
        assert passes == 2
        left = [first_us - START for _, _, _, first_us, *_ in runs(path)]
        assert left == list(range(TRIM_IDS + 5, TRIM_IDS + 10))
        put(journal, ("disk", "signal", START + 6))
    assert totals(path) == {("disk", "signal"): (2, START + 6)}
    # The run that this would have gone on with was trimmed under it, by a clock that was ahead.
    assert runs(path)[-1][2:5] == (1, START + 6, START + 6)


def test_a_run_that_stopped_was_alive_until_then_whatever_commands_have_logged_since(path):
    """SIG-8: ticks of that time are missed."""
    with closing(Journal(path)) as journal:
        assert journal.last_seen_us() is None
        journal.begin_boot("b", pid=1, version="1", at_us=START)
        journal.end_boot("b", how="stopped", at_us=START + MINUTE_US)
        journal.commit(
            Batch(
                [LogEntry(START + 9 * MINUTE_US, "nerve", "archive.finished", "info", None, "{}")]
            )
        )
        assert journal.last_seen_us() == START + MINUTE_US


def test_a_run_that_was_killed_was_alive_at_its_last_outcome(path):
    """SIG-8"""
    with closing(Journal(path)) as journal:
        journal.begin_boot("b", pid=1, version="1", at_us=START)
        assert journal.last_seen_us() == START
        put(journal, ("disk", "no_signal", START + MINUTE_US))
        assert journal.last_seen_us() == START + MINUTE_US
        journal.commit(Batch([SignalEntry("disk", "e", 1, START + 2 * MINUTE_US, "1", "{}")]))
        assert journal.last_seen_us() == START + 2 * MINUTE_US
