"""A whole nerve: parent, fork server, workers, journal."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from itertools import pairwise

import psutil
import pytest

from tests.runtime.conftest import DIES_BETWEEN

TABLE = 'op.create_table("seen", sa.Column("n", sa.Integer, primary_key=True))'
COUNTING = """
from sqlalchemy import text
def compute(db, peers, ctx):
    return {"n": db.execute(text("INSERT INTO seen DEFAULT VALUES RETURNING n")).scalar_one()}
"""
QUIET = "def compute(db, peers, ctx): return None"
FAST = """
senses:
  counter: {group: one}
  other: {group: two}
reflexes:
  - {kind: sense, sense: [counter, other], interval: 50ms}
"""


@pytest.fixture
def counting(project):
    project.sense("counter", COUNTING, first=TABLE)
    project.sense("other", QUIET)
    project.config(FAST)
    return project


def below(pid):
    return psutil.Process(pid).children(recursive=True)


def assert_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_leaves_no_process(counting, number):
    """BOOT-5"""
    running = counting.start()
    running.signals("counter")
    processes = below(running.process.pid)
    assert running.stop(number) == 0, running.errors()
    assert_gone(processes)
    types = [entry.get("type") for entry in running.said]
    assert types.count("worker.stopped") == 2
    assert "worker.died" not in types
    assert not list(counting.state.rglob("*-wal"))


def test_a_second_start_migrates_nothing_and_continues_the_ids(counting):
    """DB-2, SIG-1"""
    first = counting.start()
    first.signals("counter", 2)
    assert first.stop() == 0
    second = counting.start()
    again = second.signals("counter", 2)
    second.stop()
    assert [e for e in first.said if e.get("type") == "migration.applied"]
    assert not [e for e in second.said if e.get("type") == "migration.applied"]
    ids = [e["id"] for e in first.said + second.said]
    assert ids == sorted(set(ids))
    assert again[0]["payload"]["n"] == len([e for e in first.said if e["kind"] == "signal"]) + 1


def test_a_second_parent_says_who_holds_the_state_and_exits_75(counting):
    """BOOT-1"""
    running = counting.start()
    running.log("nerve.started")
    second = counting.start()
    assert second.wait() == 75
    assert str(running.process.pid) in second.errors()
    assert running.stop() == 0


def test_each_start_and_stop_is_a_row_and_a_crash_is_closed_by_the_next_start(counting):
    """BOOT-4"""
    first = counting.start()
    (started,) = first.log("nerve.started")
    first.stop()
    second = counting.start()
    second.log("worker.ready", 2)
    second.kill()
    third = counting.start()
    (crashed,) = third.log("nerve.crashed")
    (again,) = third.log("nerve.started")
    third.stop()
    assert crashed["payload"]["pid"] == second.process.pid
    assert again["payload"]["installation"] == started["payload"]["installation"]
    ends = counting.query("logs", "SELECT ended FROM boots ORDER BY id")
    assert ends == [("stopped",), ("crashed",), ("stopped",)]


def test_a_killed_parent_leaves_nothing_behind_even_under_a_held_gil(project):
    """RUN-10"""
    project.sense(
        "busy",
        "from collections import deque\nfrom itertools import repeat\ndef compute(db, peers, ctx):\n    print('in', flush=True)\n    deque(repeat(None), maxlen=0)",
    )
    project.sense(
        "parent",
        """
        import subprocess, sys, time
        def compute(db, peers, ctx):
            subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
            print("in", flush=True)
            time.sleep(600)
        """,
    )
    project.config(
        """
        senses: {busy: {group: one}, parent: {group: two}}
        reflexes: [{kind: sense, sense: [busy, parent], interval: 1h}]
        """
    )
    running = project.start()
    running.log("output", 2)
    processes = below(running.process.pid)
    assert len(processes) >= 5
    running.kill()
    assert_gone(processes)


def test_a_start_on_a_copy_of_the_state_directory_leaves_the_nerve_that_runs_alone(project):
    """RUN-10"""
    project.sense(
        "parent",
        """
        import os, subprocess
        def compute(db, peers, ctx):
            return [os.getpid(), subprocess.Popen(["sleep", "600"], start_new_session=True).pid]
        """,
    )
    project.config(
        """
        senses: {parent: {group: one}}
        reflexes: [{kind: sense, sense: parent, interval: 1h}]
        """
    )
    first = project.start()
    (signal_of_first,) = first.signals("parent")
    copy = project.root / "copy"
    shutil.copytree(
        project.state, copy, ignore=shutil.ignore_patterns("logs.db*", "*.sock", "fork")
    )
    with (
        closing(sqlite3.connect(project.state / "logs.db")) as journal,
        closing(sqlite3.connect(copy / "logs.db")) as copied,
    ):
        journal.backup(copied)
    second = project.start(NERVE_STATE_DIR=str(copy))
    (row,) = second.log("recovery.copied")
    second.signals("parent")
    assert set(row["payload"]["pids"]) == set(signal_of_first["payload"])
    assert second.stop() == 0, second.errors()
    assert all(psutil.pid_exists(pid) for pid in signal_of_first["payload"])
    assert first.stop() == 0, first.errors()
    assert "worker.died" not in [entry.get("type") for entry in first.said]


def test_a_second_interrupt_stops_at_once(project):
    """BOOT-5"""
    project.sense(
        "slow",
        "import time\ndef compute(db, peers, ctx):\n    print('in', flush=True)\n    time.sleep(600)",
    )
    project.config(
        "senses: {slow: {timeout: 10m}}\nreflexes: [{kind: sense, sense: slow, interval: 1h}]"
    )
    running = project.start(HURRY_AFTER_S="0")
    running.log("output")
    running.process.send_signal(signal.SIGINT)
    running.log("nerve.stopping")
    began = time.monotonic()
    assert running.stop(signal.SIGINT) == 0
    running.log("nerve.hurried")
    assert time.monotonic() - began < 10


def test_a_stop_lets_a_compute_end(project):
    """BOOT-5"""
    project.sense(
        "slow",
        "import time\ndef compute(db, peers, ctx):\n    print('in', flush=True)\n    time.sleep(1)\n    return 'done'",
    )
    project.config("senses: {slow: {}}\nreflexes: [{kind: sense, sense: slow, interval: 1h}]")
    running = project.start()
    running.log("output")
    assert running.stop() == 0
    assert [e["payload"] for e in running.said if e["kind"] == "signal"] == ["done"]


def test_a_worker_that_hangs_in_c_is_killed_named_and_replaced(project):
    """RUN-3"""
    project.sense(
        "busy",
        "from collections import deque\nfrom itertools import repeat\ndef compute(db, peers, ctx): deque(repeat(None), maxlen=0)",
    )
    project.sense("healthy", QUIET.replace("None", "1"))
    project.config(
        """
        senses:
          busy: {group: one, timeout: 200ms, grace_period: 200ms}
          healthy: {group: one}
        reflexes:
          - {kind: sense, sense: busy, interval: 1h}
          - {kind: sense, sense: healthy, interval: 100ms}
        """
    )
    running = project.start()
    (timeout,) = running.log("worker.hard_timeout", source="busy")
    (killed,) = running.log("compute.killed", source="busy")
    seen = len([e for e in running.said if e["kind"] == "signal"])
    running.signals("healthy", seen + 2)
    running.stop()
    assert timeout["ref"] == killed["ref"]
    assert project.query(
        "logs", "SELECT count FROM outcomes WHERE sense = 'busy' AND outcome = 'killed'"
    ) == [(1,)]


def test_a_worker_that_dies_is_told_with_what_it_ran_and_replaced(project):
    """RUN-7, BOOT-2"""
    project.sense("deadly", "import os\ndef compute(db, peers, ctx): os._exit(0)")
    project.sense("healthy", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {deadly: {group: one}, healthy: {group: one}}
        reflexes:
          - {kind: sense, sense: deadly, interval: 1h}
          - {kind: sense, sense: healthy, interval: 100ms}
        """
    )
    running = project.start()
    (died,) = running.log("worker.died")
    running.log("compute.crashed", source="deadly")
    running.signals("healthy", 2)
    running.stop()
    assert died["payload"]["running"] == "deadly"


def test_five_deaths_that_nobody_answers_for_are_fatal_for_that_group_alone(project):
    """RUN-8"""
    project.sense("deadly", DIES_BETWEEN)
    project.sense("healthy", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {deadly: {group: one}, healthy: {group: two}}
        reflexes:
          - {kind: sense, sense: deadly, interval: 250ms}
          - {kind: sense, sense: healthy, interval: 50ms}
        """
    )
    running = project.start()
    (fatal,) = running.log("group.fatal", source="one")
    assert "between computes" in fatal["payload"]["message"]
    seen = len([e for e in running.said if e["kind"] == "signal"])
    running.signals("healthy", seen + 2)
    assert running.stop() == 0
    died = [e["payload"] for e in running.said if e.get("type") == "worker.died"]
    assert [death["guilty"] for death in died] == [None] * 5
    assert all("after deadly ran" in death["message"] for death in died)


def test_a_sense_that_kills_its_worker_while_it_is_loaded_is_left_out(project):
    """BOOT-2, RUN-9"""
    project.sense("deadly", "import os\nos._exit(3)")
    project.sense("healthy", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {deadly: {group: one}, healthy: {group: one}}
        reflexes: [{kind: sense, sense: [deadly, healthy], interval: 50ms}]
        """
    )
    running = project.start()
    (died,) = running.log("worker.died", source="one")
    assert died["payload"]["message"] == "the worker exited with 3 while deadly was loaded"
    running.log("sense.resting", source="deadly")
    running.signals("healthy")
    assert running.stop() == 0
    assert not project.query("logs", "SELECT 1 FROM logs WHERE type = 'group.fatal'")


def test_running_once_ends_although_a_group_is_fatal(project):
    """BOOT-2, RUN-8"""
    project.sense("deadly", "import os\nos._exit(3)")
    project.sense("healthy", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {deadly: {group: one}, healthy: {group: two}}
        reflexes: [{kind: sense, sense: [deadly, healthy], interval: 1h}]
        """
    )
    said, code = project.once()
    assert code == 1
    assert [e["sense"] for e in said if e["kind"] == "signal"] == ["healthy"]


def test_garbage_from_a_worker_ends_that_worker_alone(project):
    """MSG-2"""
    project.sense(
        "lying",
        """
        import os, socket
        def compute(db, peers, ctx):
            for name in os.listdir("/proc/self/fd"):
                try:
                    s = socket.socket(fileno=os.dup(int(name)))
                    if s.family == socket.AF_UNIX and s.type == socket.SOCK_STREAM:
                        s.send(b"\\x00\\x00\\x00\\x05nonsense")
                except OSError:
                    pass
        """,
    )
    project.sense("healthy", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {lying: {group: one}, healthy: {group: two}}
        reflexes:
          - {kind: sense, sense: lying, interval: 1h}
          - {kind: sense, sense: healthy, interval: 50ms}
        """
    )
    running = project.start()
    running.log("message.invalid", source="one")
    running.log("worker.died", source="one")
    running.signals("healthy", 3)
    assert running.stop() == 0


def test_the_parent_never_imports_a_sense(project):
    """Invariant 1"""
    project.sense(
        "marking",
        "import os\nopen('imported-by', 'a').write(f'{os.getpid()}\\n')\ndef compute(db, peers, ctx): return os.getpid()",
    )
    project.config("senses: {marking: {}}\nreflexes: [{kind: sense, sense: marking, interval: 1h}]")
    running = project.start()
    (told,) = running.signals("marking")
    running.stop()
    assert (project.root / "imported-by").read_text().split() == [str(told["payload"])]
    assert told["payload"] != running.process.pid


def test_what_a_sense_prints_and_logs_is_in_the_log_with_its_name(project):
    """LOG-5, LOG-1"""
    project.sense(
        "chatty",
        """
        import subprocess, sys
        def compute(db, peers, ctx):
            print("größe, and the token", ctx.secrets["token"])
            subprocess.run(["echo", "from a child"])
            ctx.log.warning("disk %s is %d %% full", "sda", 90)
        """,
    )
    project.config(
        """
        senses: {chatty: {secrets: {token: hunter2hunter2}}}
        reflexes: [{kind: sense, sense: chatty, interval: 1h}]
        """
    )
    running = project.start()
    lines = running.log("output", 2, source="chatty")
    (record,) = running.log("log", source="chatty")
    running.stop()
    assert [line["payload"]["text"] for line in lines] == [
        "größe, and the token ********",
        "from a child",
    ]
    assert (record["level"], record["payload"]["message"]) == ("warning", "disk sda is 90 % full")
    assert record["ref"].startswith("trigger:")
    assert b"hunter2" not in (project.state / "logs.db").read_bytes()


def test_throttled_triggers_become_one_deferred_run(project):
    """SIG-5"""
    project.sense("fast", "def compute(db, peers, ctx): return 1")
    project.sense("slow", "def compute(db, peers, ctx): return [s.id for s in ctx.trigger.signals]")
    project.config(
        """
        senses: {fast: {group: a}, slow: {group: b, throttle: 700ms}}
        reflexes:
          - {kind: sense, sense: fast, interval: 50ms}
          - {kind: sense, sense: slow, on: fast}
        """
    )
    running = project.start()
    # Not each of them: while a machine stands still no signals are made, and the window passes.
    running.wait_for(lambda e: e.get("sense") == "slow" and len(e["payload"]) > 3, count=2)
    running.stop()
    covered = [i for e in running.said if e.get("sense") == "slow" for i in e["payload"]]
    fast = [e["id"] for e in running.said if e.get("sense") == "fast"]
    assert covered == fast[: len(covered)]
    reasons = dict(
        project.query("logs", "SELECT outcome, count FROM outcomes WHERE sense = 'slow'")
    )
    assert reasons["throttled"] >= 2
    assert reasons["coalesced"] >= 3


def test_signals_of_while_nobody_could_answer_are_answered_after_the_next_start(project):
    """SIG-7"""
    project.sense("fast", "def compute(db, peers, ctx): return 1")
    project.sense("after", "import time\ndef compute(db, peers, ctx):\n    time.sleep(600)")
    project.config(
        """
        senses: {fast: {group: a}, after: {group: b}}
        reflexes:
          - {kind: sense, sense: fast, interval: 50ms}
          - {kind: sense, sense: after, on: fast}
        """
    )
    first = project.start()
    missed = [e["id"] for e in first.signals("fast", 4)]
    first.kill()
    project.sense(
        "after", "def compute(db, peers, ctx): return [s.id for s in ctx.trigger.signals]"
    )
    second = project.start()
    (backlog,) = second.log("reflex.backlog", source="after")
    (answer,) = second.signals("after")[:1]
    second.stop()
    assert answer["payload"][: len(missed)] == missed
    assert backlog["payload"]["signals"] >= len(missed)


def test_a_loop_of_reflexes_is_cut_and_named(project):
    """SIG-10"""
    project.sense("ping", QUIET.replace("None", "1"))
    project.sense("pong", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {ping: {}, pong: {}}
        reflexes:
          - {kind: sense, sense: ping, interval: 1h}
          - {kind: sense, sense: ping, on: pong}
          - {kind: sense, sense: pong, on: ping}
        """
    )
    said, _ = project.once()
    (loop,) = [e for e in said if e.get("type") == "reflex.loop"]
    assert "chain of" in loop["payload"]["message"]
    assert len([e for e in said if e["kind"] == "signal"]) < 20


def test_a_peer_of_the_own_group_and_of_another_is_readable(project):
    """DB-6"""
    project.sense("counter", COUNTING, first=TABLE)
    reading = "from sqlalchemy import text\ndef compute(db, peers, ctx): return peers['counter'].execute(text('SELECT max(n) FROM seen')).scalar()"
    project.sense("near", reading)
    project.sense("far", reading)
    project.config(
        """
        senses: {counter: {group: a}, near: {group: a}, far: {group: b}}
        reflexes:
          - {kind: sense, sense: counter, interval: 1h}
          - {kind: sense, sense: [near, far], on: counter}
        """
    )
    said, code = project.once()
    assert code == 0, said
    assert [
        e["payload"] for e in said if e["kind"] == "signal" and e["sense"] in ("near", "far")
    ] == [1, 1]


@pytest.mark.parametrize("name", ["with space, a?b#c%20d", "x" * 150])
def test_odd_names_of_state_directories_work(counting, name):
    running = counting.start(NERVE_STATE_DIR=name)
    running.signals("counter")
    assert running.stop() == 0
    assert (counting.root / name / "senses" / "counter.db").exists()


def test_no_worker_has_a_secret_it_did_not_ask_for(project):
    """CFG-8"""
    looking = "import os\ndef compute(db, peers, ctx):\n    seen = open('/proc/self/environ').read() + str(dict(os.environ))\n    parent = open(f'/proc/{os.getppid()}/environ').read()\n    return ['hunter' in seen, 'hunter' in parent]"
    project.sense(
        "asks", "import os\ndef compute(db, peers, ctx): return [os.environ['DB_PASSWORD'][::-1]]"
    )
    project.sense("does-not", looking)
    project.config(
        """
        senses: {asks: {group: a, env: [DB_PASSWORD]}, does-not: {group: b}}
        reflexes: [{kind: sense, sense: [asks, does-not], interval: 1h}]
        """
    )
    said, _ = project.once(DB_PASSWORD="hunter2hunter2")
    told = {e["sense"]: e["payload"] for e in said if e["kind"] == "signal"}
    assert told == {"asks": ["2retnuh2retnuh"], "does-not": [False, False]}


def test_a_journal_that_cannot_be_written_stops_the_triggers_and_goes_on_by_itself(counting):
    """LOG-6"""
    running = counting.start()
    running.signals("counter", 2)
    # Another process holds the write lock for longer than the busy timeout.
    import sqlite3

    holder = sqlite3.connect(counting.state / "logs.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    (trouble,) = running.log("storage.trouble")
    assert trouble["id"] is None
    holder.execute("ROLLBACK")
    holder.close()
    running.log("storage.recovered")
    seen = len([e for e in running.said if e["kind"] == "signal"])
    running.signals("counter", seen + 2)
    assert running.stop() == 0
    told = [
        n
        for (n,) in counting.query(
            "logs", "SELECT payload ->> 'n' FROM signals WHERE sense = 'counter' ORDER BY id"
        )
    ]
    assert told == list(range(1, len(told) + 1))
    assert counting.query("counter", "SELECT count(*) FROM seen") == [(len(told),)]


def test_two_senses_of_a_group_never_overlap(project):
    """RUN-1"""
    body = "import time\ndef compute(db, peers, ctx):\n    began = time.monotonic()\n    time.sleep(0.02)\n    return [began, time.monotonic()]"
    project.sense("one", body)
    project.sense("two", body)
    project.config(
        """
        senses: {one: {group: a}, two: {group: a}}
        reflexes: [{kind: sense, sense: [one, two], interval: 10ms}]
        """
    )
    running = project.start()
    running.signals("one", 10)
    running.signals("two", 5)
    running.stop()
    spans = sorted(e["payload"] for e in running.said if e["kind"] == "signal")
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_nothing_runs_before_every_group_has_reported(project):
    """BOOT-2"""
    project.sense("late", "import time\ntime.sleep(1)\n" + QUIET)
    project.sense(
        "early",
        "from sqlalchemy import text\ndef compute(db, peers, ctx): return len(peers['late'].execute(text('SELECT 1')).all())",
    )
    project.config(
        """
        senses: {late: {group: a}, early: {group: b}}
        reflexes: [{kind: sense, sense: [early, late], interval: 1h}]
        """
    )
    said, code = project.once()
    assert code == 0
    ready = [n for n, e in enumerate(said) if e.get("type") == "worker.ready"]
    assert all(n > max(ready) for n, e in enumerate(said) if e["kind"] == "signal")


def test_a_start_without_any_sense_runs_and_stops_and_says_when_it_stood_still(project):
    """LOG-1"""
    project.config("{}")
    running = project.start(STATE_CHECK_EVERY_S="0.05", HELD_UP_S="0.5")
    running.log("recovery.finished")
    running.process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)  # what is tested is time in which nothing happens
    running.process.send_signal(signal.SIGCONT)
    running.log("nerve.held_up", source="nerve")
    assert running.stop() == 0
    assert os.path.exists(project.state / "logs.db")


def test_neither_null_nor_a_log_row_triggers_anything(project):
    """SIG-3, SIG-9"""
    project.sense("silent", QUIET)
    project.sense(
        "loud", "def compute(db, peers, ctx):\n    ctx.log.error('x')\n    raise ValueError('y')"
    )
    project.sense("after", QUIET.replace("None", "1"))
    project.config(
        """
        senses: {silent: {}, loud: {}, after: {}}
        reflexes:
          - {kind: sense, sense: [silent, loud], interval: 1h}
          - {kind: sense, sense: after, on: [silent, loud]}
        """
    )
    said, code = project.once()
    assert code == 1
    assert not [e for e in said if e["kind"] == "signal"]
    outcomes = project.query("logs", "SELECT sense, outcome, count FROM outcomes ORDER BY sense")
    assert outcomes == [("loud", "error", 1), ("silent", "no_signal", 1)]
    types = project.query("logs", "SELECT type FROM logs WHERE source = 'loud' ORDER BY type")
    assert types == [("compute.error",), ("log",)]
