"""The third ring of time: a worker ends itself when nobody else does."""

import time

import pytest

from nerve.errors import NerveError

SHORT = """
import itertools, os
from nerve.worker import reins
reins.LAST_RESORT_S = 0.1  # in the worker, whose module this is
"""
ALLOWANCE_S = 0.3
"""timeout, grace_period and the last resort, as these tests have them."""
BUSY = "def compute(db, peers, ctx): sum(itertools.repeat(1, 10**12))"
QUICK = "def compute(db, peers, ctx): return os.getpid()"


def test_a_compute_that_nobody_kills_is_ended_by_the_kernel(bench):
    """RUN-3"""
    bench.sense("busy", SHORT + BUSY, timeout="100ms", grace_period="100ms")
    bench.start()
    with pytest.raises(NerveError, match=r"ended by signal 9 \(SIGKILL\)"):
        bench.run("busy")


def test_a_compute_that_has_ended_is_not_ended_later(bench):
    """RUN-3"""
    bench.sense("quick", SHORT + QUICK, timeout="100ms", grace_period="100ms")
    bench.start()
    first = bench.run("quick").payload
    time.sleep(2 * ALLOWANCE_S)  # past the end that was called off
    assert bench.run("quick").payload == first
