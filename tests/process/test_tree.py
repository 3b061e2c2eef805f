import os
import subprocess
import sys

import pytest

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
