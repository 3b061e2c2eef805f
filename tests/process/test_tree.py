import os
import signal
import subprocess
import sys
import threading

import pytest

from nerve.process import tree
from nerve.process.kernel import children, is_alive
from nerve.process.tree import descendants, kill_tree, send

ROOT = """
import ctypes, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
# A grandchild in a session of its own, orphaned by its parent, as daemons make them.
code = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nif os.fork(): os._exit(0)\\nprint(os.getpid(), flush=True)\\ntime.sleep(600)"
subprocess.run([sys.executable, "-c", code])
time.sleep(600)
"""


def test_an_orphaned_grandchild_in_its_own_session_is_taken_too():
    """RUN-3"""
    root = subprocess.Popen([sys.executable, "-c", ROOT], stdout=subprocess.PIPE, text=True)
    with root:
        grandchild = int(root.stdout.readline())
        assert grandchild in descendants(root.pid)
        assert kill_tree(root.pid) >= 1
        root.wait(30)
        assert not is_alive(grandchild)


def test_the_child_of_one_that_exits_while_it_is_looked_for_is_found_all_the_same(monkeypatch):
    """RUN-3: it belongs to an ancestor by then, whose children were read before."""
    root, leader, orphan = 1_000_001, 1_000_002, 1_000_003
    below, alive, killed = {root: [leader], leader: [orphan]}, {leader, orphan}, []

    def read(pid):
        found = list(below.get(pid, []))
        if pid == root and leader in alive:  # and now it exits
            alive.remove(leader)
            below.update({root: [leader, orphan], leader: []})
        return found

    def send_to(pid, signal_number):
        if signal_number == signal.SIGKILL:
            killed.append(pid)
            alive.discard(pid)

    monkeypatch.setattr(tree, "children", read)
    monkeypatch.setattr(tree, "is_alive", alive.__contains__)
    monkeypatch.setattr(tree, "send", send_to)
    assert tree.kill_descendants(root) == 1
    assert killed == [orphan]


def test_those_killed_are_waited_for_though_each_is_long_in_dying(monkeypatch):
    """RUN-3: on a busy machine a killed process waits for its turn before it dies."""
    late = []

    def send_late(pid, signal_number):
        if signal_number != signal.SIGKILL:
            return send(pid, signal_number)
        late.append(threading.Timer(0.1, send, (pid, signal_number)))
        return late[-1].start()

    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True); input()"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **streams) as root:
        child = int(root.stdout.readline())
        monkeypatch.setattr(tree, "send", send_late)
        try:
            assert tree.kill_descendants(root.pid) == 1
            assert not is_alive(child)
        finally:
            for timer in late:
                timer.join()
            send(root.pid, signal.SIGKILL)


def test_a_zombie_is_not_alive():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid)
    assert child.pid in children(os.getpid())
    child.wait()


@pytest.mark.parametrize("pid", [0, -1, 1])
def test_a_signal_never_goes_to_everybody(pid):
    with pytest.raises(ValueError):
        send(pid, 0)
