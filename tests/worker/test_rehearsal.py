"""What a worker in reserve does while it waits."""

import json
import subprocess
import sys

PROGRAM = """
import json, os, resource, socket, sys
from contextlib import ExitStack
from nerve.wire.channel import BlockingChannel
from nerve.wire.framing import FrameDecoder
from nerve.wire.messages import parse_up
from nerve.worker import rehearsal
from nerve.worker.limits import apply
from nerve.config.models import GroupConfig

def state():
    modules = {name for name in sys.modules if name.startswith("nerve_local")}
    return sorted(modules), os.getcwd(), len(os.listdir("/proc/self/fd"))

rehearsal.stage()
before = state()
ours, theirs = socket.socketpair()
with ExitStack() as at_the_end:
    rehearsal._play(BlockingChannel(ours), at_the_end)
said = [parse_up(frame).type for frame in FrameDecoder().feed(theirs.recv(1_000_000))]
ours.close(), theirs.close()
after = state()
rehearsal.rehearse()
apply(GroupConfig())
print(json.dumps([said, before, after, state(), resource.getrlimit(resource.RLIMIT_DATA)[0]]))
"""


def told(program):
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


def test_it_lives_through_a_start_and_some_computes_and_leaves_nothing_behind():
    """RUN-3: what makes a replacement quick changes nothing else."""
    said, before, played, rehearsed, memory = told(PROGRAM)
    assert said == ["ready", "signal", "signal", "signal"]
    # Of the made-up package senses belong to, the outer module stays, as after every sense.
    assert [before[1:], played[1:]] == [played[1:], rehearsed[1:]]
    assert [*played[0], *rehearsed[0]] == 2 * ["nerve_local_senses"]
    assert 10**9 < memory < 2 * 10**9  # the limits that follow are what they would be without it


def test_one_that_cannot_be_held_is_no_reason_not_to_start():
    """RUN-3"""
    program = (
        "import json; from nerve.worker import rehearsal; rehearsal.stage = None;"
        "rehearsal.rehearse(); print(json.dumps(1))"
    )
    assert told(program) == 1
