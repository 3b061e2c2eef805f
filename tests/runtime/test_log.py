"""What a person finds in the log afterwards."""

import sqlite3

from nerve.process.kernel import is_alive

MIXED = {
    "failing": "def compute(db, peers, ctx): raise ValueError('no disk today')",
    "slow": "import time\ndef compute(db, peers, ctx): time.sleep(60)",
    "deadly": "import os\ndef compute(db, peers, ctx): os._exit(7)",
    "broken": "import nothing_of_that_name",
    "fine": "def compute(db, peers, ctx): return {'summary': 'all is well'}",
}


def test_everything_that_happened_is_a_row_and_every_trigger_has_one_outcome(project):
    """LOG-1, SIG-1"""
    for name, source in MIXED.items():
        project.sense(name, source)
    project.sense("kept", MIXED["fine"], first='op.create_table("a", sa.Column("n", sa.Integer))')
    project.config(
        """
        senses:
          failing: {group: a}
          slow: {group: b, timeout: 200ms}
          deadly: {group: c}
          broken: {group: a}
          fine: {group: a}
          kept: {group: a}
        reflexes:
          - {kind: sense, sense: [failing, slow, deadly, broken, fine, kept], interval: 1h}
          - {kind: workflow, workflow: page-me, on: fine}
        workflows:
          page-me: {overflow: drop}
        """
    )
    said, code = project.once()
    assert code == 1

    rows = {(e["type"], e["source"]): e["payload"] for e in said if e["kind"] == "log"}
    assert {
        ("nerve.started", "nerve"),
        ("nerve.stopped", "nerve"),
        ("worker.ready", "a"),
        ("worker.stopped", "a"),
        ("worker.died", "c"),
        ("migration.applied", "kept"),
        ("sense.unavailable", "broken"),
        ("compute.error", "failing"),
        ("compute.soft_timeout", "slow"),
        ("compute.crashed", "deadly"),
        ("workflow.not_run", "page-me"),
    } <= set(rows)
    assert rows["worker.died", "c"]["how"] == "exited with 7"
    assert rows["worker.died", "c"]["running"] == "deadly"
    assert "nothing_of_that_name" in rows["sense.unavailable", "broken"]["message"]
    assert "no disk today" in rows["compute.error", "failing"]["message"]
    assert "line 1, in compute" in rows["compute.error", "failing"]["traceback"]
    assert "200ms" in rows["compute.soft_timeout", "slow"]["message"]
    assert rows["migration.applied", "kept"] == {"revision": "first"}

    # What was accepted has one outcome, what was not a reason.
    outcomes = project.query("logs", "SELECT sense, outcome, count FROM outcomes ORDER BY sense")
    assert outcomes == [
        ("broken", "unavailable", 1),
        ("deadly", "crashed", 1),
        ("failing", "error", 1),
        ("fine", "signal", 1),
        ("kept", "signal", 1),
        ("slow", "soft_timeout", 1),
    ]

    # Rows and signals are one timeline with one order, and no fact stands in it twice.
    timeline = project.query("logs", "SELECT id, type FROM timeline ORDER BY id")
    assert [i for i, _ in timeline] == [e["id"] for e in said]
    assert [t for _, t in timeline] == [e.get("type", "signal") for e in said]
    assert "signal" not in {t for (t,) in project.query("logs", "SELECT type FROM logs")}


def test_a_flood_of_log_records_is_cut_counted_and_delays_nobody(project):
    """LOG-5"""
    project.sense(
        "flooding",
        "def compute(db, peers, ctx):\n    for n in range(4_000): ctx.log.info('line %d', n)\n    return 1",
    )
    project.config(
        "senses: {flooding: {}}\nreflexes: [{kind: sense, sense: flooding, interval: 100ms}]"
    )
    running = project.start()
    running.signals("flooding", 3)
    running.stop()
    kept = [e for e in running.said if e.get("type") == "log"]
    assert 100 < len(kept) < 2_000


def test_a_journal_is_refused_when_it_is_no_database(project):
    """BOOT-6"""
    project.config("{timezone: UTC}")
    project.state.mkdir()
    (project.state / "logs.db").write_bytes(b"nonsense " * 1000)
    running = project.start()
    assert running.wait() == 73
    assert "DatabaseCorrupt" in running.errors()
    assert (project.state / "logs.db").read_bytes() == b"nonsense " * 1000


def test_a_damaged_signal_is_skipped_and_named(project):
    """BOOT-6"""
    project.sense("fine", MIXED["fine"])
    project.sense(
        "after", "def compute(db, peers, ctx): return [s.id for s in ctx.trigger.signals]"
    )
    project.config(
        """
        senses: {fine: {}, after: {}}
        reflexes:
          - {kind: sense, sense: fine, interval: 1h}
          - {kind: sense, sense: after, on: fine}
        """
    )
    project.once()
    with sqlite3.connect(project.state / "logs.db") as writer:
        writer.execute(
            "INSERT INTO signals (id, sense, at_us, epoch, seq, payload, cause)"
            " VALUES (500, 'fine', 1, 'x', 1, '{oops', '{}')"
        )
        writer.execute("UPDATE received SET signal_id = 500")
    writer.close()
    said, _ = project.once()
    (row,) = [e for e in said if e.get("type") == "row.invalid"]
    assert row["payload"]["id"] == 500
    (answer,) = [e for e in said if e["kind"] == "signal" and e["sense"] == "after"]
    assert 500 not in answer["payload"]


def test_a_file_name_with_half_a_character_stops_nobody(project):
    """LOG-6, RUN-5"""
    project.sense(
        "odd",
        r"def compute(db, peers, ctx):\n    ctx.log.info('file %s', '\udcff.txt')\n    return 1".replace(
            "\\n", "\n"
        ),
    )
    project.config("senses: {odd: {}}\nreflexes: [{kind: sense, sense: odd, interval: 1h}]")
    said, code = project.once()
    assert code == 0
    assert [e["payload"] for e in said if e["kind"] == "signal"] == [1]
    (row,) = [e for e in said if e.get("type") == "log"]
    assert row["payload"]["message"].startswith("file ")


def test_objects_in_a_log_record_do_not_reach_the_parent(project):
    """LOG-4, invariant 1"""
    project.sense(
        "odd",
        """
        import os
        class Thing:
            def __reduce__(self):
                return (os.mkdir, ("made-by-unpickling",))
        def compute(db, peers, ctx):
            ctx.log.logger.info("before", extra={"thing": Thing()})
            ctx.log.info("after %s", Thing.__name__)
            return 1
        """,
    )
    project.config("senses: {odd: {}}\nreflexes: [{kind: sense, sense: odd, interval: 1h}]")
    said, code = project.once()
    assert code == 0
    assert [e["payload"]["message"] for e in said if e.get("type") == "log"] == [
        "before",
        "after Thing",
    ]
    assert not (project.root / "made-by-unpickling").exists()


def test_an_import_that_hangs_keeps_the_other_groups_waiting_for_a_while_only(project):
    """BOOT-2, BOOT-3"""
    project.sense("hanging", "while True: pass")
    project.sense("fine", MIXED["fine"])
    project.config(
        """
        senses: {hanging: {group: a}, fine: {group: b}}
        reflexes: [{kind: sense, sense: [hanging, fine], interval: 50ms}]
        """
    )
    running = project.start(GATE_PATIENCE_S="1")
    (slow,) = running.log("group.slow", source="a")
    running.signals("fine", 2)
    assert "hanging" in slow["payload"]["hint"]
    assert running.stop() == 0


def test_what_a_worker_leaves_in_its_process_group_ends_with_it(project):
    """RUN-3"""
    project.sense(
        "leaving",
        """
        import os, subprocess
        def compute(db, peers, ctx):
            child = subprocess.Popen(["sleep", "600"])
            print(child.pid, flush=True)
            os._exit(3)
        """,
    )
    project.config("senses: {leaving: {}}\nreflexes: [{kind: sense, sense: leaving, interval: 1h}]")
    running = project.start()
    (line,) = running.log("output", source="leaving")
    running.log("worker.ready", 2)
    assert not is_alive(int(line["payload"]["text"]))
    assert running.stop() == 0
