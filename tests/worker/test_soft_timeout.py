import sqlite3
from contextlib import closing

import pytest

WAYS_TO_HANG = {
    "a loop": "while True: pass",
    "a sleep": "time.sleep(60)",
    "a lock": "threading.Event().wait(60)",
    "a lock without a timeout": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "a regular expression": "re.match('(a+)+$', 'a' * 40 + 'b')",
    "a statement": 'db.execute(text("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"))',
    "a statement on a peer": 'peers["peer"].execute(text("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"))',
    "a swallowed exception": """
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass""",
    "one that is swallowed whole, once": """
    try:
        time.sleep(60)
    except BaseException:
        time.sleep(60)""",
    "a child process": "subprocess.run(['sleep', '60'])",
    "a result that comes too late": """
    try:
        time.sleep(60)
    except BaseException:
        return {"late": True}""",
}

HANGING = """
import re, subprocess, threading, time
from sqlalchemy import text

def compute(db, peers, ctx):
    db.execute(text("INSERT INTO rows DEFAULT VALUES"))
    if not ctx.options.get("hang"):
        return None
    {way}
"""


def rows(bench, sense):
    with closing(sqlite3.connect(bench.database(sense))) as reader:
        return reader.execute("SELECT count(*) FROM rows").fetchone()[0]


@pytest.mark.parametrize("way", WAYS_TO_HANG)
def test_whatever_a_compute_hangs_in_ends_at_its_timeout_and_leaves_no_rows(bench, way):
    """RUN-2, RUN-4"""
    table = "CREATE TABLE rows (n INTEGER PRIMARY KEY)"
    bench.sense("peer", "def compute(db, peers, ctx): return {'alive': True}", table=table)
    bench.sense(
        "hanging",
        HANGING.format(way=WAYS_TO_HANG[way]),
        table=table,
        timeout="300ms",
        options="{hang: true}",
    )
    bench.start()
    assert bench.run("peer").type == "signal"
    failed = bench.run("hanging")
    assert (failed.type, failed.outcome) == ("failed", "soft_timeout"), failed
    assert 250_000 < failed.duration_us < 5_000_000
    assert rows(bench, "hanging") == 0
    # RUN-1, RUN-4: the worker lives, and the next compute has a clean connection
    assert bench.run("hanging").outcome == "soft_timeout"
    assert bench.run("peer").type == "signal"


def test_an_async_compute_is_timed_out_too(bench):
    """RUN-2"""
    bench.sense(
        "waiting",
        """
        import asyncio
        async def compute(db, peers, ctx):
            await asyncio.sleep(ctx.options["seconds"])
            return {"slept": ctx.remaining() > 0}
        """,
        timeout="300ms",
        options="{seconds: 60}",
    )
    bench.start()
    assert bench.run("waiting").outcome == "soft_timeout"


def test_what_takes_less_than_its_timeout_is_left_alone(bench):
    bench.sense(
        "quick", "def compute(db, peers, ctx): return round(ctx.remaining())", timeout="60s"
    )
    bench.start()
    assert bench.run("quick").payload == 60
