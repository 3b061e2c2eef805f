"""Passes over a real database in this process, on clocks that are moved by hand."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.clock import US_PER_S
from nerve.store.pace import FIRST_BATCH
from nerve.store.sqlite import open_owner, open_reader
from nerve.wire.messages import RetentionRule
from nerve.worker import pruning
from nerve.worker.old_rows import KEPT_FREE_PAGES, STEP_LIMIT_S, OldRows
from nerve.worker.pruning import PASS_BUDGET_S, PASS_EVERY_S, RESUME_AFTER_S, Pruning
from nerve.worker.retention import EARLIEST_US

NOW_US = 1_800_000_000 * US_PER_S
KEEP_MS = 60_000
OLD_US = NOW_US - KEEP_MS * 1_000 - 1
TABLE = "CREATE TABLE rows (n INTEGER PRIMARY KEY, at_us INTEGER, text TEXT)"
INDEX = "CREATE INDEX rows_at_us ON rows (at_us)"


class Clocks:
    """Stand still, or move on by `tick_s` each time they are looked at."""

    def __init__(self):
        self.now_s = 1_000.0
        self.tick_s = 0.0

    def monotonic(self):
        self.now_s += self.tick_s
        return self.now_s

    def now_us(self):
        return NOW_US


class Store:
    """One database and the pruning of it."""

    def __init__(self, path, *tables, table="rows"):
        self.path = path
        self.raw = open_owner(path, full_sync=False)
        for statement in tables:
            self.raw.execute(statement)
        self.clock = Clocks()
        rule = RetentionRule(table=table, column="at_us", keep_ms=KEEP_MS, default_ms=KEEP_MS)
        self.pruning = Pruning("kept", self.path, [rule], self.clock)

    def add(self, *times_us, text=""):
        self.raw.execute("BEGIN IMMEDIATE")
        self.raw.executemany(
            "INSERT INTO rows (at_us, text) VALUES (?, ?)", [(at_us, text) for at_us in times_us]
        )
        self.raw.commit()

    def run(self, *, is_wanted=False, after_s=PASS_EVERY_S):
        self.clock.now_s += after_s
        self.pruning.run(self.raw, lambda: is_wanted)
        assert not self.raw.in_transaction

    def all(self, query="SELECT n FROM rows ORDER BY n"):
        return [row for (row,) in self.raw.execute(query)]

    def wal_bytes(self):
        return self.path.with_name("kept.db-wal").stat().st_size


@pytest.fixture
def make_store(tmp_path):
    made = []

    def make(*tables, **more):
        made.append(Store(tmp_path / "kept.db", *tables, **more))
        return made[-1]

    yield make
    for store in made:
        store.raw.close()


TIMES = st.one_of(
    st.none(),
    st.integers(OLD_US - 3, OLD_US + 3),
    st.integers(NOW_US - 5, NOW_US + 5),
    st.integers(EARLIEST_US - 2, EARLIEST_US + 2),
    st.sampled_from([0, -1, 1_800_000_000, NOW_US * 1_000, "2027-01-15 08:00:00", 1e15 + 0.5]),
)


@settings(max_examples=150)
@given(times=st.lists(TIMES, max_size=40), batch=st.integers(1, 7), indexed=st.booleans())
def test_what_is_older_goes_but_the_last_row_and_nothing_else(times, batch, indexed):
    rule = RetentionRule(table="rows", column="at_us", keep_ms=KEEP_MS, default_ms=KEEP_MS)
    found = Pruning("kept", Path(":memory:"), [rule], Clocks())
    found._tasks[0]._pace.size = batch
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.executescript(f"{TABLE}; {INDEX if indexed else ''}")
        raw.executemany("INSERT INTO rows (at_us) VALUES (?)", [(at_us,) for at_us in times])
        found.run(raw, lambda: False)
        left = [n for (n,) in raw.execute("SELECT n FROM rows ORDER BY n")]
    assert left == [
        n
        for n, at_us in enumerate(times, 1)
        if n == len(times)
        or not isinstance(at_us, int | float)
        or not EARLIEST_US <= at_us <= OLD_US
    ]


@pytest.mark.parametrize("index", [[INDEX], []], ids=["with an index", "without one"])
def test_a_backlog_goes_batch_by_batch_and_who_waits_waits_for_one_of_them(make_store, index):
    store = make_store(TABLE, *index)
    store.add(*[OLD_US] * 5_000, NOW_US)
    store.run(is_wanted=True)
    assert len(store.all()) == 5_001 - FIRST_BATCH
    store.run(is_wanted=True, after_s=0)
    assert len(store.all()) == 5_001 - FIRST_BATCH
    store.run(is_wanted=True, after_s=RESUME_AFTER_S)
    assert len(store.all()) == 5_001 - 3 * FIRST_BATCH  # clocks that stand still: twice as many
    store.run(after_s=RESUME_AFTER_S)
    assert store.all() == [5_001]


def test_after_a_whole_pass_the_next_one_waits_its_time(make_store):
    store = make_store(TABLE, INDEX)
    store.run()
    store.add(OLD_US, NOW_US)
    store.run(after_s=PASS_EVERY_S - 1)
    assert store.all() == [1, 2]
    store.run(after_s=1)
    assert store.all() == [2]


def test_a_pass_ends_when_its_time_is_used_up_and_goes_on_later(make_store):
    store = make_store(TABLE, INDEX)
    store.add(*[OLD_US] * 5_000, NOW_US)
    # A step looks at the clock four times or more, and so is longer than its target.
    store.clock.tick_s = STEP_LIMIT_S / 3
    began_s = store.clock.now_s + PASS_EVERY_S
    store.run()
    assert store.clock.now_s - began_s < PASS_BUDGET_S + 4 * STEP_LIMIT_S
    left = len(store.all())
    assert 1 < left < 5_000
    store.run(after_s=RESUME_AFTER_S)
    assert len(store.all()) < left


def test_without_an_index_the_next_pass_begins_at_the_first_row_again(make_store):
    store = make_store(TABLE)
    store.add(*[NOW_US] * 3_000)
    store.run()
    store.raw.execute("UPDATE rows SET at_us = ? WHERE n < 3", (OLD_US,))
    store.run()
    assert len(store.all()) == 2_998


def test_rows_that_refer_to_old_ones_go_along(make_store):
    store = make_store(
        TABLE,
        "CREATE TABLE parts (row INTEGER REFERENCES rows (n) ON DELETE CASCADE)",
        "CREATE INDEX parts_row ON parts (row)",
    )
    store.add(OLD_US, NOW_US)
    store.raw.execute("INSERT INTO parts VALUES (1), (1), (2)")
    store.run()
    assert store.all("SELECT row FROM parts") == [2]


def test_a_batch_that_takes_too_long_is_undone_and_tried_with_fewer_rows(make_store):
    store = make_store(
        TABLE, INDEX, "CREATE TABLE parts (row INTEGER REFERENCES rows (n) ON DELETE CASCADE)"
    )
    store.add(*[OLD_US] * 50, NOW_US)
    count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000)"
    store.raw.execute(f"INSERT INTO parts {count} SELECT 51 FROM c")
    # Without an index on parts.row each deletion reads all of it, 20 looks at the clock or more.
    store.clock.tick_s = STEP_LIMIT_S / 600
    pace = store.pruning._tasks[0]._pace
    store.run(is_wanted=True)
    assert (len(store.all()), pace.size) == (51, FIRST_BATCH // 4)
    for _ in range(100):
        store.run(is_wanted=True, after_s=RESUME_AFTER_S)
    assert store.all() == [51]


def test_a_row_that_cannot_be_deleted_in_time_stays_and_is_told(make_store, caplog):
    store = make_store(
        TABLE, INDEX, "CREATE TABLE parts (row INTEGER REFERENCES rows (n) ON DELETE CASCADE)"
    )
    store.add(OLD_US, NOW_US)
    count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000)"
    store.raw.execute(f"INSERT INTO parts {count} SELECT 2 FROM c")
    store.clock.tick_s = STEP_LIMIT_S / 5
    store.run()
    assert store.all() == [1, 2]
    assert "to delete one row of rows takes longer than 5 ms" in caplog.text
    store.clock.tick_s = 0
    store.run()
    assert store.all() == [2]


def test_a_trigger_that_forbids_it_is_told_and_the_other_tables_get_their_turn(make_store, caplog):
    store = make_store(
        TABLE,
        "CREATE TRIGGER no BEFORE DELETE ON rows BEGIN SELECT RAISE(ABORT, 'not these'); END",
        "CREATE TABLE more (n INTEGER PRIMARY KEY, at_us INTEGER)",
    )
    rule = RetentionRule(table="more", column="at_us", keep_ms=1, default_ms=1)
    store.pruning._tasks.insert(1, OldRows("kept", rule, store.clock))
    store.add(OLD_US, NOW_US)
    store.raw.execute("INSERT INTO more (at_us) VALUES (?), (?)", (OLD_US, NOW_US))
    store.run()
    assert "old rows of rows cannot be deleted: not these" in caplog.text
    assert store.all() == [1, 2]
    assert store.all("SELECT n FROM more") == [2]


def test_a_temporary_table_and_a_row_factory_of_the_authors_mislead_nobody(make_store):
    store = make_store(TABLE, INDEX)
    store.add(OLD_US, NOW_US)
    store.raw.execute("CREATE TEMP TABLE rows (n INTEGER PRIMARY KEY, at_us INTEGER)")
    store.raw.execute("INSERT INTO temp.rows VALUES (7, ?), (8, ?)", (OLD_US, OLD_US))
    store.raw.row_factory = lambda _cursor, row: {"is": row}
    store.run()
    store.raw.row_factory = None
    assert store.all("SELECT n FROM main.rows") == [2]
    assert store.all("SELECT n FROM temp.rows") == [7, 8]


def test_names_with_quotes_are_quoted(make_store):
    store = make_store('CREATE TABLE "a ""b" (at_us INTEGER)', table='a "b')
    store.raw.execute('INSERT INTO "a ""b" VALUES (?), (?)', (OLD_US, NOW_US))
    store.run()
    assert store.all('SELECT at_us FROM "a ""b"') == [NOW_US]


def test_pages_go_back_to_the_disk_and_the_wal_stays_short(make_store):
    """LOG-3 holds for a sense's own rows as well: what is deleted makes the file smaller."""
    store = make_store(TABLE, INDEX)
    for _ in range(20):
        store.add(*[OLD_US] * 1_000, text="x" * 1_000)
    store.add(NOW_US)
    store.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = store.path.stat().st_size
    assert before > 20_000_000
    longest = 0
    while len(store.all()) > 1 or store.all("PRAGMA freelist_count")[0] > KEPT_FREE_PAGES:
        store.run(is_wanted=True, after_s=PASS_EVERY_S)
        longest = max(longest, store.wal_bytes())
    # What the automatic checkpoint leaves at 1,000 pages, and the last step's beyond it.
    assert longest < 6_000_000
    store.add(NOW_US)
    store.raw.execute("PRAGMA wal_checkpoint")
    assert store.path.stat().st_size < 1_200_000
    assert store.all("PRAGMA integrity_check") == ["ok"]


def test_while_a_reader_keeps_the_wal_from_starting_over_nothing_more_is_deleted(
    make_store, monkeypatch, caplog
):
    caplog.set_level("INFO")
    monkeypatch.setattr(pruning, "MAX_WAL_BYTES", 200_000)
    store = make_store(TABLE)
    store.add(*[OLD_US] * 5_000, NOW_US, text="x" * 500)
    store.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(open_reader(store.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM rows").fetchone()
        store.run()
        left = len(store.all())
        assert left > 3_000
        assert 200_000 < store.wal_bytes() < 1_000_000
        store.run(after_s=RESUME_AFTER_S)
        assert len(store.all()) == left
        assert "old rows wait until it starts over" in caplog.text
    store.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.run()
    assert len(store.all()) < left


def test_a_long_wal_that_a_compute_has_written_stops_nothing(make_store, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(pruning, "MAX_WAL_BYTES", 200_000)
    store = make_store(TABLE, "CREATE TABLE young (at_us INTEGER)", "CREATE TABLE big (x BLOB)")
    store.raw.execute("INSERT INTO young VALUES (?)", (NOW_US,))
    store.add(*[OLD_US] * 50, NOW_US)
    store.raw.execute("PRAGMA journal_size_limit=100000")
    store.raw.execute("INSERT INTO big VALUES (zeroblob(6000000))")
    assert store.wal_bytes() > 5_000_000
    rules = [
        RetentionRule(table=table, column="at_us", keep_ms=KEEP_MS, default_ms=KEEP_MS)
        for table in ("young", "rows")
    ]
    pruned = pruning.Pruning("kept", store.path, rules, store.clock)
    pruned.run(store.raw, lambda: False)
    assert store.all() == [51]
    assert not caplog.text


def test_a_locked_database_is_the_callers_to_tell_and_is_tried_at_the_next_pass(make_store):
    store = make_store(TABLE)
    store.add(OLD_US, NOW_US)
    store.raw.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.run()
        other.execute("ROLLBACK")
    store.run(after_s=PASS_EVERY_S - 1)
    assert store.all() == [1, 2]
    store.run(after_s=1)
    assert store.all() == [2]


KILLED = """
import os, signal, sys
from pathlib import Path
from nerve.clock import SystemClock
from nerve.store.sqlite import open_owner
from nerve.wire.messages import RetentionRule
from nerve.worker.pruning import Pruning

class Fatal:
    left = int(sys.argv[2])
    def monotonic(self):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0
    def now_us(self):
        return int(sys.argv[3])

path = Path(sys.argv[1])
rule = RetentionRule(table="rows", column="at_us", keep_ms=60_000, default_ms=60_000)
Pruning("kept", path, [rule], Fatal()).run(open_owner(path, full_sync=False), lambda: False)
"""


@pytest.mark.parametrize("look", [5, 7, 12, 20, 40, 80, 160])
def test_a_kill_at_any_look_at_the_clock_leaves_a_sound_database(tmp_path, make_store, look):
    """BOOT-6: the clock is looked at around each step, and within each longer statement"""
    store = make_store(TABLE, INDEX)
    store.add(*[OLD_US] * 20_000, *[NOW_US] * 50, text="x" * 200)
    store.raw.close()
    words = [sys.executable, "-c", KILLED, str(store.path), str(look), str(NOW_US)]
    assert subprocess.run(words, check=False, timeout=60).returncode == -signal.SIGKILL
    store.raw = open_owner(store.path, full_sync=False)
    left = store.all()
    assert left[-50:] == list(range(20_001, 20_051))
    assert left == list(range(left[0], 20_051))
    assert store.all("PRAGMA integrity_check") == ["ok"]
