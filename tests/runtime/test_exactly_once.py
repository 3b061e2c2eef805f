"""SIG-2: killed before and after each durable step, rows, signals and reflexes agree one to one."""

import pytest

CRASH_POINTS = '''
"""Lets this worker kill itself, once, at a point named in the environment."""
import multiprocessing
import os
import signal
from pathlib import Path

from nerve.store.outbox import Outbox
from nerve.wire.channel import BlockingChannel
from nerve.worker.resident import Resident

HERE = Path(__file__).parents[1]
POINTS = {
    "commit": (Resident, "commit"),
    "report": (BlockingChannel, "send"),
    "acknowledge": (Outbox, "acknowledge"),
    "clean-up": (Outbox, "drop"),
    "cleaned-up": (Outbox, "dropped"),
}

def strike():
    try:
        (HERE / "armed").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

def arm(point):
    name, when = point.split(":")
    owner, method = POINTS[name]
    original = getattr(owner, method)
    def struck(*arguments, **named):
        if when == "before":
            strike()
        result = original(*arguments, **named)
        if when == "after":
            strike()
        return result
    setattr(owner, method, struck)

if multiprocessing.current_process().name == "nerve: " + os.environ.get("KILL_GROUP", ""):
    arm(os.environ["KILL_POINT"])
'''

SOURCE = """
from sqlalchemy import text
from nerve_local_senses import crash_points

def compute(db, peers, ctx):
    n = db.execute(text("INSERT INTO seen DEFAULT VALUES RETURNING n")).scalar_one()
    return {"n": n}
"""

ECHO = """
from sqlalchemy import text
from nerve_local_senses import crash_points

def compute(db, peers, ctx):
    assert ctx.trigger.left_out == 0
    run = db.execute(text("INSERT INTO runs DEFAULT VALUES RETURNING run")).scalar_one()
    for signal in ctx.trigger.signals:
        db.execute(text("INSERT INTO heard (signal, n) VALUES (:i, :n)"), {"i": signal.id, "n": signal.payload["n"]})
    return {"n": run}
"""

QUIET = ECHO.replace('return {"n": run}', "return None")

HEARD = """
op.create_table("runs", sa.Column("run", sa.Integer, primary_key=True))
op.create_table("heard", sa.Column("signal", sa.Integer), sa.Column("n", sa.Integer))
"""

CONFIG = """
senses:
  source: {group: one}
  echo: {group: two}
  quiet: {group: one}
reflexes:
  - {kind: sense, sense: source, interval: 20ms}
  - {kind: sense, sense: echo, on: source}
  - {kind: sense, sense: quiet, on: [source, echo]}
"""

WORKER_POINTS = [
    "commit:before",
    "commit:after",
    "report:before",
    "report:after",
    "acknowledge:before",
    "acknowledge:after",
    "clean-up:before",
    "clean-up:after",
    "cleaned-up:after",
]
PARENT_POINTS = [
    "report:before",
    "report:after",
    "commit:before",
    "commit:after",
    "acknowledge:before",
    "acknowledge:after",
]


@pytest.fixture
def chain(project):
    (project.root / "senses" / "crash_points.py").write_text(CRASH_POINTS)
    project.sense(
        "source",
        SOURCE,
        first='op.create_table("seen", sa.Column("n", sa.Integer, primary_key=True))',
    )
    project.sense("echo", ECHO, first=HEARD)
    project.sense("quiet", QUIET, first=HEARD)
    project.config(CONFIG)
    return project


def assert_all_agrees(project):
    signals = project.query("logs", "SELECT id, sense, payload ->> 'n' FROM signals ORDER BY id")
    of = {
        name: [(i, n) for i, sense, n in signals if sense == name]
        for name in ("source", "echo", "quiet")
    }
    assert len(of["source"]) > 5
    assert [n for _, n in of["source"]] == [
        n for (n,) in project.query("source", "SELECT n FROM seen ORDER BY n")
    ]
    assert [n for _, n in of["echo"]] == [
        n for (n,) in project.query("echo", "SELECT run FROM runs ORDER BY run")
    ]
    assert of["quiet"] == []
    heard = "SELECT signal, n FROM heard ORDER BY signal"
    assert project.query("echo", heard) == of["source"]
    assert project.query("quiet", heard) == sorted(of["source"] + of["echo"])
    for sense in ("source", "echo"):
        assert project.query(sense, "SELECT count(*) FROM nerve_outbox") == [(0,)]


@pytest.mark.parametrize("point", WORKER_POINTS)
@pytest.mark.parametrize("group", ["one", "two"])
def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(chain, point, group):
    """SIG-2"""
    running = chain.start(KILL_POINT=point, KILL_GROUP=group)
    running.signals("echo", 3)
    (chain.root / "armed").touch()
    (died,) = running.log("worker.died")
    running.signals("source", sum(e["kind"] == "signal" for e in running.said) + 5)
    assert running.stop() == 0, running.errors()
    assert died["payload"]["how"] == "was ended by signal 9"
    _, code = chain.once()
    assert code == 0
    assert_all_agrees(chain)


@pytest.mark.parametrize("point", PARENT_POINTS)
def test_a_parent_killed_at_any_step_loses_and_doubles_nothing(chain, point):
    """SIG-2"""
    running = chain.start(KILL_PARENT=point)
    running.signals("echo", 3)
    (chain.root / "armed").touch()
    assert running.wait() == -9
    said, code = chain.once()
    assert code == 0, said
    assert any(entry.get("type") == "nerve.crashed" for entry in said)
    assert_all_agrees(chain)
