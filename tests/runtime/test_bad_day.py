"""A day on which everything happens, as it stands in the log afterwards."""

import json

SENSES = {
    "deadly": "import os\ndef compute(db, peers, ctx): os._exit(7)",
    "stuck": "import itertools\ndef compute(db, peers, ctx): sum(itertools.repeat(1, 10**13))",
    "kept": "def compute(db, peers, ctx): return 1",
}
FACTS = [
    # Source, type, level, and of the payload: keys, and texts its values hold.
    ("nerve", "nerve.started", "info", {"pid", "version", "boot", "config"}, ["nerve.yaml"]),
    ("kept", "migration.applied", "info", {"revision"}, ["first"]),
    ("a", "worker.ready", "info", {"senses", "generation"}, ["deadly"]),
    ("a", "worker.died", "error", {"pid", "guilty", "how"}, ["exited with 7", "deadly"]),
    ("deadly", "compute.crashed", "error", {"message"}, ["the worker exited with 7"]),
    ("deadly", "sense.resting", "warning", {"until", "strikes"}, ["not run before"]),
    ("deadly", "sense.quarantined", "error", {"until", "times", "hint"}, ["nerve resume deadly"]),
    ("stuck", "worker.hard_timeout", "error", {"timeout_ms", "grace_period_ms"}, ["in compute"]),
    ("stuck", "compute.killed", "error", {"message"}, ["did not end within timeout"]),
    ("b", "worker.died", "error", {"pid", "guilty", "hint"}, ["SIGKILL", "raise its timeout"]),
    ("nerve", "archive.finished", "info", {"archived_up_to", "seconds"}, ["went to the archive"]),
    ("nerve", "nerve.crashed", "warning", {"pid", "boot", "started"}, ["without a word"]),
    ("stuck", "recovery.quarantine", "warning", {"until"}, ["still in quarantine"]),
    ("nerve", "nerve.stopping", "info", {"message"}, ["SIGTERM"]),
    ("c", "worker.stopped", "info", {"pid", "how", "clean"}, ["exited with 0"]),
    ("nerve", "nerve.stopped", "info", {"signals", "failures"}, []),
]


def test_a_bad_day_can_be_read_row_by_row_and_no_row_changes_afterwards(project):
    """LOG-1"""
    for name, source in SENSES.items():
        revisions = {"first": 'op.create_table("a", sa.Column("n", sa.Integer))'}
        project.sense(name, source, **(revisions if name == "kept" else {}))
    project.config(
        """
        senses:
          deadly: {group: a}
          stuck: {group: b, timeout: 100ms, grace_period: 100ms}
          kept: {group: c}
        reflexes:
          - {kind: sense, sense: [deadly, stuck, kept], interval: 100ms}
        """
    )

    def rows(last_id=2**62):
        query = "SELECT id, at_us, source, type, level, ref, payload FROM logs WHERE id <= ?"
        return project.query("logs", query, last_id)

    first = project.start(RESTS_S="0.05", FIRST_AFTER_S="0")
    for sense in ("deadly", "stuck"):
        first.log("sense.quarantined", source=sense)
    first.log("archive.finished")
    first.log("worker.ready", count=4, source="a")
    first.kill()
    before = rows()
    second = project.start(FIRST_AFTER_S="0")
    second.log("nerve.crashed")
    second.log("archive.finished")
    assert second.stop() == 0
    assert rows(before[-1][0]) == before

    found = {}
    for _, _, source, type_, level, ref, payload in rows():
        found.setdefault((source, type_), (level, ref, json.loads(payload), payload))
    for source, type_, level, keys, texts in FACTS:
        told, ref, payload, text = found[source, type_]
        assert told == level, type_
        assert keys <= payload.keys(), type_
        assert all(part in text for part in texts), (type_, text)
        if source in ("deadly", "stuck") and not type_.startswith("recovery"):
            assert ref.startswith("trigger:"), type_
    # Each death of deadly's worker was followed by a new worker, without a row too many.
    died = [n for n, row in enumerate(rows()) if row[2:4] == ("a", "worker.died")]
    ready = [n for n, row in enumerate(rows()) if row[2:4] == ("a", "worker.ready")]
    assert [one < other for one, other in zip(died, ready[1:], strict=False)] == [True] * 3
