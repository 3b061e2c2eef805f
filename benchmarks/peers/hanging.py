"""Who else gets over a task that hangs: after its own timeout the next task has its result.

    .venv/bin/python -m benchmarks.peers.hanging FOLDER TIMEOUT_MS

A process of its own, started by `recovery`; prints nanoseconds. The tasks are those of the floor:
one hangs in C and never gives up the GIL, the next one inserts a row into the worker's own WAL
database and returns a small dict, which this process stores with a sync.
"""

import importlib.util
import itertools
import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Lacking
from benchmarks.floor import PAUSE_S
from benchmarks.peers.work import work
from benchmarks.rows import insert, open_wal

PATIENCE_S = 60.0
MS_PER_S = 1_000
NS_PER_MS = 1_000_000
CANNOT = {
    "multiprocessing.Pool": "left out: it has no timeout for a task; one that hangs, hangs",
    "ProcessPoolExecutor, loky": "left out: the same; what can be killed is all workers at once",
    "APScheduler": "left out: its processes are those of ProcessPoolExecutor",
}


def hang() -> int:
    """Be busy in C for hours."""
    return sum(itertools.repeat(1, 10**13))


def pebbles_name() -> str:
    """With its version; raises Lacking where it is not installed."""
    if importlib.util.find_spec("pebble") is None:
        raise Lacking("it is not installed: pip install -e '.[bench]'")
    return f"pebble {version('pebble')}"


def pebble_recovered_ns(folder: Path, timeout_ms: int) -> int:
    """From the timeout of a task that hangs until the result of the next one is stored."""
    command = [sys.executable, "-m", __name__, str(folder), str(timeout_ms)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE_S)
    return int(done.stdout)


def main(folder: Path, timeout_ms: int) -> None:
    """Have a pool of one process; it ends what hangs with SIGTERM and, 3 s later, SIGKILL."""
    from pebble import ProcessPool  # an extra

    stored = open_wal(folder / "pebble-stored.db", "FULL")
    worked = (str(folder), "NORMAL")
    with ProcessPool(max_workers=1) as pool:
        pool.schedule(work, worked).result(PATIENCE_S)
        time.sleep(PAUSE_S)
        deadline_ns = time.monotonic_ns() + timeout_ms * NS_PER_MS
        hanging = pool.schedule(hang, timeout=timeout_ms / MS_PER_S)
        insert(stored, json.dumps(pool.schedule(work, worked).result(PATIENCE_S)))
        elapsed_ns = time.monotonic_ns() - deadline_ns
        if hanging.exception(PATIENCE_S) is None:
            raise RuntimeError("pebble let it hang")
    print(elapsed_ns)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
