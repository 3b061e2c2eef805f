"""The floor: the same work with nothing but fork, a socketpair and sqlite3.

A process of its own, started as a script by `floor_process`; its arguments are
modules to import first. It imports nothing of nerve, so that it is warm and small. Each line
on stdin is a request in JSON, each line on stdout its answer: times in nanoseconds.
All children end when this process does, because they wait on its descriptors.
"""

import importlib
import json
import os
import select
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

PAUSE_S = 0.5
"""Before each kill, on both sides: the process killed waits, what went before is recorded, and
nerve has a worker in reserve again, as deaths come apart."""
INSERT = "INSERT INTO seen (at_us, said) VALUES (?, ?)"


def open_wal(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open a WAL database with one table, as bare as can be."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute(f"PRAGMA synchronous={synchronous}")
    raw.execute("CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY, at_us INTEGER, said TEXT)")
    return raw


def insert(raw: sqlite3.Connection) -> None:
    """Insert one row in a transaction of its own."""
    raw.execute(INSERT, (time.time_ns() // 1_000, "one row"))


class Pair:
    """This process and one forked child, each with a database."""

    def __init__(self, folder: Path, child: str, parent: str) -> None:
        ours, theirs = socket.socketpair()
        name = f"floor-{child}-{parent}".lower()
        if os.fork() == 0:
            ours.close()
            _answer(theirs, open_wal(folder / f"{name}-child.db", child))
        theirs.close()
        self._socket = ours
        self._raw = open_wal(folder / f"{name}-parent.db", parent)

    def exchange(self, count: int) -> list[int]:
        """Ask the child for one row, then insert one here; `count` times, one at a time."""
        times = []
        for _ in range(count):
            began = time.perf_counter_ns()
            self._socket.send(b"?")
            self._socket.recv(1)
            insert(self._raw)
            times.append(time.perf_counter_ns() - began)
        return times


def _answer(questions: socket.socket, raw: sqlite3.Connection) -> NoReturn:
    while questions.recv(1):
        insert(raw)
        questions.send(b"!")
    os._exit(0)


class Floor:
    """What can be asked for; each public method is a request."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], Pair] = {}
        self._crowd: list[int] = []
        self._hold = -1

    def exchange(self, folder: str, child: str, parent: str, count: int) -> list[int]:
        """Time the closed loop; `child` and `parent` are their values of `synchronous`."""
        if (child, parent) not in self._pairs:
            self._pairs[child, parent] = Pair(Path(folder), child, parent)
        return self._pairs[child, parent].exchange(count)

    def start(self, folder: str, count: int) -> list[int]:
        """Time a fork until the child has opened its database and said so; `count` times."""
        return [_fork_once(Path(folder) / "floor-start.db") for _ in range(count)]

    def replace(self, folder: str, count: int) -> dict[str, list[int]]:
        """Time what follows a SIGKILL; `count` times.

        `up`: until the next child has opened the database. `result`: until it has inserted a row
        there, too, and said so, and this process has inserted one that is synced.
        """
        path = Path(folder) / "floor-replace.db"
        stored = open_wal(Path(folder) / "floor-stored.db", "FULL")
        held, hold = os.pipe()
        child, answers = _fork_to_stay(path, held, hold)
        times: dict[str, list[int]] = {"up": [], "result": []}
        for _ in range(count):
            time.sleep(PAUSE_S)
            os.close(answers)
            began = time.perf_counter_ns()
            _kill(child)
            child, answers = _fork_to_stay(path, held, hold)
            times["up"].append(time.perf_counter_ns() - began)
            os.read(answers, 1)
            insert(stored)
            times["result"].append(time.perf_counter_ns() - began)
        _kill(child)
        for descriptor in (answers, held, hold):
            os.close(descriptor)
        stored.close()
        return times

    def gather(self, folder: str, size: int) -> dict[str, Any]:
        """Fork `size` children that open a database each and stay; the time until all have."""
        held, self._hold = os.pipe()
        ready, ready_w = os.pipe()
        began = time.perf_counter_ns()
        for number in range(size):
            pid = os.fork()
            if pid == 0:
                os.close(self._hold)
                _stay(Path(folder) / f"floor-{number}.db", ready_w, held)
            self._crowd.append(pid)
        said = 0
        while said < size:
            said += len(os.read(ready, size))
        elapsed = time.perf_counter_ns() - began
        for descriptor in (held, ready, ready_w):
            os.close(descriptor)
        return {"elapsed": elapsed, "parent": os.getpid(), "children": self._crowd}

    def tick(self, folder: str, interval_s: float) -> int:  # noqa: ARG002  every request has one
        """Fork a child that does nothing but wake up so often; its process id."""
        held, hold = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(hold)
            while not select.select([held], [], [], interval_s)[0]:
                pass
            os._exit(0)
        os.close(held)
        return pid

    def disperse(self, folder: str) -> None:  # noqa: ARG002  every request has one
        """End the children that stay."""
        os.close(self._hold)
        while self._crowd:
            os.waitpid(self._crowd.pop(), 0)


def _fork_once(path: Path) -> int:
    ready, ready_w = os.pipe()
    began = time.perf_counter_ns()
    pid = os.fork()
    if pid == 0:
        raw = open_wal(path, "NORMAL")
        os.write(ready_w, b"r")
        raw.close()
        os._exit(0)
    os.read(ready, 1)
    elapsed = time.perf_counter_ns() - began
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(ready_w)
    return elapsed


def _fork_to_stay(path: Path, held: int, hold: int) -> tuple[int, int]:
    """Fork a child that opens a database, inserts a row and stays; each is told by a byte.

    Returns its process id once it has opened the database, and where it will tell of the row.
    """
    answers, answers_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hold)
        raw = open_wal(path, "NORMAL")
        os.write(answers_w, b"r")
        insert(raw)
        os.write(answers_w, b"r")
        os.read(held, 1)
        os._exit(0)
    os.close(answers_w)
    os.read(answers, 1)
    return pid, answers


def _kill(pid: int) -> None:
    """Kill a child and reap it as soon as the kernel says that it is gone."""
    exited = select.poll()
    descriptor = os.pidfd_open(pid)
    exited.register(descriptor, select.POLLIN)
    os.kill(pid, signal.SIGKILL)
    exited.poll()
    os.waitpid(pid, 0)
    os.close(descriptor)


def _stay(path: Path, ready_w: int, held: int) -> NoReturn:
    raw = open_wal(path, "NORMAL")
    os.write(ready_w, b"r")
    os.read(held, 1)
    raw.close()
    os._exit(0)


def main(modules: list[str]) -> None:
    """Import, then answer until stdin ends."""
    for module in modules:
        importlib.import_module(module)
    floor = Floor()
    actions: dict[str, Callable[..., Any]] = {
        "exchange": floor.exchange,
        "start": floor.start,
        "replace": floor.replace,
        "gather": floor.gather,
        "tick": floor.tick,
        "disperse": floor.disperse,
    }
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(actions[request.pop("do")](**request)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
