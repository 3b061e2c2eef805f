"""A whole nerve with hostile senses, each in a group of its own, beside a healthy one."""

import contextlib
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from nerve.process.kernel import is_alive, processes
from tests.runtime import conftest as runtime

ENTRY = Path(__file__).with_name("entry.py")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 30

PRELUDE = """
import ctypes, itertools, math, mmap, os, signal, subprocess, sys, threading, time

def wait_for_go():
    while not os.path.exists("go"):
        time.sleep(0.01)

"""
HEALTHY = "import os\ndef compute(db, peers, ctx): return {'pid': os.getpid()}"
TABLE = 'op.create_table("seen", sa.Column("n", sa.Integer, primary_key=True))'
PROGRESS = "interval: 50ms"
IN_RESERVE = Counter({"pipe": 6, "socket": 1, "anon_inode": 1})
"""What the parent holds open for the one worker that may wait in reserve: each test has more
deaths than that, so a descriptor that is lost at each of them is missed."""


class Hostile(runtime.Project):
    """A project whose senses mean harm, and one that does not: `healthy`, every 50 ms."""

    def __init__(self, root):
        super().__init__(root)
        self.senses = []
        self.reflexes = []
        self.groups = []
        self.shared_memory = set(os.listdir("/dev/shm"))
        self.sense("healthy", HEALTHY)
        self._add("healthy", "healthy", PROGRESS)

    def hostile(
        self, name, source, *, group=None, neighbour=True, cause="interval: 1h", **settings
    ):
        """Add a sense of a group of its own, if none is named, and a neighbour in that group.

        `timeout` and `grace_period` are the sense's, other settings the group's.
        """
        own = {"timeout": "20s", "grace_period": "1s"}
        own |= {key: settings.pop(key) for key in list(settings) if key in own}
        revisions = settings.pop("revisions", {})
        self.sense(name, PRELUDE + source, **revisions)
        self._add(name, group or name, cause, **own)
        if settings:
            limits = ", ".join(f"{key}: {value}" for key, value in settings.items())
            self.groups.append(f"  {name}: {{{limits}}}")
        if neighbour:
            self.sense(f"by-{name}", HEALTHY)
            self._add(f"by-{name}", group or name, "interval: 100ms")

    def _add(self, name, group, cause, **own):
        more = "".join(f", {key}: {value}" for key, value in own.items())
        self.senses.append(f"  {name}: {{group: {group}{more}}}")
        self.reflexes.append(f"  - {{kind: sense, sense: {name}, {cause}}}")

    @property
    def group_count(self):
        return len({line.partition("group: ")[2].split(",")[0].strip("}") for line in self.senses})

    def start(self, *arguments, **environment):
        groups = ["groups:", *self.groups] if self.groups else []
        self.config("\n".join(["senses:", *self.senses, "reflexes:", *self.reflexes, *groups]))
        environment = {"PYTHONPATH": str(ROOT), "RESTS_S": "0", **environment}
        return super().start(*arguments, entry=ENTRY, **environment)

    def outcomes(self, sense):
        return dict(
            self.query("logs", "SELECT outcome, count FROM outcomes WHERE sense = ?", sense)
        )

    def rows(self, type_, source):
        rows = self.query(
            "logs", "SELECT payload FROM logs WHERE type = ? AND source = ?", type_, source
        )
        return [json.loads(payload) for (payload,) in rows]

    def assert_guilty(self, running, sense, outcome, *words):
        """The death of its worker is put down to a sense: in the log, once, with its outcome."""
        (died,) = running.log("worker.died", source=sense)
        assert (died["payload"]["guilty"], died["payload"]["running"]) == (sense, sense), died
        assert all(word in str(died["payload"]) for word in words), died
        running.log("sense.resting", source=sense)
        running.log(f"compute.{outcome}", source=sense, ref=died["ref"])

    # --- what must hold whatever the senses did -----------------------------------------

    def began(self, running):
        """Wait until every group has come up, and let the hostile senses go; return open files."""
        running.log("worker.ready", self.group_count)
        count = open_files(running)
        (self.root / "go").touch()
        return count

    def assert_all_run_on(self, running, neighbours):
        """After all harm was done, the healthy sense and these neighbours run."""
        for sense in ("healthy", *neighbours):
            seen = sum(e.get("sense") == sense for e in list(running.said))
            running.signals(sense, seen + 3)

    def assert_ended_well(self, running):
        """Stop; nothing is left of the run, no process and no shared memory."""
        boots = {e["payload"]["boot"] for e in running.said if e.get("type") == "nerve.started"}
        assert running.stop() == 0, running.errors()
        assert eventually(lambda: not self.left(boots)), self.left(boots)
        # Of what is there now, for other nerves on this machine come and go.
        left = set(os.listdir("/dev/shm")) - self.shared_memory
        assert eventually(lambda: not left & set(os.listdir("/dev/shm"))), left

    def assert_no_descriptor_is_lost(self, running, before):
        allowed = before + IN_RESERVE
        assert eventually(lambda: not open_files(running) - allowed), open_files(running) - allowed

    def assert_healthy_never_died(self, running):
        told = [e for e in running.said if e.get("sense") == "healthy"]
        assert len({e["payload"]["pid"] for e in told}) == 1

    def left(self, boots):
        """Processes of the run: by their environment, their folder, or what they have mapped."""
        marks = [f"NERVE_BOOT={boot}".encode() for boot in boots]
        found = [pid for pid in processes() if pid != os.getpid() and self._is_ours(pid, marks)]
        return [pid for pid in found if is_alive(pid)]

    def _is_ours(self, pid, marks):
        try:
            proc = Path(f"/proc/{pid}")
            environment = (proc / "environ").read_bytes()
            folder = str((proc / "cwd").readlink())
            maps = (proc / "maps").read_text()
        except OSError:
            return False
        ours = str(self.root)
        return folder.startswith(ours) or ours in maps or any(mark in environment for mark in marks)


def open_files(running):
    """How many descriptors the parent has open of each kind: pipes, sockets, regular files, ..."""
    folder = Path(f"/proc/{running.process.pid}/fd")
    kinds = Counter()
    for descriptor in os.listdir(folder):
        with contextlib.suppress(OSError):  # closed meanwhile
            kinds[os.readlink(folder / descriptor).partition(":")[0]] += 1
    return kinds


def eventually(condition):
    give_up = time.monotonic() + PATIENCE_S
    while not (met := condition()) and time.monotonic() < give_up:
        time.sleep(0.02)
    return met


@pytest.fixture
def hostile(tmp_path):
    made = Hostile(tmp_path / "project")
    yield made
    made.close()
