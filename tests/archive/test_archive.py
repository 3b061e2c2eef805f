"""LOG-3: what is old goes to files, each row once, and space is given back."""

import contextlib
import errno
import itertools
import json
import os
import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from nerve.clock import SystemClock
from nerve.errors import StateFaulty, StateFull
from nerve.store import archive, daywriter, decisions, due
from nerve.store.archive import WATERMARK
from nerve.store.batch import Batch
from nerve.store.due import DAY_US, Due
from nerve.store.journal import Journal
from nerve.supervisor.archiving import finished
from tests.archive.conftest import DAY, NOW_US, days_ago, log, signal


def test_whole_days_that_are_older_than_retention_go_to_files_of_their_own(kept):
    """LOG-3"""
    kept.record(
        log(days_ago(3)), signal(days_ago(3)), log(days_ago(2)), log(days_ago(1)), log(NOW_US)
    )
    before = kept.rows()
    outcome = kept.archive()
    assert kept.rows() == before
    assert kept.files() == [
        "logs/2024-10-01.jsonl",
        "logs/2024-10-02.jsonl",
        "signals/2024-10-01.jsonl",
    ]
    assert sorted(kept.in_tables()) == [("logs", 4), ("logs", 5)]
    assert {kind: (moved.days, moved.rows) for kind, moved in outcome.moved.items()} == {
        "logs": (2, 2),
        "signals": (1, 1),
    }
    assert kept.query("SELECT value FROM meta WHERE key = ?", WATERMARK) == [
        ("2024-10-03T00:00:00.000000Z",)
    ]
    assert [
        (day.rows, day.first_id, day.last_id) for day in kept.days() if day.kind == "signals"
    ] == [(1, 2, 2)]


def test_a_second_run_finds_nothing_to_do(kept):
    kept.record(log(days_ago(3)))
    kept.archive()
    days = kept.days()
    assert kept.archive().moved["logs"].days == 0
    assert kept.days() == days


def test_compressed_days_hold_the_same_rows_and_a_day_never_has_two_files(kept):
    """LOG-3"""
    kept.record(*(log(days_ago(3, n)) for n in range(500)))
    before = kept.rows()
    kept.archive(compress="gzip")
    assert kept.files() == ["logs/2024-10-01.jsonl.gz"]
    assert kept.rows() == before
    assert kept.days()[0].bytes < 10_000
    kept.record(log(days_ago(3)))
    kept.archive()
    assert kept.files() == ["logs/2024-10-01.jsonl"]
    assert kept.rows().keys() == before.keys() | {("logs", 501)}


def test_rows_that_a_clock_dates_in_an_archived_day_join_its_file_by_id(kept):
    """LOG-3"""
    kept.record(log(days_ago(3)), log(days_ago(3, 5)))
    kept.archive()
    kept.record(log(days_ago(3, -5), "later"), log(days_ago(4), "earlier day"))
    before = kept.rows()
    kept.archive()
    assert kept.rows() == before
    assert [line["id"] for line in kept.lines("logs/2024-10-01.jsonl")] == [1, 2, 3]
    assert not kept.in_tables()


class Stopped(Exception):
    """A stop of nerve, which may come before each piece of work."""


@pytest.mark.parametrize("piece", range(1, 9))
def test_a_stop_before_any_piece_of_work_loses_nothing_and_leaves_nothing_to_refuse(kept, piece):
    """LOG-3"""
    kept.record(signal(days_ago(3)), log(days_ago(3)))
    kept.archive()
    kept.record(signal(days_ago(3), seq=2), log(days_ago(3)))
    pieces = itertools.count(1)

    def stopped(perform):
        def do(work):
            if next(pieces) == piece:
                raise Stopped
            return perform(work)

        return do

    with contextlib.suppress(Stopped):
        kept.archive(do=stopped)
    known = {day.file: day.sha256 for day in kept.days()}
    assert {f: daywriter.sha256_of(kept.state.archive / f) for f in kept.files() if f in known} == (
        known
    )
    kept.record(log(days_ago(5)))
    before = kept.rows()
    assert not kept.archive().refused
    assert kept.rows() == before
    assert not kept.in_tables()


def test_only_a_whole_run_says_how_far_the_archive_has_come(kept):
    """LOG-3"""
    kept.record(signal(days_ago(9)), log(days_ago(3)))

    def ended_early(days):
        yield next(days)
        raise Stopped

    with pytest.raises(Stopped):
        kept.archive(wrapped=ended_early, signals="30d")
    assert kept.query("SELECT value FROM meta WHERE key = ?", WATERMARK) == []
    kept.archive(signals="30d")
    assert kept.query("SELECT value FROM meta WHERE key = ?", WATERMARK) == [
        ("2024-09-04T00:00:00.000000Z",)
    ]


def test_a_row_from_before_1970_or_from_the_future_stays_and_stands_in_nobodys_way(kept):
    """LOG-3"""
    kept.record(log(-DAY_US), log(days_ago(-4_000)), log(days_ago(9)), log(NOW_US))
    kept.archive()
    assert sorted(kept.in_tables()) == [("logs", 1), ("logs", 2), ("logs", 4)]
    assert kept.files() == ["logs/2024-09-25.jsonl"]


def test_damaged_rows_are_kept_with_their_text(kept):
    """LOG-3"""
    kept.record(*(log(days_ago(3, n)) for n in range(4)), signal(days_ago(3)))
    kept.change("UPDATE logs SET payload = '{\"cut\": ' WHERE id = 1")
    kept.change("UPDATE logs SET payload = CAST(x'22ff22' AS TEXT) WHERE id = 2")
    kept.change("UPDATE logs SET source = CAST(x'64ff' AS TEXT), payload = 'NaN' WHERE id = 3")
    kept.change("UPDATE logs SET payload = ? WHERE id = 4", "[1.10,\n 1e400]")
    kept.change("UPDATE signals SET cause = ? WHERE id = 5", "[" * 100_000)
    kept.archive()
    first, second, third, fourth = kept.lines("logs/2024-10-01.jsonl")
    assert (first["payload"], first["raw"]) == (None, {"payload": '{"cut": '})
    assert (second["payload"], second["raw"]) == (None, {"payload": '"\udcff"'})
    assert (third["source"], third["payload"]) == (None, None)
    assert third["raw"] == {"source": "d\udcff", "payload": "NaN"}
    assert "raw" not in fourth
    assert (
        b'"payload": [1.10,  1e400]}' in (kept.state.archive / "logs/2024-10-01.jsonl").read_bytes()
    )
    (of_signal,) = kept.lines("signals/2024-10-01.jsonl")
    assert of_signal["payload"] == {"at": days_ago(3)}
    assert of_signal["raw"] == {"cause": "[" * 100_000}
    assert kept.query("SELECT count(*) FROM logs") == [(0,)]


@pytest.mark.parametrize("harm", ["cut", "changed", "emptied", "foreign"])
def test_a_day_whose_file_is_not_what_was_written_is_refused_and_its_rows_stay(kept, harm):
    """LOG-3"""
    kept.record(log(days_ago(3)), log(days_ago(3)))
    kept.archive()
    path = kept.state.archive / "logs/2024-10-01.jsonl"
    content = path.read_bytes()
    harmed = {"cut": content[:-9], "changed": content.replace(b"hello", b"jello"), "emptied": b""}
    path.write_bytes(harmed.get(harm, content))
    if harm == "foreign":  # the journal knows nothing of it, and it holds another row of that id
        kept.change("DELETE FROM archives")
        kept.change("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'logs'")
    there = path.read_bytes()
    kept.record(log(days_ago(3), "new"), log(days_ago(2)))
    outcome = kept.archive()
    (refused,) = outcome.refused
    assert (refused.kind, refused.day) == ("logs", "2024-10-01")
    assert str(path) in refused.message
    assert path.read_bytes() == there
    assert [line["payload"] for line in kept.in_tables().values()] == ["new"]
    assert outcome.moved["logs"].days == 1
    if harm == "foreign":
        assert "move it away" in refused.hint
        path.rename(path.with_suffix(".away"))
    else:
        path.rename(name_in(refused.hint))
    kept.archive()
    assert [line["payload"] for line in kept.lines("logs/2024-10-01.jsonl")] == ["new"]


def name_in(hint):
    """The name under which a file is to be given up, as a person reads it."""
    return Path(re.search(r" as (\S+\.lost-\w+),", hint)[1])


def test_a_file_that_is_missing_is_not_replaced_until_it_is_given_up_and_then_once(kept):
    """LOG-3"""
    kept.record(log(days_ago(3), "old"))
    kept.archive()
    path = kept.state.archive / "logs/2024-10-01.jsonl"
    away = path.rename(kept.state.root / "away")
    kept.record(log(days_ago(3), "new"))
    known = kept.days()
    (refused,) = kept.archive().refused
    assert f"{path} is missing, 1 rows" in refused.message
    assert kept.days() == known
    away.rename(path)  # it was on a disk that is there again
    assert not kept.archive().refused
    assert [line["payload"] for line in kept.lines("logs/2024-10-01.jsonl")] == ["old", "new"]

    def lose():
        path.unlink()
        kept.record(log(days_ago(3), "newer"))
        (refused,) = kept.archive().refused
        return refused

    name_in(lose().hint).touch()
    assert not kept.archive().refused
    assert [line["payload"] for line in kept.lines("logs/2024-10-01.jsonl")] == ["newer"]
    assert lose().day == "2024-10-01"


def test_a_file_that_was_read_back_otherwise_than_written_replaces_nothing(kept, monkeypatch):
    """LOG-3"""
    kept.record(log(days_ago(3)))
    write = daywriter._write
    monkeypatch.setattr(
        daywriter, "_write", lambda out, *more: (write(out, *more), out.write(b"x"))[0]
    )
    with pytest.raises(StateFaulty):
        kept.archive()
    assert kept.files() == []
    assert sorted(kept.in_tables()) == [("logs", 1)]


def test_on_a_full_disk_nothing_is_deleted_and_nothing_half_written_stays(kept, monkeypatch):
    """LOG-6"""
    kept.record(log(days_ago(3)), log(days_ago(2)))
    before, fsync = kept.rows(), os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateFull):
        kept.archive()
    assert kept.files() == []
    assert kept.in_tables() == before
    monkeypatch.setattr(os, "fsync", fsync)
    kept.archive()
    assert kept.rows() == before


def test_a_large_file_is_synced_piece_by_piece(kept, monkeypatch):
    kept.record(*(log(days_ago(3, n), "x" * 400) for n in range(100)))
    monkeypatch.setattr(daywriter, "SYNC_BYTES", 20_000)
    synced, fsync, folder = [], os.fsync, str(kept.state.archive / ".unfinished-")

    def noted(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(folder):
            synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    kept.archive()
    assert synced[-1] == kept.days()[0].bytes
    assert all(later - earlier < 21_000 for earlier, later in pairwise([0, *synced]))


def test_space_is_given_back_to_the_disk(kept):
    """LOG-3"""
    kept.record(*(log(days_ago(3, n), "x" * 1_000) for n in range(3_000)), log(NOW_US))
    outcome = kept.archive()
    before, after = outcome.journal_bytes
    assert before > 3_000_000
    assert after < 200_000
    assert outcome.freed_bytes == before - after
    assert kept.state.journal_path.stat().st_size == after


@pytest.fixture
def deleted(monkeypatch):
    """How many rows each transaction of the archive has deleted."""
    numbers, delete = [], archive._delete

    def note(raw, kind, ids):
        numbers.append(len(ids))
        return delete(raw, kind, ids)

    monkeypatch.setattr(archive, "_delete", note)
    return numbers


def test_each_transaction_on_the_journal_is_small(kept, monkeypatch, deleted):
    """LOG-3"""
    kept.record(*(log(days_ago(3, n)) for n in range(950)))
    monkeypatch.setattr(archive, "CLEAR_ROWS", 100)
    kept.archive()
    assert deleted == [100] * 9 + [50]


@pytest.mark.parametrize("entry", [log, signal])
def test_where_rows_are_large_fewer_are_deleted_by_one_transaction(
    kept, monkeypatch, deleted, entry
):
    """LOG-3"""
    entries = [entry(days_ago(3, n))._replace(payload=f'"{"ü" * 400}"') for n in range(10)]
    kept.record(*entries, entry(days_ago(3, 99))._replace(payload=f'"{"x" * 4_000}"'))
    monkeypatch.setattr(archive, "CLEAR_BYTES", 2_500)
    kept.archive()
    assert deleted == [3, 3, 3, 1, 1]
    assert not kept.in_tables()


class Slow(SystemClock):
    """A clock by which each look takes a second."""

    now_s = 0.0

    def monotonic(self):
        self.now_s += 1
        return self.now_s


class Quick(SystemClock):
    """A clock that stands still."""

    def monotonic(self):
        return 0.0


def test_pages_are_given_back_as_many_at_a_time_as_that_may_take(kept, monkeypatch):
    """LOG-3"""
    kept.record(*(log(days_ago(3, n), "x" * 1_000) for n in range(3_000)), log(NOW_US))
    given, give_back = [], archive._give_back
    monkeypatch.setattr(
        archive, "_give_back", lambda raw, pages: (given.append(pages), give_back(raw, pages))
    )
    kept.archive(clock=Slow())
    assert len(given) > 500
    assert set(given) == {1}
    given.clear()
    kept.record(*(log(days_ago(3, n), "x" * 1_000) for n in range(3_000)), log(NOW_US))
    kept.archive(clock=Quick())
    assert given[:4] == [1, 2, 4, 8]
    assert max(given) == archive.GIVE_BACK_PAGES
    assert kept.state.journal_path.stat().st_size < 200_000


def test_a_signal_that_was_not_answered_waits_twice_as_long_and_goes_with_a_word(kept):
    """LOG-3"""
    answered, waiting, other = (
        signal(days_ago(5), seq=1),
        signal(days_ago(5, 1), seq=1),
        signal(days_ago(5), "load", seq=1),
    )
    kept.record(
        answered, waiting, other, cursors={("heat", "disk"): 1, ("gone", "load"): 0}.items()
    )
    pairs = [("heat", "disk"), ("new", "disk")]
    before = kept.rows()
    assert not kept.archive(pairs=pairs, signals="3d").unanswered
    assert sorted(kept.in_tables()) == [("signals", 2)]
    assert kept.rows() == before

    def tell(rows):  # before they go
        assert sorted(kept.in_tables()) == [("signals", 2)]
        raise Stopped

    with pytest.raises(Stopped):
        kept.archive(days_ago(-2), pairs=pairs, signals="3d", tell=tell)
    outcome = kept.archive(days_ago(-2), pairs=pairs, signals="3d")
    assert outcome.unanswered == {("heat", "disk"): 1}
    ((target, type_, _, payload),) = kept.told
    assert (target, type_, payload["source"], payload["signals"], payload["day"]) == (
        ("heat", "archive.unanswered", "disk", 1, "2024-09-29")
    )
    assert not kept.in_tables()
    assert kept.rows() == before


def test_where_many_sources_are_held_back_all_are_from_the_first_signal_on(kept):
    """LOG-3"""
    names = [f"s{n}" for n in range(due.MAX_HELD + 1)]
    kept.record(signal(days_ago(5), "before"), *(signal(days_ago(5), name) for name in names))
    kept.record(signal(days_ago(5), "after"), cursors=[(("t", name), 1) for name in names])
    pairs = [("t", name) for name in names]
    assert kept.archive(pairs=pairs[1:], signals="3d").moved["signals"].rows == 3
    assert kept.archive(pairs=pairs, signals="3d").moved["signals"].rows == 0
    assert len(kept.in_tables()) == due.MAX_HELD
    late = kept.archive(days_ago(-3), pairs=pairs, signals="3d")
    assert late.unanswered == dict.fromkeys(pairs[1:], 1)


def test_what_is_deleted_in_the_run_that_archived_it_is_counted_as_that(kept):
    """LOG-3"""
    kept.record(log(days_ago(3)), log(days_ago(3)))
    now_us = SystemClock().now_us()
    outcome = kept.archive(now_us + 1_000_000, archived="1d")
    _, _, _, payload = finished(outcome, Due({"logs": 0}, 0, {}), 1.0)
    assert payload["message"] == (
        "2 rows of 1 days went to the archive, 2 of 1 days were deleted there"
    )


def test_files_that_are_older_than_archived_are_deleted_and_forgotten(kept):
    """LOG-3"""
    kept.record(log(days_ago(9)), log(days_ago(8)), signal(days_ago(9)))
    kept.archive(days_ago(6))
    for day in kept.days():
        os.utime(kept.state.archive / day.file, ns=(days_ago(7) * 1_000,) * 2)
    assert kept.archive(archived="9d").expired.days == 0
    assert len(kept.files()) == 3
    expired = kept.archive(archived="8d").expired
    assert (expired.days, expired.rows) == (2, 2)
    assert kept.files() == [day.file for day in kept.days()] == ["logs/2024-09-26.jsonl"]


def test_at_no_moment_is_a_file_named_that_is_not_there(kept):
    """LOG-3"""
    kept.record(log(days_ago(9)), log(days_ago(8)), log(days_ago(3)))
    kept.archive()
    for day in kept.days()[:2]:
        os.utime(kept.state.archive / day.file, ns=(days_ago(7) * 1_000,) * 2)

    def watched(perform):
        def do(work):
            assert {day.file for day in kept.days()} <= set(kept.files())
            result = perform(work)
            assert {day.file for day in kept.days()} <= set(kept.files())
            return result

        return do

    assert kept.archive(archived="7d", do=watched).expired.days == 2
    assert kept.query("SELECT key FROM meta WHERE key LIKE 'deleting%'") == []


def test_a_file_that_this_logs_db_does_not_name_is_never_deleted(kept):
    """LOG-3"""
    kept.record(log(days_ago(9)))
    kept.archive()
    kept.change("DELETE FROM archives")
    kept.archive(archived="2d")
    assert kept.files() == ["logs/2024-09-25.jsonl"]


def test_what_a_wrong_clock_has_dated_in_the_far_past_is_not_deleted_at_once(kept):
    """LOG-3"""
    kept.record(log(1_000_000))
    kept.archive(archived="9d")
    (path,) = [kept.state.archive / day.file for day in kept.days()]
    assert path.name == "1970-01-01.jsonl"
    os.utime(path, ns=(NOW_US * 1_000,) * 2)
    assert kept.archive(days_ago(-7), archived="9d").expired.days == 0
    assert kept.archive(days_ago(-9), archived="9d").expired.days == 1


def test_archived_files_are_for_their_owner_alone(kept):
    kept.record(log(days_ago(3)), signal(days_ago(3)))
    kept.archive()
    for path in (kept.state.archive, *kept.state.archive.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o600 if path.is_file() else 0o700)


def test_a_line_has_the_columns_of_its_table_and_json_for_json(kept):
    kept.record(log(days_ago(3), {"ü": [1, None]}), signal(days_ago(3)))
    kept.archive()
    (line,) = (kept.state.archive / "logs/2024-10-01.jsonl").read_text().splitlines()
    assert line == json.dumps(
        {
            "id": 1,
            "at_us": days_ago(3),
            "source": "disk",
            "type": "log",
            "level": "info",
            "ref": None,
            "payload": {"ü": [1, None]},
        }
    )
    assert days_ago(3) // DAY_US == DAY - 3


def test_decisions_about_triggers_go_with_the_log_and_their_counters_stay(kept, monkeypatch):
    """SIG-8"""
    monkeypatch.setattr(decisions, "TRIM_IDS", 7)
    with closing(Journal(kept.state.journal_path)) as journal:
        for number in range(40):
            batch = Batch()
            batch.count(f"sense-{number}", "signal", days_ago(40 - number), 2)
            journal.commit(batch)
    kept.archive(logs="10d")
    left = kept.query("SELECT sense FROM decisions ORDER BY id")
    assert left == [(f"sense-{number}",) for number in range(30, 40)]
    assert kept.query("SELECT count(*), sum(count) FROM outcomes") == [(40, 80)]
