"""SIG-2: killed before and after each durable step, rows, signals and reflexes agree one to one."""

import pytest

CRASH_POINTS = '''
"""Lets this worker kill itself at the point that the first line of the file `armed` names.

Once for each line, which is gone by then.
"""
import multiprocessing
import os
import signal
from pathlib import Path

from nerve.store.outbox import Outbox
from nerve.wire.channel import BlockingChannel
from nerve.worker.reins import Reins
from nerve.worker.resident import Resident

HERE = Path(__file__).parents[1]
POINTS = {
    "begin": (Reins, "begin"),
    "commit": (Resident, "commit"),
    "report": (BlockingChannel, "send"),
    "acknowledge": (Outbox, "acknowledge"),
    "clean-up": (Outbox, "drop"),
}

def strike(step):
    armed = HERE / "armed"
    me = multiprocessing.current_process().name.removeprefix("nerve: ")
    try:
        first, *others = armed.read_text().splitlines() or [""]
    except FileNotFoundError:
        return
    if first != f"{me} {step}":
        return
    armed.with_name("others").write_text("\\n".join(others))
    armed.with_name("others").rename(armed)
    os.kill(os.getpid(), signal.SIGKILL)

def arm(name, owner, method):
    original = getattr(owner, method)
    def struck(*arguments, **named):
        strike(f"{name}:before")
        result = original(*arguments, **named)
        strike(f"{name}:after")
        return result
    setattr(owner, method, struck)

for name, (owner, method) in POINTS.items():
    arm(name, owner, method)
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

# Four at a time: the fifth death between computes within a minute is fatal for a group.
WORKER_STEPS = [
    ["commit:before", "commit:after", "report:before", "report:after"],
    ["acknowledge:before", "acknowledge:after", "clean-up:before", "clean-up:after"],
]
PARENT_STEPS = [
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


def arm(project, *strikes):
    """Each is "GROUP POINT:WHEN"; they fall in this order."""
    (project.root / "next").write_text("\n".join(strikes))
    (project.root / "next").rename(project.root / "armed")


def assert_all_agrees(project):
    signals = project.query("logs", "SELECT id, sense, payload ->> 'n' FROM signals ORDER BY id")
    of = {
        name: [(i, n) for i, sense, n in signals if sense == name]
        for name in ("source", "echo", "quiet")
    }
    assert len(of["source"]) > 3
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


@pytest.mark.parametrize("steps", WORKER_STEPS, ids=" ".join)
def test_workers_killed_at_any_step_lose_and_double_nothing(chain, steps):
    """SIG-2"""
    running = chain.start(RESTS_S="0")
    running.signals("echo", 3)
    deaths = 0
    for step in steps:
        for group in ("one", "two"):
            arm(chain, f"{group} {step}")
            deaths += 1
            died = running.log("worker.died", deaths)[-1]
            assert (died["source"], died["payload"]["how"]) == (
                group,
                "was ended by signal 9 (SIGKILL)",
            )
            # Both, or the next one could fall on a worker that starts: then its sense rests a minute.
            for sense in ("source", "echo"):
                said = sum(e.get("sense") == sense for e in running.said)
                running.signals(sense, said + 2)
    assert running.stop() == 0, running.errors()
    _, code = chain.once()
    assert code == 0
    assert_all_agrees(chain)


# More deaths than a trigger has attempts. `acknowledge` comes before the compute, with its message.
INNOCENT_DEATHS = [
    ["begin:before"] * 4,
    ["acknowledge:before", "clean-up:before", "clean-up:after"],
]


@pytest.mark.parametrize("steps", INNOCENT_DEATHS, ids=" ".join)
def test_deaths_before_a_compute_began_do_not_use_up_the_attempts_of_its_signals(chain, steps):
    """SIG-2: an innocent worker that is killed from outside loses no reaction."""
    running = chain.start(RESTS_S="0")
    running.signals("echo", 3)
    arm(chain, *(f"two {step}" for step in steps))
    running.log("worker.died", len(steps))
    said = sum(e.get("sense") == "echo" for e in running.said)
    running.signals("echo", said + 2)
    assert running.stop() == 0, running.errors()
    _, code = chain.once()
    assert code == 0
    assert chain.query("logs", "SELECT payload FROM logs WHERE type = 'reflex.given_up'") == []
    assert_all_agrees(chain)


def test_a_parent_killed_at_any_step_loses_and_doubles_nothing(chain):
    """SIG-2"""
    for step in PARENT_STEPS:
        running = chain.start(KILL_PARENT=step)
        running.signals("echo", 2)
        (chain.root / "armed").touch()
        assert running.wait() == -9
    said, code = chain.once()
    assert code == 0, said
    assert any(entry.get("type") == "nerve.crashed" for entry in said)
    assert_all_agrees(chain)


LAST_WORDS = """
import os, signal
from pathlib import Path
from nerve.worker.resident import Resident

commit = Resident.commit

def commit_and_die(self, **told):
    commit(self, **told)
    Path(__file__).write_text("raise RuntimeError('half a deployment')")
    os.kill(os.getpid(), signal.SIGKILL)

Resident.commit = commit_and_die

def compute(db, peers, ctx):
    return "committed"
"""


def test_what_was_committed_is_the_outcome_though_the_sense_is_not_loaded_any_more(project):
    """SIG-2, one trigger, one outcome"""
    project.sense("fragile", LAST_WORDS)
    project.sense("listener", "def compute(db, peers, ctx): return ctx.trigger.signals[0].payload")
    project.config(
        """
        senses: {fragile: {group: one}, listener: {group: two}}
        reflexes:
          - {kind: sense, sense: fragile, interval: 1h}
          - {kind: sense, sense: listener, on: fragile}
        """
    )
    running = project.start(RESTS_S="0")
    running.log("sense.unavailable", source="fragile")
    (heard,) = running.signals("listener")
    assert heard["payload"] == "committed"
    assert running.stop() == 0, running.errors()
    assert project.query("logs", "SELECT type FROM logs WHERE type LIKE 'compute.%'") == []
    assert project.query("logs", "SELECT count(*) FROM signals WHERE sense = 'fragile'") == [(1,)]
