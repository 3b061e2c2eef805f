"""LOG-2: a range of time is read from few ids, and nothing in it is missed."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.cli.selection import Selection
from nerve.cli.timeline import MAX_ID, Timeline
from nerve.store import spans
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.place import Place
from nerve.store.spans import note, ranges_of, unnoted
from nerve.store.sqlite import open_reader

FEW_IDS = 4
LIMIT = 100


@pytest.fixture(autouse=True)
def small_spans(monkeypatch):
    monkeypatch.setattr(spans, "SPAN_IDS", FEW_IDS)


def _note_all(journal, path):
    with closing(open_reader(path)) as reader:
        for span in unnoted(reader):
            journal.perform(lambda raw, span=span: note(raw, span))


def _entry(number, at_us):
    if number % 3:
        return LogEntry(at_us, "s", "log", "info", None, "{}")
    return SignalEntry("s", "e", number + 1, at_us, "{}", "{}")


def _recorded(path, times, *, noted):
    """Record entries of these times, the first of them noted."""
    with closing(Journal(path)) as journal:
        for number, at_us in enumerate(times):
            journal.commit(Batch([_entry(number, at_us)]))
            if number + 1 == noted:
                _note_all(journal, path)


def _read(path, selection):
    with closing(open_reader(path)) as reader:
        timeline = Timeline(reader, Place(path), path.parent / "archive", complain=print)
        rising = timeline.oldest(selection, LIMIT).entries
        falling = timeline.newest(selection, LIMIT).entries
        paged = timeline.newest(selection, 2).entries
    assert rising == falling
    assert paged == rising[-2:]
    return [entry.id for entry in rising]


BOUND = st.none() | st.integers(-1, 21)


@settings(max_examples=40)
@given(
    times=st.lists(st.integers(0, 20), max_size=25),
    noted=st.integers(0, 25),
    since_us=BOUND,
    until_us=BOUND,
)
def test_whatever_the_clock_has_shown_all_of_a_time_is_found(
    tmp_path_factory, times, noted, since_us, until_us
):
    path = tmp_path_factory.mktemp("spans") / "logs.db"
    _recorded(path, times, noted=noted)
    begin, end = (-1 if since_us is None else since_us), (99 if until_us is None else until_us)
    expected = [n for n, at_us in enumerate(times, 1) if begin <= at_us < end]
    assert _read(path, Selection(since_us=since_us, until_us=until_us)) == expected


def test_only_ids_that_may_be_of_a_time_are_looked_through(tmp_path):
    path = tmp_path / "logs.db"
    _recorded(path, range(18), noted=18)
    with closing(open_reader(path)) as reader:
        assert ranges_of(reader, 9, 12) == [(8, 12), (16, MAX_ID)]
        assert ranges_of(reader, 16, None) == [(16, MAX_ID)]
        assert ranges_of(reader, None, 2) == [(0, 4), (16, MAX_ID)]


def test_spans_whose_entries_are_gone_are_forgotten(tmp_path):
    path = tmp_path / "logs.db"
    with closing(Journal(path)) as journal:
        journal.commit(Batch([_entry(number, number) for number in range(12)]))
        _note_all(journal, path)
        journal.perform(
            lambda raw: raw.executescript(
                "DELETE FROM logs WHERE id < 7; DELETE FROM signals WHERE id < 7"
            )
        )
        journal.commit(Batch([_entry(number, number) for number in range(12, 16)]))
        _note_all(journal, path)
        known = journal.perform(
            lambda raw: raw.execute("SELECT first_id, last_id FROM spans").fetchall()
        )
    assert known == [(5, 8), (9, 12), (13, 16)]


def test_a_damaged_time_may_be_any(tmp_path):
    path = tmp_path / "logs.db"
    _recorded(path, range(4), noted=0)
    with closing(Journal(path)) as journal:
        journal.perform(
            lambda raw: raw.executescript(
                "PRAGMA writable_schema=ON;"
                "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'logs'"
            )
        )
    with closing(Journal(path)) as journal:
        journal.perform(lambda raw: raw.execute("UPDATE logs SET at_us = 'noon' WHERE id = 2"))
        _note_all(journal, path)
    with closing(open_reader(path)) as reader:
        assert ranges_of(reader, 15, 16) == [(0, 4), (4, MAX_ID)]
