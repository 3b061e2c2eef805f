"""What follows from the rows of `signals` is written now and then, and never lost or doubled."""

from contextlib import closing

import pytest

from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.journal_reading import last_signals_in, received_in
from nerve.store.marks import SETTLED
from nerve.store.sqlite import open_reader


@pytest.fixture
def path(state):
    return state.journal_path


@pytest.fixture
def journal(path, closing):
    return lambda: closing(Journal(path))


def signals(sense, *seqs, epoch="e"):
    return Batch([SignalEntry(sense, epoch, seq, 1_000 + seq, "{}", "{}") for seq in seqs])


def written(path):
    """Return what the tables say: marks, counts, and runs of decisions."""
    with closing(open_reader(path)) as reader:
        marks = reader.execute("SELECT sense, epoch, seq, signal_id FROM received").fetchall()
        counts = reader.execute("SELECT sense, count FROM outcomes ORDER BY sense").fetchall()
        runs = reader.execute("SELECT sense, sum(count) FROM decisions GROUP BY sense").fetchall()
        assert runs == counts
        return marks, counts


def test_marks_and_counts_are_written_with_the_first_signal_and_then_once_in_a_while(journal, path):
    """SIG-2: each page that a commit does not touch makes a signal cheaper."""
    opened, statements = journal(), []
    opened.commit(signals("a", 1))
    assert written(path) == ([("a", "e", 1, 1)], [("a", 1)])
    opened._raw.set_trace_callback(statements.append)
    for seq in range(2, 10):
        opened.commit(signals("a", seq))
    assert sum("INTO signals" in text for text in statements) == 8
    assert not any("received" in text or "outcomes" in text for text in statements)
    assert not opened.is_settled
    opened.settle()
    assert opened.is_settled
    assert written(path) == ([("a", "e", 9, 9)], [("a", 9)])


def test_whoever_opens_the_journal_after_a_crash_knows_and_counts_all_that_was_committed(
    journal, path
):
    """SIG-2, SIG-3"""
    opened = journal()
    opened.commit(signals("a", 1))
    opened.commit(Batch([*signals("a", 2).entries, *signals("a", 1, epoch="f").entries]))
    opened.commit(Batch([LogEntry(1, "a", "log", "info", None, "{}"), *signals("b", 1).entries]))
    assert written(path) == ([("a", "e", 1, 1)], [("a", 1)])
    opened._raw.close()
    for _ in range(2):  # the second finds what the first has settled
        with closing(Journal(path)) as reopened:
            assert reopened.received() == {"a": {"e": 2, "f": 1}, "b": {"e": 1}}
            assert reopened.commit(signals("a", 1, 2)) == [None, None]
        marks, counts = written(path)
        assert sorted(marks) == [("a", "e", 2, 2), ("a", "f", 1, 3), ("b", "e", 1, 5)]
        assert counts == [("a", 3), ("b", 1)]


def test_what_deletes_rows_of_signals_finds_them_settled(journal, path):
    """SIG-2, LOG-3"""
    opened = journal()
    for seq in (1, 2):
        opened.commit(signals("a", seq))
    opened.perform(lambda raw: raw.execute("DELETE FROM signals"))
    opened._raw.close()
    assert journal().received() == {"a": {"e": 2}}
    assert written(path)[1] == [("a", 2)]


def test_who_reads_meanwhile_knows_the_last_signals_all_the_same(journal, path):
    """SIG-7: a sense that comes back is not to take them for answered."""
    opened = journal()
    for seq in (1, 2):
        opened.commit(signals("a", seq))
    opened.commit(signals("b", 1))
    with closing(open_reader(path)) as reader:
        assert last_signals_in(reader) == {"a": 2, "b": 3}
        assert received_in(reader) == {("a", "e"): 2, ("b", "e"): 1}


def test_the_journal_of_an_earlier_version_is_settled_to_its_end(journal, path):
    """SIG-2"""
    opened = journal()
    opened.commit(signals("a", 1))
    opened._raw.execute("DELETE FROM meta WHERE key = ?", (SETTLED,))
    opened._raw.close()
    with closing(Journal(path)) as reopened:
        assert reopened.commit(signals("a", 1, 2)) == [None, 2]
    assert written(path) == ([("a", "e", 2, 2)], [("a", 2)])


def test_the_last_signals_are_found_while_the_running_nerve_settles_them(journal, path):
    """SIG-6: one that is not found is not offered to who listens, at the start or later."""
    opened, statements = journal(), []

    def settle(statement):
        statements.append(statement)
        if len(statements) == 2:
            opened.settle()

    opened.commit(signals("a", 1))
    opened.commit(signals("a", 2))
    assert not opened.is_settled
    with closing(open_reader(path)) as reader:
        reader.set_trace_callback(settle)
        assert last_signals_in(reader) == {"a": 2}
    assert opened.is_settled
