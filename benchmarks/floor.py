"""The floor: the same work with nothing but fork, a socketpair and sqlite3.

A process of its own, started by `floor_process`; its arguments are
modules to import first. It imports nothing of nerve, so that it is warm and small. Each line
on stdin is a request in JSON, each line on stdout its answer: times in nanoseconds.
All children end when this process does, because they wait on its descriptors.
"""

import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.crew import Crew
from benchmarks.rows import insert, open_wal

PAUSE_S = 0.5
"""Before each kill, on both sides: the process killed waits, what went before is recorded, and
nerve has a worker in reserve again, as deaths come apart."""
PROCESSOR_FIELD = 36
"""Of /proc/PID/stat, counted behind the name (proc(5), field 39)."""


class Floor:
    """What can be asked for; each public method is a request."""

    def __init__(self) -> None:
        self._crews: dict[tuple[int, str, str], Crew] = {}
        self._crowd: list[int] = []
        self._hold = -1

    def flood(
        self,
        folder: str,
        child: str,
        parent: str,
        *,
        workers: int,
        window: int,
        seconds: float,
        grouped: bool,
    ) -> float:
        """Results per second of so many children, as `Crew.flood` has it."""
        crew = self._crew(folder, workers, child, parent)
        return crew.flood(window, seconds, grouped=grouped)

    def exchange(
        self, folder: str, child: str, parent: str, *, workers: int, count: int
    ) -> list[int]:
        """Time the closed loop of one child; `child` and `parent` say their `synchronous`."""
        return self._crew(folder, workers, child, parent).exchange(count)

    def workers(self, folder: str, child: str, parent: str, workers: int) -> list[int]:
        """Process ids of so many children, each with its database open."""
        return self._crew(folder, workers, child, parent).pids

    def processors(self, folder: str, child: str, parent: str, workers: int) -> list[int]:
        """On which processor the caller, and its first child, have run last."""
        pids = (os.getpid(), self._crew(folder, workers, child, parent).pids[0])
        return [_processor(pid) for pid in pids]

    def _crew(self, folder: str, workers: int, child: str, parent: str) -> Crew:
        if (workers, child, parent) not in self._crews:
            self._crews[workers, child, parent] = Crew(Path(folder), workers, child, parent)
        return self._crews[workers, child, parent]

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


def _processor(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[PROCESSOR_FIELD])


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
        "flood": floor.flood,
        "workers": floor.workers,
        "processors": floor.processors,
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
