"""Who else gets over a task that hangs: after its own timeout the next task has its result.

    .venv/bin/python -m benchmarks.peers.hanging pebble|celery FOLDER TIMEOUT_MS

A process of its own, started by `recovery`; prints nanoseconds. There is one worker. One task hangs
in C and never gives up the GIL, the next one does `work`, and what it returns is stored with
a sync.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    "Huey, Dramatiq": "left out: neither ends a task that holds the GIL",
}


def hang() -> int:
    """Be busy in C for hours."""
    return sum(itertools.repeat(1, 10**13))


def recovered_ns(kind: str, folder: Path, timeout_ms: int) -> int:
    """From the timeout of a task that hangs until the result of the next one is stored."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", __name__, kind, str(folder), str(timeout_ms)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE_S)
    return int(done.stdout)


def pebble(folder: Path, timeout_ms: int) -> int:
    """A pool of one process; it ends what hangs with SIGTERM and, 3 s later, SIGKILL."""
    from pebble import ProcessPool  # an extra

    with ProcessPool(max_workers=1) as pool:
        return _elapsed_ns(
            folder,
            timeout_ms,
            lambda: pool.schedule(hang, timeout=timeout_ms / MS_PER_S),
            lambda: pool.schedule(work, (str(folder), "NORMAL")).result(PATIENCE_S),
        )


def celery(folder: Path, timeout_ms: int) -> int:
    """A worker with one process and Redis; a time limit is a SIGKILL."""
    from benchmarks.peers.queues import Celery  # an extra

    peer = Celery(folder, 1)
    try:
        return _elapsed_ns(
            folder,
            timeout_ms,
            lambda: peer.submit_hanging(timeout_ms / MS_PER_S),
            lambda: peer.take(peer.submit("NORMAL")),
        )
    finally:
        peer.close()


def _elapsed_ns(
    folder: Path, timeout_ms: int, hang: Callable[[], Any], do_work: Callable[[], Any]
) -> int:
    (folder / "caller").mkdir(exist_ok=True)
    stored = open_wal(folder / "caller" / "stored.db", "FULL")
    do_work()
    time.sleep(PAUSE_S)
    deadline_ns = time.monotonic_ns() + timeout_ms * NS_PER_MS
    hang()
    insert(stored, json.dumps(do_work()))
    return time.monotonic_ns() - deadline_ns


if __name__ == "__main__":
    by_name = {"pebble": pebble, "celery": celery}
    print(by_name[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3])))
