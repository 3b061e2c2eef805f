"""RUN-10: with the parent goes everything it has started, whatever that was doing."""

import os
import select
import signal
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from nerve.process.kernel import children
from nerve.process.tree import descendants

PATIENCE_S = 20
BUSY = """
import itertools
import subprocess

def compute(db, peers, ctx):
    subprocess.Popen(["sleep", "1000"])
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.run(["sh", "-c", "setsid sleep 1000 &"], check=True)
    print("busy", flush=True)
    while not ctx.options["in_c"]:
        pass
    sum(itertools.repeat(1, 10**13))  # hours inside C, and never the GIL given up
"""
CONFIG = """
senses:
  in-python: {group: one, options: {in_c: false}}
  in-c: {group: two, options: {in_c: true}}
reflexes:
  - {kind: sense, sense: in-python, interval: 1h}
  - {kind: sense, sense: in-c, interval: 1h}
"""
FEWEST = 8
"""Two workers with three children each."""


def name_of(pid):
    """What is still there of a process, for who reads of a failure."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def ended(pidfds):
    """Wait until all processes have ended; whether they have."""
    waiting = set(pidfds)
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting and (events := poll.poll(PATIENCE_S * 1_000)):
        for descriptor, _ in events:
            poll.unregister(descriptor)
            waiting.discard(descriptor)
    return not waiting


def sentry_of(parent):
    return max(children(parent), key=lambda pid: len(children(pid)))


def fork_server_of(parent):
    return children(sentry_of(parent))[0]


@pytest.mark.parametrize("with_it", [None, fork_server_of, sentry_of])
def test_no_process_survives_the_death_of_the_parent(project, with_it):
    """RUN-10: also when one of the two that guard the workers is killed with it."""
    project.sense("in-python", BUSY)
    project.sense("in-c", BUSY)
    project.config(CONFIG)
    running = project.start()
    running.log("output", count=2)
    there = descendants(running.process.pid)
    assert len(there) >= FEWEST
    with ExitStack() as stack:
        held = [os.pidfd_open(pid) for pid in there]
        for descriptor in held:
            stack.callback(os.close, descriptor)
        if with_it is not None:
            os.kill(with_it(running.process.pid), signal.SIGKILL)
        running.process.kill()
        try:
            assert ended(held), [name_of(pid) for pid in there]
        finally:
            for descriptor in held:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
