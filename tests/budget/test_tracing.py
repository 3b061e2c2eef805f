import platform
import subprocess
import sys

import pytest

from tests.budget.calls import MACHINE
from tests.budget.counting import REFUSED

TRACED = """
import os, sys, threading
sys.stdin.readline()
for _ in range(7):
    os.getppid()
thread = threading.Thread(target=lambda: [os.chdir("/") for _ in range(5)])
thread.start()
thread.join()
os.write(1, b"done")
sys.stdin.readline()
"""
TRACING = """
import subprocess, sys
from collections import Counter
from tests.budget.calls import name_of
from tests.budget.counting import REFUSED, settle
from tests.budget.tracing import Refused, Tracer

traced = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
try:
    tracer = Tracer({traced.pid: "it"})
    settle(tracer, lambda call: None)
    traced.stdin.write(b"\\n")
    traced.stdin.flush()
    seen = Counter()
    settle(tracer, lambda call: seen.update([name_of(call.number)]))
    tracer.end()
    print(seen["getppid"], seen["chdir"], traced.stdout.read(4).decode())
except Refused as error:
    print(error)
    sys.exit(REFUSED)
finally:
    traced.stdin.close()
    traced.wait()
"""


@pytest.mark.skipif(platform.machine() != MACHINE, reason=f"calls are named on {MACHINE} alone")
def test_every_call_of_every_thread_is_seen_once_and_the_traced_go_on_afterwards():
    done = subprocess.run(
        [sys.executable, "-c", TRACING, TRACED], capture_output=True, text=True, timeout=60
    )
    if done.returncode == REFUSED:
        pytest.skip(done.stdout.strip())
    assert done.stdout == "7 5 done\n", done.stderr
