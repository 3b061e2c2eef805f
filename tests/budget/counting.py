"""Counting what a compute costs the parent and the workers of a whole nerve.

    python -m tests.budget.counting FOLDER

A process of its own, because it traces nerve: it waits for whatever stops. It writes the project
into FOLDER, starts nerve, and for each kind of compute lets WARM_UP of them pass, traces the parent
and the workers concerned, and lets COMPUTES pass, from one moment at which all of them are at rest
to another. It prints JSON: by kind and process, the name of what is counted to its number
for each compute.

Exit code REFUSED and the reason, where the machine does not let it.
"""

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.budget import project
from tests.budget.calls import MACHINE, UNSTEADY, WRITES, name_of
from tests.budget.statements import Statements
from tests.budget.tracing import Refused, Tracer

WARM_UP = 50
COMPUTES = 100
REFUSED = 3
FRAME_BYTES = 24 + 4096
"""A page in a WAL, with its header."""
STDIN, STDOUT = 0, 1


class Counts:
    """What traced processes did, by name of process."""

    def __init__(self, processes):
        self._processes = processes
        self._files = {}
        self.calls = {name: Counter() for name in processes.values()}
        self.written = Counter()

    def add(self, call):
        """Count one call."""
        process, name = self._processes[call.process], name_of(call.number)
        if self.is_talk(call):
            return
        if name not in UNSTEADY[process.partition(" ")[0]]:
            self.calls[process][name] += 1
        if name in WRITES and self._is_file(call):
            self.written[process] += max(0, call.returned)
        if name == "close":
            self._files.pop((call.process, call.first), None)

    def is_talk(self, call):
        """Whether it is the parent's being told what to do, or saying that it is done."""
        talk = (name_of(call.number), call.first) in {("read", STDIN), ("write", STDOUT)}
        return talk and self._processes[call.process] == "parent"

    def _is_file(self, call):
        key = call.process, call.first
        if key not in self._files:
            self._files[key] = Path(f"/proc/{call.process}/fd/{call.first}").is_file()
        return self._files[key]


class Counting:
    """A nerve that runs, and is told what to run."""

    def __init__(self, folder):
        project.write(folder, watched=True)
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.budget.entry", "--watched"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        pids = dict(word.split("=") for word in self._process.stdout.readline().split())
        self._pids = {name: int(pid) for name, pid in pids.items()}

    def count(self, kind):
        """Count one kind of compute; return by process, by name, the number for each compute."""
        self._order(kind, WARM_UP)
        self._answer()
        processes = {self._pids["parent"]: "parent"}
        processes |= {self._pids[sense]: project.worker(sense) for sense in kind.senses}
        tracer, counts = Tracer(processes), Counts(processes)
        settle(tracer, lambda call: None)
        databases = {"parent": Database(self._folder, "logs")}
        databases |= {project.worker(s): Database(self._folder, s) for s in kind.senses}
        self._order(kind, COMPUTES)
        while not ((call := tracer.next()).number == 1 and counts.is_talk(call)):
            counts.add(call)
        traffic = self._answer()
        settle(tracer, counts.add)
        tracer.end()
        figures = {name: self._figures(name, counts, databases[name]) for name in databases}
        figures["channels"] = {name: number / COMPUTES for name, number in traffic.items()}
        return figures

    def _figures(self, name, counts, database):
        calls = counts.calls[name]
        figures = {f"system call {call}": number for call, number in calls.items()}
        figures["system calls"] = calls.total()
        figures["bytes written to files"] = counts.written[name]
        figures |= database.figures()
        return {name: number / COMPUTES for name, number in sorted(figures.items())}

    def _order(self, kind, count):
        self._process.stdin.write(f"{kind.triggered} {kind.senses[-1]} {count}\n")
        self._process.stdin.flush()

    def _answer(self):
        return json.loads(self._process.stdout.readline())

    def end(self):
        """Let nerve stop in an orderly way."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Database:
    """One database while computes pass."""

    def __init__(self, folder, name):
        where = "logs.db" if name == "logs" else f"senses/{name}.db"
        self._wal = folder / "data" / f"{where}-wal"
        self._began_bytes = self._wal.stat().st_size
        self._statements = Statements(folder / project.STATEMENTS.format(name))
        self._statements.clear()

    def figures(self):
        """The statements and pages since it was made."""
        statements = self._statements.counts()
        return {
            "statements": statements.total(),
            "commits": statements["COMMIT"],
            "WAL frames": (self._wal.stat().st_size - self._began_bytes) / FRAME_BYTES,
            **{f"statement {text}": number for text, number in statements.items()},
        }


def settle(tracer, take):
    """Let them go on until all are at rest and nobody is left to wake them."""
    while (call := tracer.next(block=False)) is not None or not tracer.is_at_rest():
        if call is not None:
            take(call)
        else:
            os.sched_yield()


def count_in(folder, timeout_s):
    """Count in a process of its own; raises Refused where this machine does not let it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.budget.counting", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode == REFUSED:
        raise Refused(done.stdout.strip())
    done.check_returncode()
    return json.loads(done.stdout)


def main():
    if platform.machine() != MACHINE:
        raise Refused(f"system calls are counted on {MACHINE}, and this is {platform.machine()}")
    counting = Counting(Path(sys.argv[1]))
    figures = {name: counting.count(kind) for name, kind in project.KINDS.items()}
    counting.end()
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        main()
    except Refused as error:
        print(error)
        sys.exit(REFUSED)
