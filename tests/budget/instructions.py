"""Counting the instructions of a compute, under valgrind's callgrind.

Twice: the parent of a whole nerve, whose fork server and workers run beside it as ever; and one
worker, to which this process is the parent. Until it is warm callgrind only looks on, which takes
a tenth of the time. What a compute costs is what COMPUTES of them cost in all.

An instruction is the build's, and so is the budget: `BUILD` names Python, its compiler and SQLite.
"""

import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

from nerve.config import load_config
from nerve.process.slate import create
from nerve.process.tree import kill_tree
from nerve.sense import TriggerKind
from nerve.supervisor.shortlived import short_spec
from nerve.wire.channel import hand_over
from nerve.wire.framing import FrameDecoder, encode
from nerve.wire.messages import (
    ComputeMessage,
    ReadyMessage,
    SignalMessage,
    parse_up,
)
from nerve.wire.model import dump
from tests.budget import project
from tests.budget.tracing import Refused, seize

WARM_UP = 30
COMPUTES = 50
PATIENCE_S = 90
READ_BYTES = 64 * 1024
SITE = Path(__file__).with_name("valgrind")
KINDS = ("signal", "no signal")


def build():
    """Name what the instructions are those of."""
    plain = "" if "--enable-optimizations" in sysconfig.get_config_var("CONFIG_ARGS") else " plain"
    python = f"{platform.python_implementation()} {platform.python_version()}{plain}"
    return f"{python}, {platform.python_compiler()}, SQLite {sqlite3.sqlite_version}"


def require():
    """Raise Refused where no instructions can be counted."""
    if shutil.which("valgrind") is None or shutil.which("vgdb") is None:
        raise Refused("valgrind is not installed, so no instructions are counted")
    # With ptrace vgdb wakes a program that waits.
    with ended(subprocess.Popen(["cat"], stdin=subprocess.PIPE)) as program:
        seize(program.pid)


class Callgrind:
    """A Python program that runs under callgrind."""

    def __init__(self, folder, module, *arguments, **more):
        self._prefix = f"--vgdb-prefix={folder / 'vgdb'}"
        self._out = folder / "callgrind"
        self._errors = folder / "errors"
        self._dumps = 0
        command = [
            "valgrind",
            "--tool=callgrind",
            "--quiet",
            "--instr-atstart=no",
            f"--callgrind-out-file={self._out}",
            self._prefix,
            *(sys.executable, "-m", module, *arguments),
        ]
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(SITE)}
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(command, cwd=folder, env=environ, stderr=errors, **more)

    def begin(self):
        """Count from here on; what is dumped first is the cost of the beginning."""
        self._command("instrumentation", "on")

    def zero(self):
        self._command("zero")

    def instructions(self):
        """How many there were since `zero`."""
        self._command("dump")
        self._dumps += 1
        lines = self._out.with_name(f"{self._out.name}.{self._dumps}").read_text().splitlines()
        (summary,) = (line for line in lines if line.startswith("totals:"))
        return int(summary.split()[1])

    def last_words(self):
        """What it has said that it should not have."""
        return self._errors.read_text()

    def _command(self, *words):
        subprocess.run(
            ["vgdb", self._prefix, f"--pid={self.process.pid}", *words],
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )


def of_the_parent(folder):
    """Instructions for each compute: by kind, of the parent."""
    project.write(folder, watched=False)
    callgrind = Callgrind(
        folder, "tests.budget.entry", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with ended(callgrind.process) as parent:
        assert parent.stdout.readline().startswith("parent="), callgrind.last_words()

        def run(kind, count):
            parent.stdin.write(f"{kind.triggered} {kind.senses[-1]} {count}\n")
            parent.stdin.flush()
            assert parent.stdout.readline(), callgrind.last_words()

        return {
            name: {"parent": {"instructions": count}}
            for name, count in counted(callgrind, run).items()
        }


def of_the_worker(folder):
    """Instructions for each compute: by kind, of the worker."""
    project.write(folder, watched=False)
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE_S)
    callgrind = Callgrind(
        folder, "tests.budget.lone_worker", str(theirs.fileno()), pass_fds=[theirs.fileno()]
    )
    theirs.close()
    with ended(callgrind.process), ours:
        parent = Parent(ours, folder)
        counts = counted(callgrind, parent.run)
    return {
        name: {project.worker(project.KINDS[name].triggered): {"instructions": count}}
        for name, count in counts.items()
    }


def counted(callgrind, run):
    """Instructions for each compute, by kind; `run(kind, count)` has some of them pass."""
    counts = {}
    for name in KINDS:
        run(project.KINDS[name], WARM_UP)
    callgrind.begin()
    for name in KINDS:
        run(project.KINDS[name], WARM_UP)
        callgrind.zero()
        run(project.KINDS[name], COMPUTES)
        counts[name] = callgrind.instructions() / COMPUTES
    return counts


class Parent:
    """What a worker needs of a parent."""

    def __init__(self, channel, folder):
        loaded = load_config(folder / "nerve.yaml", environ={})
        senses = {project.KINDS[name].triggered for name in KINDS}
        (folder / "databases").mkdir()
        create(folder / "slate")
        spec = short_spec(
            loaded, {sense: loaded.config.senses[sense] for sense in senses}, folder / "databases"
        ).model_copy(update={"slate": str(folder / "slate")})
        self._channel = channel
        self._decoder = FrameDecoder()
        self._trigger_id = 0
        self._acknowledged = {}
        self._records, records = os.pipe()
        hand_over(channel, records)
        os.close(records)
        channel.sendall(encode(spec.model_dump_json(by_alias=True).encode()))
        ready = self._receive()
        assert isinstance(ready, ReadyMessage), ready
        assert not any(report.fault for report in ready.senses), ready

    def run(self, kind, count):
        """Have so many computes pass, each with the acknowledgement of the one before."""
        for _ in range(count):
            self._trigger_id += 1
            message = ComputeMessage(
                sense=kind.triggered,
                trigger_id=self._trigger_id,
                kind=TriggerKind.MANUAL,
                acknowledged=self._acknowledged,
            )
            self._channel.sendall(encode(dump(message)))
            answer = self._receive()
            self._acknowledged = {}
            if isinstance(answer, SignalMessage):
                self._acknowledged = {answer.sense: (answer.epoch, answer.seq)}

    def _receive(self):
        while not (frames := [*self._decoder.feed(self._channel.recv(READ_BYTES))]):
            pass
        (frame,) = frames
        return parse_up(frame)


@contextmanager
def ended(process):
    """Kill a process and all below it at the end: under valgrind it takes long to stop."""
    try:
        yield process
    finally:
        kill_tree(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
