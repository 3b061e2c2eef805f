import json
import sqlite3
from contextlib import closing

import pytest

from nerve.sense import TriggerKind
from nerve.wire.framing import encode
from nerve.wire.messages import (
    ComputeMessage,
    DescribedMessage,
    DescribeMessage,
    StopMessage,
    UpdateMessage,
)

HEALTHY = "def compute(db, peers, ctx): return 1"
WAYS_NOT_TO_LOAD = {
    "import_raised": "raise RuntimeError('no such library')",
    "no_compute": "x = 1",
    "not_callable": "compute = 3",
    "wrong_signature": "def compute(db): pass",
    "options_invalid": "import nerve\nclass Options(nerve.Options):\n    limit: int\n" + HEALTHY,
}


@pytest.mark.parametrize("kind", WAYS_NOT_TO_LOAD)
def test_a_sense_that_does_not_load_is_named_with_its_kind_and_its_neighbours_run(bench, kind):
    """BOOT-3"""
    bench.sense("broken", WAYS_NOT_TO_LOAD[kind])
    bench.sense("healthy", HEALTHY)
    reports = bench.start()
    assert reports["broken"].fault.kind == kind
    assert reports["healthy"].fault is None
    assert bench.run("healthy").type == "signal"
    assert bench.run("broken").outcome == "refused"


def test_a_syntax_error_is_told_with_its_line(bench):
    """BOOT-3"""
    bench.sense("broken", "def compute(:")
    assert "SyntaxError" in bench.start()["broken"].fault.message


def test_a_missing_sense_is_told_where_it_was_looked_for(bench):
    """BOOT-3"""
    bench.sense("gone", HEALTHY)
    (bench.root / "senses/gone/__init__.py").unlink()
    fault = bench.start()["gone"].fault
    assert fault.kind == "not_found"
    assert "senses/gone" in fault.message


def test_a_failing_migration_leaves_nothing_and_the_next_start_tries_again(bench):
    """BOOT-3, DB-3"""
    bench.sense("broken", HEALTHY, table="CREATE TABLE a (n); CREATE NONSENSE")
    bench.sense("healthy", HEALTHY)
    reports = bench.start()
    assert reports["broken"].fault.kind == "migration_failed"
    assert reports["healthy"].fault is None
    with closing(sqlite3.connect(bench.database("broken"))) as reader:
        tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_schema")}
    assert not tables & {"a", "alembic_version"}


def test_a_database_newer_than_the_code_is_refused(bench):
    """BOOT-3"""
    bench.sense("old", HEALTHY, table="CREATE TABLE a (n)")
    bench.start()
    bench.close()
    with closing(sqlite3.connect(bench.database("old"))) as writer, writer:
        writer.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    fault = bench.start()["old"].fault
    assert fault.kind == "database_newer"
    assert "from_the_future" in fault.message


def test_a_corrupt_database_is_refused_and_left_untouched(bench):
    """BOOT-6"""
    bench.sense("hurt", HEALTHY)
    bench.sense("healthy", HEALTHY)
    bench.database("hurt").write_bytes(b"not a database at all" * 500)
    reports = bench.start()
    assert reports["hurt"].fault.kind == "corrupt"
    assert bench.database("hurt").read_bytes() == b"not a database at all" * 500
    assert bench.run("healthy").type == "signal"


def test_a_second_start_migrates_nothing(bench):
    """DB-2"""
    bench.sense("kept", HEALTHY, table="CREATE TABLE a (n)")
    assert bench.start()["kept"].migrated == ("first",)
    bench.close()
    assert bench.start()["kept"].migrated == ()


def test_an_unacknowledged_signal_is_told_again_at_the_next_start(bench):
    """SIG-2"""
    bench.sense("kept", HEALTHY)
    bench.start()
    told = bench.run("kept")
    bench.close()
    bench.start()
    again = bench.worker.receive(30)
    assert (again.epoch, again.seq, again.payload) == (told.epoch, told.seq, told.payload)


@pytest.mark.parametrize("source", ["raise RuntimeError('no such library')", HEALTHY])
def test_a_sense_that_does_not_load_any_more_tells_what_it_has_committed(bench, source):
    """SIG-2: its worker has died after the commit, and its module or its migrations are at fault."""
    bench.sense("kept", HEALTHY)
    bench.start(boot="boot")
    told = bench.run("kept")
    bench.close()
    folder = bench.root / "senses/kept"
    (folder / "__init__.py").write_text(source)
    (folder / "migrations").mkdir()
    (folder / "migrations/first.py").write_text("revision = 'first'\nnonsense")
    report = bench.start(boot="later")["kept"]
    assert report.fault is not None
    mark = (report.epoch, report.boot, report.trigger_id, report.signalled)
    assert mark == (told.epoch, "boot", 1, True)
    again = bench.worker.receive(30)
    assert (again.epoch, again.seq, again.payload) == (told.epoch, told.seq, told.payload)


@pytest.mark.parametrize("kind", ["import_raised", "corrupt"])
def test_an_outbox_with_a_damaged_page_is_that_of_one_sense_and_its_neighbours_run(bench, kind):
    """BOOT-6: what cannot be read to its end tells nothing, whether its sense loads or not."""
    bench.sense("hurt", "def compute(db, peers, ctx): return 'x' * 20_000")
    bench.sense("healthy", HEALTHY)
    bench.start()
    bench.run("hurt")
    bench.run("hurt")
    bench.close()
    if kind == "import_raised":
        (bench.root / "senses/hurt/__init__.py").write_text(WAYS_NOT_TO_LOAD[kind])
    database = bench.database("hurt")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = bytearray(database.read_bytes())
    page = pages.index(b"x" * 4_092) // 4_096 * 4_096  # of the first one's payload
    pages[page : page + 4] = b"\xff" * 4  # where it goes on
    database.write_bytes(pages)
    assert bench.start()["hurt"].fault.kind == kind
    assert bench.run("healthy").type == "signal"


def test_a_damaged_outbox_row_is_skipped_named_and_left(bench):
    """BOOT-6"""
    bench.sense("kept", HEALTHY)
    bench.start()
    bench.run("kept")
    second = bench.run("kept")
    bench.close()
    with closing(sqlite3.connect(bench.database("kept"))) as writer, writer:
        writer.execute("UPDATE nerve_outbox SET payload = '{oops' WHERE seq = 1")
    bench.start()
    assert bench.worker.receive(30).seq == second.seq
    bench.worker.request(StopMessage(), 30)  # it ends by itself, and so sends all it has logged
    bench.worker._launched.process.join(30)
    bench.worker._records_of.close()
    assert "row 1 of nerve_outbox" in bench.worker.records[0].getMessage()


@pytest.mark.parametrize(
    "frame",
    [
        b"null",
        b"{",
        b'{"type": "dance"}',
        b'{"type": "compute", "trigger_id": 1, "kind": "manual"}',
    ],
)
def test_a_message_that_cannot_be_read_is_answered_and_the_loop_goes_on(bench, frame):
    """MSG-1, MSG-2"""
    bench.sense("healthy", HEALTHY)
    bench.start()
    bench.worker._launched.channel.sendall(encode(frame))
    answer = bench.worker.receive(30)
    assert (answer.type, answer.outcome, answer.fault.kind) == (
        "failed",
        "refused",
        "message_invalid",
    )
    assert bench.run("healthy").type == "signal"


def test_a_stop_checkpoints_and_says_so(bench):
    """BOOT-5"""
    bench.sense("kept", HEALTHY)
    bench.start()
    bench.run("kept")
    assert bench.worker.request(StopMessage(), 30).type == "stopped"
    bench.worker._launched.process.join(30)
    assert bench.worker._launched.process.exitcode == 0
    assert not bench.database("kept").with_name("kept.db-wal").exists()


def test_describe_tells_a_sense_without_running_it(bench):
    bench.sense(
        "told",
        '''
        """Looks at things."""
        import nerve
        class Options(nerve.Options):
            limit: int = 3
        async def compute(db, peers, ctx): ...
        ''',
        table="CREATE TABLE a (n)",
    )
    bench.start()
    described = bench.worker.request(DescribeMessage(sense="told"), 30)
    assert isinstance(described, DescribedMessage)
    assert (described.doc, described.revisions, described.is_async) == (
        "Looks at things.",
        ("first",),
        True,
    )
    assert described.options["properties"]["limit"]["default"] == 3


def test_the_workers_preload_has_worked(bench):
    bench.sense(
        "told",
        "import json, os\nfrom nerve.process import guard\ndef compute(db, peers, ctx): return guard.guarded_by(os.getppid())",
    )
    bench.start()
    assert bench.run("told").payload is True


def test_a_worker_has_no_secret_of_the_environment_it_did_not_ask_for(bench, monkeypatch):
    """CFG-8"""
    source = "import os\ndef compute(db, peers, ctx): return [os.environ.get('MY_API_KEY'), 'nope' in open('/proc/self/environ').read()]"
    monkeypatch.setenv("MY_API_KEY", "nope")
    bench.sense("asks", source, env="[MY_API_KEY]")
    bench.start()
    assert bench.run("asks").payload == ["nope", False]


def test_compute_needs_a_sense_that_is_there(bench):
    """MSG-1"""
    bench.sense("healthy", HEALTHY)
    bench.start()
    answer = bench.worker.request(
        ComputeMessage(sense="nobody", trigger_id=1, kind=TriggerKind.MANUAL), 30
    )
    assert json.loads(answer.model_dump_json())["fault"]["kind"] == "unavailable"


def test_a_database_that_has_gone_back_in_time_counts_its_signals_anew(bench):
    """SIG-2: an older copy was restored, or a power loss took the last commits"""
    bench.sense("kept", HEALTHY)
    epoch = bench.start()["kept"].epoch
    bench.close()
    copy = bench.database("kept").read_bytes()
    bench.start()
    last = [bench.run("kept") for _ in range(3)][-1]
    bench.close()
    for file in bench.database("kept").parent.glob("kept.db*"):
        file.unlink()
    bench.database("kept").write_bytes(copy)
    report = bench.start(received={"kept": {epoch: last.seq}})["kept"]
    assert report.epoch != epoch
    assert bench.run("kept").epoch == report.epoch


def test_an_update_changes_the_peers_and_the_secrets_of_a_worker_that_goes_on(bench):
    """CTL-4, CFG-8, MSG-1"""
    bench.sense(
        "asks", "def compute(db, peers, ctx): return {'peers': sorted(peers), 'said': 'hunter2'}"
    )
    bench.start()
    assert bench.run("asks").payload == {"peers": [], "said": "hunter2"}
    own = str(bench.database("asks"))
    update = UpdateMessage(
        databases={"asks": own, "new": "/new.db"},
        masked=("hunter2",),
        grace_period_ms={"asks": 1, "gone": 2},
    )
    bench.worker.send(update)
    bench.worker.send(update)
    assert bench.run("asks").payload == {"peers": ["new"], "said": "********"}
