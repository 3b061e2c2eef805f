"""LOG-3: whatever the clock has shown, each row is in its table or in a file, and the young stay."""

from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.store import due
from nerve.store.due import DAY_US, Due, Selection, selections, unanswered
from nerve.store.sqlite import open_reader
from tests.archive.conftest import NOW_US, Kept, days_ago, log, signal

TIMES = st.one_of(
    st.integers(-3, 9).map(days_ago),
    st.integers(0, 3).map(lambda day: day * DAY_US),
    st.integers(1, 3).map(lambda day: day * DAY_US - 1),
    st.integers(0, 2 * NOW_US),
)
ROWS = st.lists(st.tuples(st.sampled_from([log, signal]), TIMES), max_size=12)


@settings(max_examples=25)
@given(batches=st.lists(ROWS, min_size=1, max_size=3), compress=st.sampled_from(["none", "gzip"]))
def test_each_row_is_kept_once_and_nothing_young_is_archived(tmp_path_factory, batches, compress):
    """LOG-3"""
    kept = Kept(tmp_path_factory.mktemp("kept") / "data")
    expected = {}
    for number, rows in enumerate(batches):
        kept.record(*(entry(at_us) for entry, at_us in rows))
        expected |= kept.in_tables()
        kept.archive(NOW_US + number * DAY_US, compress=compress)
        assert kept.rows() == expected
        oldest_us = (NOW_US + (number - 1) * DAY_US) // DAY_US * DAY_US
        assert all(line["at_us"] < oldest_us for line in kept.in_files().values())
        assert all(line["at_us"] >= oldest_us for line in kept.in_tables().values())


def test_ids_are_looked_through_piece_by_piece(kept, monkeypatch):
    kept.record(*(log(days_ago(n % 5)) for n in range(40)))
    with closing(open_reader(kept.state.journal_path)) as reader:
        everything = Due({"logs": days_ago(0), "signals": 0}, 0, {})
        whole = selections(reader, everything)
        monkeypatch.setattr(due, "SCAN_IDS", 3)
        assert selections(reader, everything) == whole
    assert [selection.rows for selection in whole] == [8] * 4
    assert whole[0] == Selection("logs", "2024-09-30", 5, 40, 8)


def test_a_day_whose_ids_span_the_table_is_read_piece_by_piece(kept, monkeypatch):
    """LOG-3"""
    kept.record(signal(days_ago(5), seq=1), *(log(NOW_US) for _ in range(40)))
    kept.record(signal(days_ago(5), seq=2), cursors={("heat", "disk"): 1, ("new", "other"): 0})
    expected = kept.rows()
    monkeypatch.setattr(due, "SCAN_IDS", 10)
    whole = Selection("signals", "2024-09-29", 1, 42, 2)
    assert [(part.first_id, part.last_id) for part in whole.parts()] == [
        (1, 10),
        (11, 20),
        (21, 30),
        (31, 40),
        (41, 42),
    ]
    spans = []
    where = Selection.where

    def noted(self, after_id=0):
        spans.append(self.last_id - self.first_id)
        return where(self, after_id)

    monkeypatch.setattr(Selection, "where", noted)
    outcome = kept.archive(pairs=[("heat", "disk"), ("new", "other")])
    assert outcome.unanswered == {("heat", "disk"): 1}
    assert max(spans) == 9
    assert kept.rows() == expected
    assert len(kept.in_tables()) == 40


def test_without_a_cursor_no_signal_is_looked_at_to_see_whether_it_was_answered(kept):
    kept.record(signal(days_ago(5)))
    with closing(open_reader(kept.state.journal_path)) as reader:
        asked = []
        reader.set_trace_callback(asked.append)
        whole = Selection("signals", "2024-09-29", 1, 1, 1)
        assert unanswered(reader, whole, Due({"logs": 0, "signals": 0}, 0, {})) == {}
        assert asked == []
