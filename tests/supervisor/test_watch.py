import mmap
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from nerve.config import GroupConfig
from nerve.process.tree import kill_tree
from nerve.supervisor import watch
from nerve.supervisor.watch import BUSY_LOOK_S, IDLE_LOOK_S, Usage, Watch, exceeded, look, weigh

MB = 2**20
LIMITS = GroupConfig.model_validate({"memory": "128MB", "processes": 3})
MANY = 1_000
PATIENCE_S = 30


@pytest.fixture
def tree():
    """Start a Python program that prints a line when it has done what it is about."""
    started = []

    def start(source):
        program = textwrap.dedent(source)
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        started.append(process)
        process.stdout.readline()
        return process.pid

    yield start
    for process in started:
        kill_tree(process.pid)
        process.wait()
        process.stdout.close()


FORKING = """
import os, time
much = bytearray(100_000_000)
for _ in range(3):
    if os.fork() == 0:
        time.sleep(100)
print(flush=True)
time.sleep(100)
"""


class FakeClock:
    def __init__(self):
        self.now = 1_000.0

    def monotonic(self):
        return self.now


class Watched:
    """A watch over a made-up worker, with what a look and a weighing would say of it."""

    def __init__(self, monkeypatch, *, pid=10):
        self.clock = FakeClock()
        self.usage = Usage(50 * MB, 0, (pid,))
        self.weight = 50 * MB
        self.looks = 0
        self.look_lasts_s = 0.0
        monkeypatch.setattr(watch, "look", self._look)
        monkeypatch.setattr(watch, "weigh", lambda pids: self.weight)
        self.watch = Watch(pid, LIMITS, self.clock)

    def _look(self, pid, *, most):
        self.looks += 1
        self.clock.now += self.look_lasts_s
        return self.usage

    def check_after(self, seconds, *, is_busy=True):
        self.clock.now += seconds
        return self.watch.check(is_busy=is_busy)

    def verdict(self):
        """Look, and wait for the weighing."""
        assert self.check_after(IDLE_LOOK_S) is None
        assert self.watch.is_weighing
        self.watch._weighing._thread.join(PATIENCE_S)
        return self.watch.check(is_busy=True)


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (Usage(), None),
        (Usage(128 * MB, 3), None),
        (Usage(128 * MB + 1, 0), ("memory", 128 * MB, 128 * MB + 1)),
        (Usage(0, 4), ("processes", 3, 4)),
        (Usage(10**12, 4), ("processes", 3, 4)),
    ],
)
def test_a_limit_is_exceeded_by_more_than_it_and_not_by_itself(usage, said):
    """RUN-6"""
    excess = exceeded(usage, LIMITS)
    assert (excess and (excess.limit, excess.allowed, excess.measured)) == said


def test_an_excess_says_what_was_measured_and_what_is_allowed():
    """RUN-6"""
    said = [
        exceeded(usage, GroupConfig()).message
        for usage in (
            Usage(int(1.23 * 2**30), 0),
            Usage(0, 1_500),
            Usage(0, 1_500, is_complete=False),
        )
    ]
    assert said == [
        "uses 1.2 GB of memory, limit 1 GB",
        "has 1,500 child processes, limit 128",
        "has 1,500 or more child processes, limit 128",
    ]


def test_a_look_counts_all_generations_and_adds_up_their_memory(tree):
    """RUN-6"""
    pid = tree("""
        import subprocess, sys, time
        children = [subprocess.Popen(["sh", "-c", "sleep 100 & echo; wait"], stdout=subprocess.PIPE) for _ in "ab"]
        for child in children: child.stdout.readline()
        much = b"x" * 100_000_000
        print(flush=True)
        time.sleep(100)
        """)
    usage = look(pid, most=MANY)
    assert (usage.processes, len(set(usage.pids)), usage.pids[0]) == (4, 5, pid)
    assert 100 * MB < usage.resident_bytes < 200 * MB
    assert usage.is_complete


def test_a_look_stops_where_enough_were_counted(tree):
    """RUN-6"""
    pid = tree(FORKING)
    usage = look(pid, most=2)
    assert (usage.processes, usage.is_complete) == (2, False)
    assert look(pid, most=3).is_complete


def test_what_is_gone_or_waits_to_be_reaped_counts_nothing(tree):
    """RUN-6"""
    pid = tree("""
        import os, time
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        print(flush=True)
        time.sleep(100)
        """)
    assert look(pid, most=MANY).processes == 0
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert look(gone.pid, most=MANY) == Usage()
    assert weigh((gone.pid,)) == 0


def test_children_of_every_thread_are_found(tree):
    """RUN-6"""
    pid = tree("""
        import subprocess, threading, time
        def spawn():
            subprocess.Popen(["sleep", "100"])
            print(flush=True)
            time.sleep(100)
        threading.Thread(target=spawn, daemon=True).start()
        time.sleep(100)
        """)
    assert look(pid, most=MANY).processes == 1


def test_a_list_of_children_that_is_longer_than_a_page_is_read_to_its_end(tree):
    """RUN-6"""
    count = mmap.PAGESIZE // len("1 ")
    pid = tree(f"""
        import os, signal, time
        for _ in range({count}):
            if os.fork() == 0:
                signal.pause()
        print(flush=True)
        time.sleep(100)
        """)
    assert look(pid, most=10 * count).processes == count


def test_memory_that_processes_share_is_weighed_once(tree):
    """RUN-6"""
    usage = look(tree(FORKING), most=MANY)
    assert usage.resident_bytes > 400_000_000
    assert 100_000_000 < weigh(usage.pids) < 150_000_000


def test_shared_memory_weighs_and_pages_of_files_do_not(tree, tmp_path):
    """RUN-6"""
    (tmp_path / "large").write_bytes(b"x" * 60_000_000)
    pid = tree(f"""
        import mmap, time
        shared = mmap.mmap(-1, 100_000_000)
        shared.write(bytes(100_000_000))
        with open({str(tmp_path / "large")!r}, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        total = sum(mapped[::4096])
        print(flush=True)
        time.sleep(100)
        """)
    assert look(pid, most=MANY).resident_bytes > 160_000_000
    assert 100_000_000 < weigh((pid,)) < 130_000_000


def test_a_process_that_may_not_be_weighed_counts_with_its_anonymous_memory(tree, monkeypatch):
    """RUN-6"""
    monkeypatch.setattr(watch, "_OWN", ())
    pid = tree(
        "import time; much = bytearray(b'x') * 100_000_000; print(flush=True); time.sleep(100)"
    )
    assert 100_000_000 < weigh((pid,)) < 130_000_000


def test_a_busy_worker_is_looked_at_twice_a_second_and_an_idle_one_every_five(watched):
    """RUN-6"""
    for _ in range(100):
        watched.check_after(BUSY_LOOK_S, is_busy=True)
    assert watched.looks == 100
    for _ in range(100):
        watched.check_after(BUSY_LOOK_S, is_busy=False)
    assert watched.looks == 110


def test_idle_workers_are_not_all_looked_at_in_the_same_turn(monkeypatch):
    first = []
    for pid in range(100, 110):
        watched = Watched(monkeypatch, pid=pid)
        turns = 0
        while not watched.looks:
            watched.check_after(BUSY_LOOK_S, is_busy=False)
            turns += 1
        first.append(turns)
    assert len(set(first)) > 5
    assert max(first) <= IDLE_LOOK_S / BUSY_LOOK_S


def test_a_look_that_takes_long_is_followed_by_a_long_rest(watched):
    watched.look_lasts_s = 0.1
    for _ in range(100):
        watched.check_after(BUSY_LOOK_S, is_busy=True)
    assert watched.looks < 30


def test_too_many_processes_are_told_at_once(watched):
    """RUN-6"""
    watched.usage = Usage(50 * MB, 4)
    assert watched.check_after(BUSY_LOOK_S).limit == "processes"


def test_a_sum_over_the_limit_is_weighed_before_anybody_is_accused(watched):
    """RUN-6"""
    watched.usage = Usage(1_000 * MB, 1)
    watched.weight = 129 * MB
    excess = watched.verdict()
    assert (excess.limit, excess.measured) == ("memory", 129 * MB)
    watched.weight = 127 * MB
    assert watched.verdict() is None
    assert not watched.watch.is_weighing


def test_a_weighing_that_does_not_end_leaves_the_decision_to_the_sum(watched, monkeypatch):
    """RUN-6"""
    reading, writing = os.pipe()
    monkeypatch.setattr(watch, "weigh", lambda pids: len(os.read(reading, 1)))
    watched.usage = Usage(1_000 * MB, 1)
    assert watched.check_after(BUSY_LOOK_S) is None
    assert watched.check_after(watch.WEIGH_TIMEOUT_S - 1) is None
    thread = watched.watch._weighing._thread
    assert watched.check_after(2).measured == 1_000 * MB
    os.close(writing)
    thread.join(PATIENCE_S)
    os.close(reading)


def test_a_real_worker_over_its_limit_is_found(tree):
    """RUN-6"""
    pid = tree(
        "import time; much = bytearray(b'x') * 300_000_000; print(flush=True); time.sleep(100)"
    )
    clock = FakeClock()
    found = Watch(pid, LIMITS, clock)
    give_up = time.monotonic() + PATIENCE_S
    excess = None
    while excess is None and time.monotonic() < give_up:
        clock.now += BUSY_LOOK_S / 100
        excess = found.check(is_busy=True)
    assert excess.limit == "memory"
    assert excess.measured > 300_000_000
    os.kill(pid, signal.SIGKILL)
