import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.store import daylines
from nerve.store.dayfile import (
    ArchivedDay,
    archived_days,
    file_name,
    row_of,
    utc_day,
)
from nerve.store.daylines import ascending, descending

AT_US = 1_795_222_998_318_013  # 2026-11-21T01:03:18.318013Z
ARCHIVES = """
CREATE TABLE archives (
    kind TEXT, day TEXT, file TEXT, first_id INTEGER, last_id INTEGER, rows INTEGER,
    bytes INTEGER, sha256 TEXT, PRIMARY KEY (kind, day)
) STRICT, WITHOUT ROWID
"""


def line_of(entry_id, text=""):
    row = {"id": entry_id, "at_us": AT_US, "source": "a", "type": "log", "level": "info"}
    return json.dumps({**row, "ref": None, "payload": text}).encode() + b"\n"


@pytest.fixture(params=["plain.jsonl", "packed.jsonl.gz"])
def write(tmp_path, request):
    def put(content):
        path = tmp_path / request.param
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return put


def read(path, *, after=0, until=10**18, matches=lambda line: True, limit=10**6, needles=()):
    """Read both ways; return the ids of each and what was complained of."""
    complaints = []
    bounds = {"after": after, "until": until, "matches": matches, "needles": needles}
    up = [entry_id for entry_id, _ in ascending(path, complaints.append, **bounds)]
    told = len(complaints)
    lines = descending(path, complaints.append, **bounds, limit=limit)
    down = [entry_id for entry_id, _ in lines]
    return up, down, complaints[:told], complaints[told:]


def test_a_file_is_named_for_its_table_and_utc_day():
    """LOG-3"""
    assert file_name("logs", utc_day(AT_US), compressed=False) == "logs/2026-11-21.jsonl"
    assert file_name("signals", "2026-11-21", compressed=True) == "signals/2026-11-21.jsonl.gz"


@settings(max_examples=60)
@given(data=st.data())
def test_any_range_is_read_whole_in_both_directions(tmp_path_factory, data):
    """LOG-3"""
    ids = sorted(data.draw(st.sets(st.integers(1, 300), max_size=40)))
    lines = [line_of(n, "x" * data.draw(st.integers(0, 90))) for n in ids]
    after, until = data.draw(st.integers(0, 301)), data.draw(st.integers(0, 301))
    limit, block = data.draw(st.integers(0, 50)), data.draw(st.integers(1, 700))
    path = tmp_path_factory.mktemp("day") / "day.jsonl"
    path.write_bytes(b"".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daylines, "BLOCK_BYTES", block)
        up, down, *complaints = read(path, after=after, until=until, limit=limit)
    assert up == [n for n in ids if after < n <= until]
    assert down == up[::-1][:limit]
    assert complaints == [[], []]


def test_only_what_matches_is_handed_out_and_the_limit_counts_that(write):
    path = write(b"".join(line_of(n, "odd" if n % 2 else "even") for n in range(1, 10)))
    up, down, *_ = read(path, matches=lambda line: b"odd" in line, limit=2)
    assert up == [1, 3, 5, 7, 9]
    assert down == [9, 7]


def test_blocks_without_a_needle_are_passed_over(write, monkeypatch):
    monkeypatch.setattr(daylines, "BLOCK_BYTES", 150)
    looked_at = []

    def matches(line):
        looked_at.append(line)
        return b"odd" in line

    path = write(b"".join(line_of(n, "odd" if n in {3, 60} else "even") for n in range(1, 80)))
    up, down, *_ = read(path, matches=matches, needles=[(b"never", b"odd")])
    assert up == down[::-1] == [3, 60]
    assert len(looked_at) < 20
    assert read(path, needles=[(b"odd",), (b"never",)])[:2] == ([], [])


def test_a_line_that_is_no_row_is_told_and_the_others_are_read(write):
    """LOG-3"""
    path = write(line_of(1) + b"oops\n" + line_of(3) + b'[]\n{"id": true}\n' + line_of(5))
    up, down, *complaints = read(path)
    assert up == down[::-1] == [1, 3, 5]
    for told in complaints:
        assert {str(error) for error in told} == {f"{path} is damaged: a line of it is no row"}


@pytest.mark.parametrize("line", [b'{"id": 6, "at', b'{"id": "6"}', b"[]", b"[" * 100_000])
def test_what_is_no_row_is_refused_as_one(line):
    with pytest.raises((ValueError, RecursionError)):
        row_of(line)


def test_a_file_that_is_missing_is_told_with_what_to_do(tmp_path):
    """LOG-3"""
    for name in ("a.jsonl", "a.jsonl.gz"):
        up, down, *complaints = read(tmp_path / name)
        assert up == down == []
        for (error,) in complaints:
            assert f"{name} is missing" in str(error)
            assert "restore" in error.hint


def test_a_compressed_file_that_was_cut_is_read_up_to_there(tmp_path):
    """LOG-3"""
    path = tmp_path / "cut.jsonl.gz"
    packed = gzip.compress(b"".join(line_of(n, str(n**9)) for n in range(1, 3_000)))
    path.write_bytes(packed[: len(packed) // 2])
    up, down, *complaints = read(path)
    assert len(up) > 100
    assert down == up[::-1]
    for (error,) in complaints:
        assert str(error).startswith(f"{path} is damaged")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_that_is_none_of_ours_is_told(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x00rubbish" * 10_000)
    _, _, *complaints = read(path)
    assert all(str(path) in str(error) for told in complaints for error in told)
    assert all(complaints)


def test_a_line_over_the_limit_ends_the_reading_of_that_file(write, monkeypatch):
    monkeypatch.setattr(daylines, "MAX_LINE_BYTES", 200)
    monkeypatch.setattr(daylines, "BLOCK_BYTES", 64)
    path = write(line_of(1) + line_of(2, "x" * 500) + line_of(3))
    up, _, told, _ = read(path)
    assert up == [1]
    assert "over 200 bytes" in str(told[0])


def test_a_journal_without_the_table_has_no_archive(owner):
    assert archived_days(owner()) == []


def test_the_days_are_those_of_the_table_whatever_texts_are_read_as(owner):
    raw = owner()
    raw.execute(ARCHIVES)
    values = ("logs", "2026-11-21", "logs/2026-11-21.jsonl", 3, 9, 5, 700, "ab")
    raw.execute(f"INSERT INTO archives VALUES {values}")
    raw.text_factory = bytes
    assert archived_days(raw) == [ArchivedDay(*values)]
