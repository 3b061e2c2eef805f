"""A whole nerve: when things run, over stops, kills and pauses."""

from collections import Counter
from contextlib import closing
from itertools import pairwise

import pytest

from nerve.store.batch import Batch, Pause
from nerve.store.journal import Journal

TABLE = 'op.create_table("seen", sa.Column("n", sa.Integer, primary_key=True))'
SOURCE = """
from sqlalchemy import text
def compute(db, peers, ctx):
    n = db.execute(text("SELECT count(*) FROM seen")).scalar_one() + 1
    if n > LIMIT:
        return None
    db.execute(text("INSERT INTO seen DEFAULT VALUES"))
    return {"n": n}
"""
TELLING = "def compute(db, peers, ctx): return [s.payload['n'] for s in ctx.trigger.signals]"
BROKEN = "raise RuntimeError('not yet')"
TICKING = """
from sqlalchemy import text
def compute(db, peers, ctx):
    assert ctx.trigger.kind == "interval"
    due_ms = round(ctx.trigger.due.timestamp() * 1_000)
    db.execute(text("INSERT INTO seen (n) VALUES (:n)"), {"n": due_ms})
    return {"due_ms": due_ms, "merged": ctx.trigger.merged}
"""
INTERVAL_MS = 300


def source(project, limit):
    """A sense that signals 1, 2, ... up to a limit, and then is silent."""
    project.sense("source", SOURCE.replace("LIMIT", str(limit)), first=TABLE)


def told_by(running, sense):
    return [e["payload"] for e in running.said if e["kind"] == "signal" and e["sense"] == sense]


def counts(project, sense):
    query = "SELECT outcome, count FROM outcomes WHERE sense = ?"
    return Counter(dict(project.query("logs", query, sense)))


def set_pause(project, sense, pause):
    with closing(Journal(project.state / "logs.db")) as journal:
        journal.commit(Batch(paused={sense: pause}))


def test_what_came_while_nobody_could_answer_becomes_what_each_reflex_says(project):
    """SIG-7, SIG-8"""
    source(project, 5)
    for sense in ("burst", "each", "none"):
        project.sense(sense, TELLING if sense == "burst" else BROKEN)
    project.config(
        """
        senses: {source: {group: a}, burst: {group: b}, each: {group: c}, none: {group: d}}
        reflexes:
          - {kind: sense, sense: source, interval: 50ms}
          - {kind: sense, sense: burst, on: source, where: n > 2, debounce: 2s}
          - {kind: sense, sense: each, on: source, where: n != 3, missed: all}
          - {kind: sense, sense: none, on: source, missed: skip}
        """
    )
    first = project.start()
    first.signals("source", 5)
    first.signals("burst")
    assert first.stop() == 0, first.errors()
    assert told_by(first, "burst") == [[3, 4, 5]]
    assert counts(project, "burst") == {"filtered": 2, "coalesced": 2, "debounced": 1, "signal": 1}
    # The third was refused while `each` could not run; it must not hide those before it.
    assert counts(project, "each") == {"unavailable": 5}
    for sense in ("each", "none"):
        project.sense(sense, TELLING)
    second = project.start()
    second.signals("each", 4)
    assert second.stop() == 0, second.errors()
    assert told_by(second, "each") == [[1], [2], [4], [5]]
    assert told_by(second, "none") == told_by(second, "burst") == []
    assert counts(project, "each") == {"unavailable": 5, "filtered": 1, "signal": 4}
    assert counts(project, "none") == {"unavailable": 5, "missed": 5}


@pytest.mark.parametrize("step", ["report:before", "commit:before", "commit:after"])
def test_a_tick_is_neither_lost_nor_doubled_by_a_kill_of_the_parent(project, step):
    """SIG-2, SIG-7"""
    project.sense("ticking", TICKING, first=TABLE)
    project.config(
        f"""
        senses: {{ticking: {{}}}}
        reflexes: [{{kind: sense, sense: ticking, interval: {INTERVAL_MS}ms, missed: all}}]
        """
    )
    for _ in range(2):
        running = project.start(KILL_PARENT=step)
        running.signals("ticking", 2)
        (project.root / "armed").touch()
        assert running.wait() == -9
    last = project.start()
    last.log("schedule.missed")
    last.signals("ticking", 3)
    assert last.stop() == 0, last.errors()
    rows = project.query(
        "logs", "SELECT payload ->> 'due_ms', payload ->> 'merged' FROM signals ORDER BY id"
    )
    assert project.query("ticking", "SELECT n FROM seen ORDER BY n") == [(due,) for due, _ in rows]
    passed = 0
    for (due_ms, merged), (next_ms, _) in pairwise(rows):
        late_ms = next_ms - due_ms - INTERVAL_MS * (1 + merged)
        skipped = round(late_ms / INTERVAL_MS)
        # By two clocks, so not exactly: what was made up for is told from the one on the wall.
        assert abs(late_ms - skipped * INTERVAL_MS) < INTERVAL_MS / 2, rows
        assert skipped >= 0, rows
        passed += skipped
    # None, but where a slow machine takes longer to start than what is made up for at most.
    assert counts(project, "ticking")["missed"] == passed
    source = f"@every {INTERVAL_MS}ms"
    cursor = "SELECT signal_id FROM cursors WHERE target = 'ticking' AND source = ?"
    position = "SELECT signal_id FROM nerve_position WHERE source = ?"
    assert project.query("logs", cursor, source) == project.query("ticking", position, source)


def test_a_sense_that_was_paused_answers_its_signals_once_it_runs_again(project):
    """SIG-7, SIG-8: also where its reflex is new and it has answered nothing yet."""
    source(project, 0)
    project.sense("later", TELLING)
    senses = "senses: {source: {group: a}, later: {group: b}}\n"
    ticks = "reflexes:\n  - {kind: sense, sense: source, interval: 50ms}\n"
    project.config(senses + ticks)
    project.once()
    project.config(senses + ticks + "  - {kind: sense, sense: later, on: source, where: n != 4}\n")
    set_pause(project, "later", Pause("later", 1, "not now"))
    for limit in (3, 5):
        source(project, limit)
        paused = project.start()
        paused.log("sense.paused", source="later")
        paused.wait_for(lambda e, n=limit: e.get("payload") == {"n": n})
        assert paused.stop() == 0, paused.errors()
    # One for each, and one for the backlog at the second start.
    assert counts(project, "later") == {"paused": 6}
    set_pause(project, "later", None)
    resumed = project.start()
    resumed.signals("later")
    assert resumed.stop() == 0, resumed.errors()
    assert told_by(resumed, "later") == [[1, 2, 3, 5]]
    assert counts(project, "later") == {"paused": 6, "filtered": 1, "signal": 1}
