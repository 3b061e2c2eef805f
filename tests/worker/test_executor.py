import sqlite3
from contextlib import closing

import pytest

from nerve.wire.messages import CauseSignal

PATIENCE_S = 30

TABLE = "CREATE TABLE rows (n INTEGER PRIMARY KEY)"
INSERTING = """
import math, os, sys
import nerve
from sqlalchemy import text
from sqlalchemy.orm import Session

def compute(db, peers, ctx):
    db.execute(text("INSERT INTO rows DEFAULT VALUES"))
    {rest}
"""

WAYS_TO_FAIL = {
    "an exception": ("raise ValueError('no disk today')", "error", "no disk today"),
    "leaving the process": ("sys.exit(0)", "error", "SystemExit"),
    "a base exception": ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
    "recursion": ("f = lambda: f(); f()", "error", "RecursionError"),
    "a payload that is no JSON": ("return {'a': {1, 2}}", "payload_invalid", "a is a set"),
    "a key that is no string": ("return {1: 2}", "payload_invalid", "JSON"),
    "a number that is none": ("return {'load': math.nan}", "payload_invalid", "JSON"),
    "an infinite number": ("return [math.inf]", "payload_invalid", "JSON"),
    "half a character": (r"return {'text': '\ud800'}", "payload_invalid", "JSON"),
    "a payload that holds itself": ("a = []; a.append(a); return a", "payload_invalid", "JSON"),
    "a model of nothing": (
        "import pydantic; return pydantic.RootModel[None](None)",
        "payload_invalid",
        "null",
    ),
    "a payload that is too large": ("return 'x' * 2_000_000", "payload_too_large", "2,000,002"),
    "an own commit": ("db.commit()", "transaction_ended", "commit()"),
    "an own rollback": ("db.rollback(); return 1", "transaction_ended", "transaction"),
    "a closed connection": ("db.close(); return 1", "transaction_ended", "transaction"),
    "a commit behind the curtain": (
        "db.connection.driver_connection.execute('COMMIT'); return 1",
        "transaction_ended",
        "transaction",
    ),
    "its own name as a peer": ("peers['failing']", "peer", "itself"),
    "an unknown peer": ("peers['nobody']", "peer", "nobody"),
    "a peer without a database": ("peers['later']", "peer", "later"),
}


def rows(bench, sense):
    with closing(sqlite3.connect(bench.database(sense))) as reader:
        return reader.execute("SELECT count(*) FROM rows").fetchone()[0]


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_a_failed_compute_is_an_error_with_its_reason_and_the_worker_lives(bench, way):
    """RUN-4, RUN-5"""
    rest, kind, message = WAYS_TO_FAIL[way]
    bench.sense("failing", INSERTING.format(rest=rest), table=TABLE)
    bench.sense("healthy", INSERTING.format(rest="return {'n': 1}"), table=TABLE)
    bench.sense("later", "x = ")
    bench.start()
    failed = bench.run("failing")
    assert (failed.outcome, failed.fault.kind) == ("error", kind), failed
    assert message in failed.fault.message
    if way != "a commit behind the curtain":  # which nothing can take back
        assert rows(bench, "failing") == 0
    assert bench.run("healthy").type == "signal"
    assert bench.run("failing").fault.kind == kind


def test_a_traceback_begins_with_the_authors_frames(bench):
    """RUN-5"""
    bench.sense(
        "failing",
        "def deeper():\n    raise ValueError('here')\ndef compute(db, peers, ctx):\n    deeper()\n",
    )
    bench.start()
    text = bench.run("failing").fault.traceback
    assert "in deeper" in text
    assert "executor.py" not in text


def test_none_is_said_explicitly_and_stores_nothing_to_tell(bench):
    """SIG-3, MSG-3"""
    bench.sense("silent", INSERTING.format(rest="return None"), table=TABLE)
    bench.start()
    assert bench.run("silent").type == "no_signal"
    assert rows(bench, "silent") == 1
    with closing(sqlite3.connect(bench.database("silent"))) as reader:
        assert reader.execute("SELECT count(*) FROM nerve_outbox").fetchone() == (0,)


def test_rows_and_signal_are_in_the_database_before_it_is_told(bench):
    """SIG-2"""
    bench.sense("telling", INSERTING.format(rest="return {'n': 1}"), table=TABLE)
    bench.start()
    told = bench.run("telling")
    with closing(sqlite3.connect(bench.database("telling"))) as reader:
        (row,) = reader.execute("SELECT seq, payload FROM nerve_outbox").fetchall()
    assert row == (told.seq, '{"n": 1}')
    assert rows(bench, "telling") == 1


@pytest.mark.parametrize(
    "value", ["[1, 'two', None]", "'text'", "0", "False", "{}", "nerve.Options()"]
)
def test_any_json_value_and_any_model_is_a_signal(bench, value):
    """SIG-3: only None is none"""
    bench.sense("telling", f"import nerve\ndef compute(db, peers, ctx): return {value}")
    bench.start()
    assert bench.run("telling").type == "signal"


def test_an_orm_session_inside_the_transaction_may_commit_for_itself(bench):
    """RUN-4"""
    bench.sense(
        "orm",
        INSERTING.format(
            rest="s = Session(db); s.execute(text('SELECT 1')); s.commit(); s.close(); return 1"
        ),
        table=TABLE,
    )
    bench.start()
    assert bench.run("orm").type == "signal"
    assert rows(bench, "orm") == 1


def test_an_async_compute_gives_a_signal(bench):
    bench.sense(
        "waiting",
        "import asyncio\nasync def compute(db, peers, ctx):\n    await asyncio.sleep(0)\n    return {'ok': True}\n",
    )
    bench.start()
    assert bench.run("waiting").payload == {"ok": True}


def test_context_tells_why_and_with_what(bench):
    """SIG-6"""
    bench.sense(
        "telling",
        """
        import nerve
        class Options(nerve.Options):
            limit: int = 3
        def compute(db, peers, ctx):
            return [ctx.name, ctx.group, ctx.options.limit, str(ctx.trigger.kind), ctx.trigger.left_out,
                    [[s.id, s.sense, s.payload, s.at.isoformat()] for s in ctx.trigger.signals],
                    sorted(peers), "token" in ctx.secrets]
        """,
        secrets="{token: abcdef}",
    )
    bench.sense("other", "def compute(db, peers, ctx): pass")
    bench.start()
    cause = CauseSignal(id=7, sense="other", at_us=1_000_001, payload={"n": 1})
    told = bench.run("telling", signals=(cause,), left_out=2, positions={"other": 7})
    assert told.payload == [
        "telling", "bench", 3, "manual", 2, [[7, "other", {"n": 1}, "1970-01-01T00:00:01.000001+00:00"]], ["other"], True
    ]  # fmt: skip
    assert told.cause.signals == (7,)


def test_a_secret_leaves_the_worker_masked_only(bench):
    """CFG-8"""
    bench.sense(
        "leaky",
        """
        def compute(db, peers, ctx):
            if ctx.options["fail"]:
                raise ValueError("refused: " + ctx.secrets["token"])
            return {"deep": [{"said": "it is " + ctx.secrets["token"]}]}
        """,
        secrets="{token: hunter2hunter2}",
        options="{fail: false}",
    )
    bench.sense(
        "louder",
        (bench.root / "senses/leaky/__init__.py").read_text(),
        secrets="{token: hunter2hunter2}",
        options="{fail: true}",
    )
    bench.start()
    for sense in ("leaky", "louder"):
        assert "hunter2" not in bench.run(sense).model_dump_json()
    assert b"hunter2" not in bench.database("leaky").read_bytes()


def test_blobs_are_stored_and_read_back(bench):
    """DB-9"""
    (bench.root / "data" / "blobs").mkdir()
    bench.sense(
        "big",
        "def compute(db, peers, ctx):\n    d = ctx.blobs.put(b'x' * 5_000_000)\n    return {'digest': d, 'size': len(ctx.blobs.get(d))}",
    )
    bench.start()
    assert bench.run("big").payload["size"] == 5_000_000


def test_a_payload_nested_too_deep_for_the_parent_is_an_error_of_that_compute(bench):
    """RUN-5, MSG-2"""
    bench.sense(
        "deep",
        "def compute(db, peers, ctx):\n    v = 1\n    for _ in range(ctx.options['n']): v = [v]\n    return v",
        options="{n: 60}",
    )
    bench.sense("deeper", (bench.root / "senses/deep/__init__.py").read_text(), options="{n: 210}")
    bench.start()
    assert bench.run("deep").type == "signal"
    assert bench.run("deeper").fault.kind == "payload_invalid"


def test_an_error_with_half_a_character_is_an_error_like_any_other(bench):
    """RUN-5"""
    bench.sense("odd", r"def compute(db, peers, ctx): raise ValueError('file \udcff')")
    bench.start()
    assert bench.run("odd").fault.message == r"ValueError: file \udcff"


def test_what_a_sense_leaves_behind_is_reaped_and_what_it_waits_for_is_left_to_it(bench):
    """RUN-5"""
    bench.sense(
        "leaving",
        """
        import os, subprocess
        kept = []
        def compute(db, peers, ctx):
            subprocess.run(["sh", "-c", "true & exit 0"])
            code = kept[-1].wait() if kept else None
            kept.append(subprocess.Popen(["sh", "-c", "exit 7"]))
            os.waitid(os.P_PID, kept[-1].pid, os.WEXITED | os.WNOWAIT)
            own = open(f"/proc/self/task/{os.getpid()}/children").read().split()
            return [code, len(own)]
        """,
    )
    bench.start()
    for _ in range(5):
        last = bench.run("leaving")
    assert last.payload[0] == 7
    assert last.payload[1] <= 3


def test_what_was_committed_and_cannot_be_told_is_told_by_the_next_worker(bench):
    """SIG-1: as an error its signal would stay behind, and the next one be acknowledged past it."""
    bench.sense(
        "torn",
        """
        import nerve.worker.executor as executor

        def fail(**_):
            raise MemoryError

        def compute(db, peers, ctx):
            executor.dump_signal = fail
            return {"n": 1}
        """,
    )
    bench.start()
    assert bench.run("torn").type == "boot_failed"
    bench.close()
    report = bench.start()["torn"]
    assert (report.signalled, report.waiting) == (True, 1)
    assert bench.worker.receive(PATIENCE_S).payload == {"n": 1}
