"""The third ring of time: a worker ends itself when nobody else does."""

import pytest

from nerve.errors import NerveError
from nerve.worker.reins import LAST_RESORT_S

BUSY = """
import itertools
from nerve.worker import reins
reins.LAST_RESORT_S = 0.1  # in the worker, whose module this is

def compute(db, peers, ctx): sum(itertools.repeat(1, 10**12))
"""
QUICK = """
import ctypes
from nerve.process import kernel
from nerve.process.kernel import KillTimer

left_s = []

def look(timer):
    # The kernel is asked: it alone knows whether it will kill.
    when = kernel._TimerSpec()
    assert kernel._libc.timer_gettime(timer._id, ctypes.byref(when)) == 0
    left_s.append(when.seconds)

call_off = KillTimer.call_off
def called_off(timer):
    look(timer)
    call_off(timer)
    look(timer)
KillTimer.call_off = called_off

def compute(db, peers, ctx): return left_s
"""


def test_a_compute_that_nobody_kills_is_ended_by_the_kernel(bench):
    """RUN-3"""
    bench.sense("busy", BUSY, timeout="100ms", grace_period="100ms")
    bench.start()
    with pytest.raises(NerveError, match=r"ended by signal 9 \(SIGKILL\)"):
        bench.run("busy")


def test_a_compute_that_has_ended_is_not_ended_later(bench):
    """RUN-3"""
    bench.sense("quick", QUICK, timeout="1h", grace_period="1h")
    bench.start()
    assert bench.run("quick").payload == []
    armed_s, called_off_s = bench.run("quick").payload
    assert 3_600 < armed_s <= 2 * 3_600 + LAST_RESORT_S
    assert called_off_s == 0
