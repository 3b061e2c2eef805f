"""A sense's retention in a real worker: what is declared, said over it, refused, and done."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from types import ModuleType

import pytest

from nerve.clock import SystemClock
from nerve.config.durations import MS_PER_UNIT
from nerve.config.models import SenseConfig
from nerve.errors import DatabaseCorrupt
from nerve.sense import Retention
from nerve.store.pace import FIRST_BATCH
from nerve.store.sqlite import open_owner
from nerve.wire.messages import DescribeMessage, StopMessage
from nerve.worker.deadline import Deadline
from nerve.worker.loader import LoadedSense
from nerve.worker.resident import Resident

DAY_US = MS_PER_UNIT["d"] * 1_000
TABLE = "CREATE TABLE rows (n INTEGER PRIMARY KEY, at_us INTEGER, text TEXT)"
SENSE = """
import nerve
from sqlalchemy import text

retention = {{"rows": nerve.Retention(column="at_us", keep="7d")}}

class Options(nerve.Options):
    limit: int = 3

def compute(db, peers, ctx):
    at_us = round(ctx.now.timestamp() * 1_000_000)
    db.execute(text("INSERT INTO rows (at_us) VALUES (:at_us)"), {{"at_us": at_us}})
    {rest}
"""
KEEPING = SENSE.format(rest="return db.scalar(text('SELECT count(*) FROM rows'))")


def fill(bench, count, *, days, text="", sense="kept"):
    """Put rows in that were made so many days ago, while no worker runs."""
    at_us = time.time_ns() // 1_000 - days * DAY_US
    with closing(sqlite3.connect(bench.database(sense))) as writer, writer:
        rows = [(at_us, text)] * count
        writer.executemany("INSERT INTO rows (at_us, text) VALUES (?, ?)", rows)


def ages(bench, sense="kept"):
    """How many days old each row is."""
    now_us = time.time_ns() // 1_000
    with closing(sqlite3.connect(bench.database(sense))) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = reader.execute("SELECT at_us FROM rows ORDER BY n").fetchall()
    return [round((now_us - at_us) / DAY_US) for (at_us,) in rows]


def warnings(bench):
    """Let the worker end by itself, and so send all it has logged."""
    bench.worker.request(StopMessage(), 30)
    bench.worker._launched.process.join(30)
    bench.worker._records_of.close()
    return [r.getMessage() for r in bench.worker.records if r.levelname == "WARNING"]


@pytest.fixture
def kept(bench):
    """A sense whose database is there, and whose worker is not."""

    def make(source=KEEPING, table=TABLE, **settings):
        bench.sense("kept", source, table=table, **settings)
        assert bench.start()["kept"].fault is None
        bench.close()

    return make


def test_old_rows_go_after_a_compute_and_young_ones_and_the_signal_stay(bench, kept):
    kept()
    fill(bench, FIRST_BATCH - 1, days=8)
    fill(bench, 5, days=6)
    assert bench.start()["kept"].kept_ms == {"rows": 7 * MS_PER_UNIT["d"]}
    told = bench.run("kept")
    assert told.payload == FIRST_BATCH + 5  # the compute itself still sees them all
    bench.worker.request(StopMessage(), 30)
    assert ages(bench) == [6] * 5 + [0]
    with closing(sqlite3.connect(bench.database("kept"))) as reader:
        assert reader.execute("SELECT seq FROM nerve_outbox").fetchall() == [(told.seq,)]


def test_the_operator_says_otherwise(bench, kept):
    kept(retention="{rows: 2d}")
    fill(bench, 5, days=6)
    fill(bench, 5, days=1)
    bench.start()
    bench.run("kept")
    bench.worker.request(StopMessage(), 30)
    assert ages(bench) == [1] * 5 + [0]


def test_a_compute_may_still_not_commit_for_itself_after_a_pass(bench, kept):
    """RUN-4: the pass commits over the same connection"""
    rest = "db.exec_driver_sql('COMMIT') if db.scalar(text('SELECT count(*) FROM rows')) > 1 else 0"
    kept(SENSE.format(rest=rest))
    fill(bench, 1, days=8)
    bench.start()
    assert bench.run("kept").fault.kind == "transaction_ended"
    assert ages(bench) == [8]


WRONG = {
    "no dict": ("retention = 7", "is no dict"),
    "no Retention": ('retention = {"rows": "7d"}', "is no dict"),
    "no such table": (
        'retention = {"row": nerve.Retention("at_us", "7d")}',
        "'row': there is no such table",
    ),
    "no such column": (
        'retention = {"rows": nerve.Retention("at", "7d")}',
        "'rows': there is no column 'at'",
    ),
    "a column of text": (
        'retention = {"rows": nerve.Retention("iso", "7d")}',
        "the column 'iso' is TEXT",
    ),
    "no duration": (
        'retention = {"rows": nerve.Retention("at_us", 7)}',
        "keep is a duration needs a unit",
    ),
    "no time at all": (
        'retention = {"rows": nerve.Retention("at_us", "0s")}',
        "longer than nothing",
    ),
    "a column that is no name": ('retention = {"rows": nerve.Retention(1, "7d")}', "is no text"),
    "a view": ('retention = {"seen": nerve.Retention("at_us", "7d")}', "it is a view"),
    "a table without rowid": ('retention = {"bare": nerve.Retention("at_us", "7d")}', "it is a v"),
    "a table of nerve's": (
        'retention = {"nerve_outbox": nerve.Retention("at_us", "7d")}',
        "there is no such table",
    ),
    "a table that others hold on to": (
        'retention = {"held": nerve.Retention("at_us", "7d")}',
        "parts.held refers to it and would forbid that",
    ),
}
TABLES = (
    "CREATE TABLE rows (at_us INTEGER, iso TEXT);"
    "CREATE VIEW seen AS SELECT * FROM rows;"
    "CREATE TABLE bare (at_us INTEGER PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE held (n INTEGER PRIMARY KEY, at_us INTEGER);"
    "CREATE TABLE parts (held INTEGER REFERENCES held (n))"
)
MIGRATION = """
from alembic import op
revision = "first"
down_revision = None
def upgrade():
    for statement in {tables!r}.split(";"):
        op.execute(statement)
"""


@pytest.mark.parametrize("way", WRONG)
def test_a_declaration_that_does_not_fit_makes_the_sense_unavailable(bench, way):
    """BOOT-3"""
    declared, message = WRONG[way]
    bench.sense("kept", f"import nerve\ndef compute(db, peers, ctx): return 1\n{declared}", "-")
    (bench.root / "senses/kept/migrations/first.py").write_text(MIGRATION.format(tables=TABLES))
    bench.sense("healthy", "def compute(db, peers, ctx): return 1")
    fault = bench.start()["kept"].fault
    assert fault.kind == "retention_invalid", fault
    assert message in fault.message
    assert fault.hint
    assert bench.run("healthy").type == "signal"
    described = bench.worker.request(DescribeMessage(sense="kept"), 30)
    assert described.fault.message == fault.message or "nerve's" in way


def test_a_table_that_is_not_declared_is_refused_at_its_key(bench):
    """CFG-1"""
    bench.sense("kept", KEEPING, table=TABLE, retention="{row: 30d}")
    fault = bench.start()["kept"].fault
    assert fault.kind == "retention_invalid"
    (problem,) = fault.problems
    assert (problem.field, problem.hint) == (("retention", "row"), 'did you mean "rows"?')


def test_an_option_to_keep_rows_is_told_where_that_is_said(bench):
    bench.sense("kept", KEEPING, table=TABLE, options="{keep_days: 30}")
    (problem,) = bench.start()["kept"].fault.problems
    assert problem.field == ("options", "keep_days")
    assert problem.hint.endswith("write beside `options`: retention: {rows: 7d}")


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3])
def test_times_in_another_unit_cost_no_rows_and_are_told(bench, kept, factor):
    at = round((time.time_ns() // 1_000 - 9 * DAY_US) * factor)
    kept(SENSE.format(rest=f"db.execute(text('INSERT INTO rows (at_us) VALUES ({at}), ({at})'))"))
    bench.start()
    bench.run("kept")
    (told,) = warnings(bench)
    assert f"rows.at_us holds {at}, which is no time of today in microseconds" in told
    assert len(ages(bench)) == 3


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_a_worker_killed_when_it_has_reported_has_deleted_nothing_but_old_rows(bench, kept, runs):
    """BOOT-6"""
    kept()
    fill(bench, 20_000, days=8, text="x" * 200)
    fill(bench, 50, days=6)
    bench.start()
    process = bench.worker._launched.process
    for _ in range(runs):
        bench.run("kept")
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    left = ages(bench)
    assert (left.count(6), left.count(0)) == (50, runs)
    assert set(left) <= {8, 6, 0}


@pytest.fixture
def resident(tmp_path):
    """A sense with old rows in this process, and what happens to its database from outside."""
    path = tmp_path / "kept.db"
    with closing(open_owner(path, full_sync=False)) as raw:
        raw.execute(TABLE)
        raw.execute("BEGIN")
        rows = [(time.time_ns() // 1_000 - 8 * DAY_US, "x" * 1_000)] * 1_000
        raw.executemany("INSERT INTO rows (at_us, text) VALUES (?, ?)", rows)
        raw.commit()
    declared = {"rows": Retention("at_us", "7d")}
    loaded = LoadedSense(ModuleType("kept"), "folder", None, None, None, None, declared)
    clock = SystemClock()
    made = Resident(
        "kept",
        SenseConfig(),
        loaded,
        databases={"kept": path},
        deadline=Deadline(clock),
        clock=clock,
    )
    yield made, path
    made.close()


def count(path):
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute("SELECT count(*) FROM rows").fetchone()[0]


def test_a_locked_database_is_told_and_waited_for_by_nobody(resident, caplog):
    made, path = resident
    made.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        made.prune(lambda: False)
        other.execute("ROLLBACK")
    assert "old rows could not be deleted, it is tried again" in caplog.text
    assert "is locked by another process" in caplog.text
    assert count(path) == 1_000
    made.begin()
    assert made._raw.execute("PRAGMA busy_timeout").fetchone() == (5_000,)
    made.abandon()


def test_a_damaged_database_is_told_and_not_touched_again(resident, caplog):
    made, path = resident
    text = path.read_bytes()
    path.write_bytes(text[: len(text) // 2] + bytes(len(text) - len(text) // 2))
    made.open()
    made.prune(lambda: False)
    assert "is damaged" in caplog.text
    with pytest.raises(DatabaseCorrupt):
        made.begin()
    made.abandon()


def test_a_database_that_was_deleted_is_left_to_the_next_compute(resident, caplog):
    made, path = resident
    made.open()
    for file in path.parent.glob("kept.db*"):
        file.unlink()
    made.prune(lambda: False)
    assert "was deleted" in caplog.text
    made.begin()
    made.abandon()
    assert count(path) == 1_000
