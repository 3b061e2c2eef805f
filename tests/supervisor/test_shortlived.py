"""Short-lived workers that cannot be had, or end at once, and what they leave behind."""

import os

import pytest

from nerve.config import load_config
from nerve.process.tree import kill_tree
from nerve.supervisor import shortlived
from nerve.supervisor.shortlived import describe_sense


@pytest.fixture
def loaded(tmp_path):
    sense = tmp_path / "senses" / "disk.py"
    sense.parent.mkdir()
    sense.write_text("def compute(db, peers, ctx): return None")
    (tmp_path / "nerve.yaml").write_text("senses: {disk: {}}\nreflexes: []")
    return load_config(tmp_path / "nerve.yaml", environ={})


@pytest.fixture
def describe(loaded):
    """Load the sense on trial; return what is told of it."""
    return lambda: describe_sense(loaded, "disk")


def opened():
    return set(os.listdir("/proc/self/fd"))


def test_where_no_worker_can_be_had_that_is_a_fault_of_the_sense_and_of_nobody(
    describe, monkeypatch
):
    """BOOT-3, CTL-4"""

    def launch(*_):
        raise EOFError  # the fork server has been killed

    assert describe().fault is None
    monkeypatch.setattr(shortlived, "launch", launch)
    before = opened()
    assert "could not be started" in describe().fault.message
    assert opened() <= before


def test_a_worker_that_is_dead_before_it_is_told_anything_leaves_nothing_open(
    describe, monkeypatch
):
    """BOOT-3, CTL-4"""
    launch = shortlived.launch

    def launch_and_kill(*arguments):
        launched = launch(*arguments)
        kill_tree(launched.pid)
        launched.process.join(10)
        return launched

    assert describe().fault is None
    monkeypatch.setattr(shortlived, "launch", launch_and_kill)
    before = opened()
    assert describe().fault.kind == "import_died"
    assert opened() <= before
