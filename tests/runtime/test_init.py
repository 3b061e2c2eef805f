"""nerve as process 1, as in a container that has no other init."""

import os
import signal
import subprocess
import time
from functools import cache

import psutil
import pytest

PATIENCE_S = 30
ALONE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
"""A process namespace of one's own; its first process is a child of `unshare`."""
LEAVING = """
import os, subprocess
def compute(db, peers, ctx):
    subprocess.run(["sh", "-c", "setsid sleep 600 & exit 0"], check=True)
    return {"first": os.readlink("/proc/1/exe"), "own": os.getpid()}
"""
CONFIG = """
senses: {leaving: {}}
reflexes: [{kind: sense, sense: leaving, interval: 50ms}]
"""


def told_of(process, question):
    try:
        return question(process)
    except psutil.NoSuchProcess:  # some come and go
        return None


def names(processes):
    return {told_of(process, psutil.Process.name) for process in processes}


@cache
def may_be_alone():
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def first(project):
    """nerve, and what it is outside its namespace."""
    if not may_be_alone():
        pytest.skip("this kernel or sandbox lets nobody have a process namespace")
    project.sense("leaving", LEAVING)
    project.config(CONFIG)
    running = project.start(before=ALONE)
    (signal_,) = running.signals("leaving")[:1]
    assert signal_["payload"]["own"] < 100  # it counts from 1 there
    (first,) = psutil.Process(running.process.pid).children()
    return running, first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_process_1_it_stops_as_asked_and_takes_all_orphans_along(first, number):
    """BOOT-5"""
    running, process = first
    give_up = time.monotonic() + PATIENCE_S
    while "sleep" not in names(below := process.children(recursive=True)):
        assert time.monotonic() < give_up
        os.sched_yield()  # what was left has still to become that
    process.send_signal(number)
    assert running.wait() == 0, running.errors()
    _, alive = psutil.wait_procs(below, timeout=PATIENCE_S)
    assert not alive
    assert running.log("worker.stopped")[0]["payload"]["clean"]


def test_as_process_1_it_reaps_what_falls_to_it(first):
    """A process from outside that ends in the namespace, as after `docker exec`, leaves orphans."""
    running, process = first
    enter = ["nsenter", "-t", str(process.pid), "-U", "-p", "-m", "--preserve-credentials"]
    entered = subprocess.run([*enter, "sh", "-c", "true & exit 0"], capture_output=True, timeout=60)
    if entered.returncode:
        pytest.skip("this sandbox lets nobody enter a namespace")
    running.signals("leaving", 3)
    status = psutil.Process.status
    zombies = [c for c in process.children() if told_of(c, status) == psutil.STATUS_ZOMBIE]
    _, left = psutil.wait_procs(zombies, timeout=PATIENCE_S)
    assert not left
