"""A running nerve goes on with another nerve.yaml; what happened is what was printed."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nerve.cli.remote import Refused, connect_to
from nerve.store.state_dir import StateDir
from nerve.wire.control import ProgressReply, ReloadRequest
from tests.runtime.conftest import DIES_BETWEEN

TABLE = 'op.create_table("seen", sa.Column("n", sa.Integer, primary_key=True))'
COUNTING = """
from sqlalchemy import text
def compute(db, peers, ctx):
    n = db.execute(text("INSERT INTO seen DEFAULT VALUES RETURNING n")).scalar_one()
    return {"n": n, "peers": sorted(peers), "options": dict(ctx.options)}
"""
ECHO = """
from sqlalchemy import text
def compute(db, peers, ctx):
    for signal in ctx.trigger.signals:
        db.execute(text("INSERT INTO heard (signal, n) VALUES (:i, :n)"), {"i": signal.id, "n": signal.payload["n"]})
    return None
"""
HEARD = 'op.create_table("heard", sa.Column("signal", sa.Integer), sa.Column("n", sa.Integer))'
HANGS = """
from collections import deque
from itertools import repeat
def compute(db, peers, ctx):
    print("hangs", flush=True)
    deque(repeat(None), maxlen=0)
"""
LOADS_WHEN_TOLD = """
import time
from pathlib import Path
while not Path(__file__).parents[2].joinpath("go").exists():
    time.sleep(0.01)
def compute(db, peers, ctx): return None
"""
CONFIG = """
senses:
  source: {{group: {home}, options: {{word: {word}}}}}
  echo: {{group: two}}
reflexes:
  - {{kind: sense, sense: source, interval: 20ms}}
  - {{kind: sense, sense: echo, on: source}}
"""


def config(home="one", word="first"):
    return CONFIG.format(home=home, word=word)


@pytest.fixture
def chain(project):
    project.sense("source", COUNTING, first=TABLE)
    project.sense("echo", ECHO, first=HEARD)
    project.config(config())
    return project


def reload(project, told=None, *, check=False):
    told = [] if told is None else told
    with connect_to(StateDir(project.state)) as remote:
        return remote.ask(
            ReloadRequest(check=check), told=lambda progress: told.append(progress.message)
        )


def started(project, **environment):
    running = project.start(**environment)
    running.wait_for(lambda e: e.get("kind") == "signal", "a first signal")
    return running


def assert_nothing_is_lost_or_doubled(project):
    """Rows of source, its signals, and what echo has heard agree one to one."""
    signals = project.query("logs", "SELECT id, payload ->> 'n' FROM signals WHERE sense = 'source' ORDER BY id")  # fmt: skip
    rows = [n for (n,) in project.query("source", "SELECT n FROM seen ORDER BY n")]
    assert [n for _, n in signals] == rows
    assert project.query("echo", "SELECT signal, n FROM heard ORDER BY signal") == signals


def test_a_changed_option_restarts_its_group_alone_and_signals_flow_on(chain):
    """CTL-4"""
    running = started(chain)
    chain.config(config(word="second"))
    reply = reload(chain)
    running.wait_for(
        lambda e: e["kind"] == "signal" and e["payload"].get("options") == {"word": "second"}
    )
    assert reply.message == "one: worker 2 is ready (senses.source.options)"
    (logged,) = running.log("config.reloaded")
    assert logged["payload"]["message"] == reply.message
    assert (logged["payload"]["by"], logged["payload"]["groups"]) == ("nerve reload", reply.facts["groups"])  # fmt: skip
    assert not [e for e in running.said if e.get("type") == "worker.stopped" and e["source"] == "two"]  # fmt: skip
    assert running.stop() == 0
    assert chain.once()[1] == 0
    assert_nothing_is_lost_or_doubled(chain)


def test_what_changes_at_once_restarts_nothing_and_what_is_the_same_says_so(chain):
    """CTL-4"""
    running = started(chain)
    assert reload(chain).message == "nothing has changed"
    chain.config(
        config().replace("interval: 20ms", "interval: 10s") + "journal: {durability: normal}\n"
    )
    foreseen = reload(chain, check=True)
    reply = reload(chain)
    assert foreseen.facts == reply.facts
    assert reply.facts == {
        "applied": ["reflexes of source"],
        "groups": {},
        "removed_groups": [],
        "unavailable": {},
        "needs_restart": ["journal.durability"],
    }
    (left,) = running.log("config.restart_needed")
    assert left["payload"]["keys"] == ["journal.durability"]
    reload(chain)
    running.log("config.restart_needed", 2)
    assert len(running.log("config.reloaded", 3)) == 3  # a check is none
    assert not [e for e in running.said if e.get("type") == "worker.stopped"]


@pytest.mark.parametrize("how", ["file", "option", "code", "missing"])
def test_a_faulty_configuration_changes_nothing_and_all_that_is_wrong_is_told(chain, how):
    """CTL-4, CFG-1"""
    chain.sense("source", "import nerve\nclass Options(nerve.Options):\n    word: str\n" + COUNTING)
    running = started(chain)
    good = config(word="second").replace("20ms", "30ms")
    match how:
        case "file":
            chain.config(good.replace("on: source", "on: nobody").replace("echo:", "3cho:"))
            expected = ["nerve.yaml:4:3: senses.3cho", "nerve.yaml:7:"]
        case "option":
            chain.config(good.replace("word: second", "word: [1]"))
            expected = ["nerve.yaml:3:", "senses.source.options.word"]
        case "code":
            chain.config(good)
            (chain.root / "senses" / "echo" / "__init__.py").write_text("def compute(:")
            expected = ["nerve.yaml:4:3: senses.echo: import_raised"]
        case "missing":
            chain.config(good.replace("  echo:", "  nobody: {}\n  echo:"))
            expected = ["nerve.yaml:4:3: senses.nobody: not_found"]
    with pytest.raises(Refused) as refusal:
        reload(chain)
    for part in expected:
        assert part in str(refusal.value)
    assert refusal.value.exit_code == 78
    (logged,) = running.log("config.refused")
    assert str(refusal.value) in logged["payload"]["message"]
    signals = sum(e["kind"] == "signal" for e in running.said)
    going_on = running.wait_for(lambda e: e["kind"] == "signal", count=signals + 3)
    assert {e["payload"]["options"]["word"] for e in going_on} == {"first"}
    assert not [e for e in running.said if e.get("type") == "worker.stopped"]


def test_changed_code_is_picked_up_and_a_sense_that_was_broken_comes_back(chain):
    """CTL-4, LOG-1"""
    chain.sense("echo", "import nothing_there")
    running = started(chain)
    reply = reload(chain)
    assert reply.message == "nothing has changed"
    chain.sense("echo", ECHO)
    chain.sense("source", COUNTING.replace('"n": n,', '"n": n, "new": 1,'))
    reply = reload(chain)
    assert set(reply.facts["groups"]) == {"one", "two"}
    assert reply.facts["groups"]["two"]["why"] == ["code of echo"]
    running.wait_for(lambda e: e["kind"] == "signal" and "new" in e["payload"])
    running.stop()
    assert chain.once()[1] == 0
    assert_nothing_is_lost_or_doubled(chain)


@pytest.mark.parametrize("home", ["renamed", "two"])
def test_a_renamed_group_and_a_sense_that_moves_lose_and_double_nothing(chain, home):
    """CTL-4, SIG-2"""
    running = started(chain)
    chain.config(config(home=home))
    reply = reload(chain)
    assert reply.facts["removed_groups"] == ["one"]
    assert reply.facts["groups"][home]["why"] == ["source comes from one"]
    running.wait_for(
        lambda e: e["kind"] == "signal", count=sum(e["kind"] == "signal" for e in running.said) + 5
    )
    chain.config(config())
    assert set(reload(chain).facts["groups"]) == {"one"} | ({"two"} if home == "two" else set())
    running.wait_for(
        lambda e: e["kind"] == "signal", count=sum(e["kind"] == "signal" for e in running.said) + 5
    )
    assert running.stop() == 0
    assert "worker.died" not in [e.get("type") for e in running.said]
    assert chain.once()[1] == 0
    assert_nothing_is_lost_or_doubled(chain)


def test_a_new_sense_is_everybodys_peer_and_a_removed_one_is_nobodys(chain):
    """CTL-4"""
    running = started(chain)
    chain.sense("third", COUNTING, first=TABLE)
    added = config().replace("  echo:", "  third: {group: three}\n  echo:")
    chain.config(added + "  - {kind: sense, sense: third, interval: 1h}\n")
    reply = reload(chain)
    assert reply.facts["groups"] == {
        "three": {"generation": 1, "why": ["third is new"], "unavailable": {}}
    }
    running.signals("third")
    running.wait_for(lambda e: e.get("sense") == "source" and "third" in e["payload"]["peers"])
    chain.config(config())
    reply = reload(chain)
    assert reply.facts["removed_groups"] == ["three"]
    said = len(running.said)
    running.wait_for(
        lambda e: (
            running.said.index(e) > said
            and e.get("sense") == "source"
            and "third" not in e["payload"]["peers"]
        )
    )
    assert running.stop() == 0
    assert (chain.state / "senses" / "third.db").exists()
    assert chain.once()[1] == 0
    assert_nothing_is_lost_or_doubled(chain)


def test_a_secret_that_changes_is_masked_by_workers_that_go_on(chain):
    """CTL-4, CFG-8"""
    running = started(chain)
    chain.sense("echo", "def compute(db, peers, ctx): return 'new-secret'")
    secret = config().replace("echo: {", "echo: {secrets: {x: old-secret}, ")
    chain.config(secret)
    reload(chain)
    running.wait_for(lambda e: e.get("sense") == "echo" and e["payload"] == "new-secret")
    chain.config(secret.replace("source: {", "source: {secrets: {x: new-secret}, "))
    reply = reload(chain)
    assert set(reply.facts["groups"]) == {"one"}
    running.wait_for(lambda e: e.get("sense") == "echo" and e["payload"] == "********")


def test_while_a_sense_hangs_the_others_are_reloaded_and_it_is_said_what_is_waited_for(chain):
    """CTL-4: it moves to another group, which has it only after its hard deadline."""
    chain.sense("stuck", HANGS)
    text = config().replace(
        "  echo:", "  stuck: {group: slow, timeout: 6s, grace_period: 500ms}\n  echo:"
    )
    text += "  - {kind: sense, sense: stuck, interval: 1h}\n"
    chain.config(text)
    running = started(chain)
    running.log("output")
    chain.config(text.replace("group: slow", "group: two").replace("word: first", "word: second"))
    told = []
    reply = reload(chain, told)
    assert any("stuck has run for" in line for line in told), told
    assert any("group two waits for slow" in line for line in told), told
    assert set(reply.facts["groups"]) == {"one", "two"}
    running.log("config.reloaded")
    types = [
        (e["type"], e["source"])
        for e in running.said
        if e["kind"] == "log" and e["type"] in ("worker.ready", "worker.stopped", "compute.killed")
    ]
    after = types[3:]  # each group has been ready once
    assert [e for e in after if e[1] == "one"] == [
        ("worker.stopped", "one"),
        ("worker.ready", "one"),
    ]
    # Who of them is ready first depends on the machine.
    assert [e for e in after if e[1] != "one"] == [
        ("worker.stopped", "slow"),
        ("worker.stopped", "two"),
        ("worker.ready", "two"),
        ("compute.killed", "stuck"),
    ]
    assert running.stop() == 0
    outcomes = chain.query("logs", "SELECT outcome, count FROM outcomes WHERE sense = 'stuck'")
    assert outcomes == [("killed", 1)]
    chain.config(config())
    assert chain.once()[1] == 0
    assert_nothing_is_lost_or_doubled(chain)


def test_a_group_that_was_given_up_begins_at_once_with_the_new_code(chain):
    """CTL-4, RUN-8"""
    chain.sense("dies", DIES_BETWEEN)
    text = config().replace("  echo:", "  dies: {group: ill}\n  echo:")
    chain.config(text + "  - {kind: sense, sense: dies, interval: 250ms}\n")
    running = started(chain)
    running.log("group.fatal")
    assert reload(chain).message == "nothing has changed"
    chain.sense("dies", "def compute(db, peers, ctx): return 2")
    reply = reload(chain)
    assert reply.facts["groups"]["ill"]["why"] == ["code of dies"]
    assert reply.is_good
    running.wait_for(lambda e: e.get("sense") == "dies" and e["payload"] == 2)


def test_one_reload_at_a_time_and_a_stop_wins(chain):
    """CTL-4"""
    chain.sense("slow", LOADS_WHEN_TOLD)
    running = started(chain)
    chain.config(config().replace("  echo:", "  slow: {group: slow}\n  echo:"))
    first, second = connect_to(StateDir(chain.state)), connect_to(StateDir(chain.state))
    with first, second:
        first._send(ReloadRequest())
        with pytest.raises(Refused) as refusal:
            second.ask(ReloadRequest())
        assert refusal.value.kind == "busy"
        for _ in range(3):
            running.process.send_signal(signal.SIGHUP)
        (chain.root / "go").touch()
        while isinstance(reply := first._reply(None), ProgressReply):
            pass
        assert reply.is_good
    running.log("config.reloaded", 2)  # those signals have led to one more
    chain.config(config())
    running.process.send_signal(signal.SIGHUP)
    running.log("config.reloaded", 3)
    (chain.root / "go").unlink()
    chain.config(config().replace("  echo:", "  slow: {group: slow}\n  echo:"))
    running.process.send_signal(signal.SIGHUP)
    assert running.stop() == 0
    assert len(running.log("config.reloaded", 3)) == 3


def test_a_hangup_reloads(chain):
    """BOOT-5"""
    running = started(chain)
    running.process.send_signal(signal.SIGHUP)
    (reloaded,) = running.log("config.reloaded")
    assert reloaded["payload"]["by"] == "SIGHUP"
    assert running.stop() == 0


def test_a_parent_killed_at_any_step_of_a_reload_loses_and_doubles_nothing(chain):
    """CTL-4, SIG-2: a sense moves to and fro, and signals flow all the while."""
    homes = ["two", "one", "renamed", "two", "one"]
    steps = [
        "switch:before",
        "switch:after",
        "take-over:before",
        "take-over:after",
        "let-go:before",
    ]
    for step, home in zip(steps, homes, strict=True):
        running = started(chain, KILL_PARENT=step)
        chain.config(config(home=home))
        (chain.root / "armed").touch()
        running.process.send_signal(signal.SIGHUP)
        assert running.wait() == -9
    said, code = chain.once()
    assert code == 0, said
    assert_nothing_is_lost_or_doubled(chain)


IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_closed_terminal_stops_a_nerve_that_was_started_there(chain):
    """BOOT-5: nobody is left who could stop it with Ctrl-C."""
    ours, theirs = pty.openpty()
    nerve = str(Path(sys.executable).with_name("nerve"))
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, nerve, "run"],
        cwd=chain.root,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        os.close(theirs)
        said = b""
        while b"source" not in said:
            said += os.read(ours, 65536)
        os.close(ours)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    assert chain.query("logs", "SELECT ended FROM boots") == [("stopped",)]
    rows = chain.query(
        "logs", "SELECT payload ->> 'message' FROM logs WHERE type = 'nerve.stopping'"
    )
    assert "the terminal was closed" in rows[0][0]
