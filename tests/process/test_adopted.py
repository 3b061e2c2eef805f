"""Orphans that fall to nerve, as they do to process 1 of a container."""

import subprocess
import sys

ADOPTING = """
import os, signal, subprocess
from nerve.process.kernel import become_subreaper, children, is_alive
from nerve.process.launch import reap_adopted

def orphan():
    leave = ["sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $!"]
    return int(subprocess.run(leave, stdout=subprocess.PIPE).stdout)

become_subreaper()
ended, lasting = orphan(), orphan()
os.kill(ended, signal.SIGKILL)
os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
assert {ended, lasting} <= set(children(os.getpid()))
reap_adopted()
assert ended not in children(os.getpid())
assert is_alive(lasting)
os.kill(lasting, signal.SIGKILL)
print("reaped")
"""


def test_an_orphan_that_has_ended_is_reaped_and_one_that_runs_is_left_alone():
    done = subprocess.run(
        [sys.executable, "-c", ADOPTING], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "reaped\n", done.stderr
