"""Who else gets over a task that hangs: after its own timeout the next task has its result.

    .venv/bin/python -m benchmarks.peers.hanging Pebble|Celery FOLDER TIMEOUT_MS PAUSE_S

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


def recovered_ns(name: str, folder: Path, timeout_ms: int, pause_s: float) -> int:
    """From the timeout of a task that hangs until the result of the next one is stored."""
    folder.mkdir()
    command = [sys.executable, "-m", __name__, name, str(folder), str(timeout_ms), str(pause_s)]
    with (folder / "errors").open("wb") as errors:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=errors, timeout=PATIENCE_S
        )
    return int(done.stdout)


def pebble(folder: Path, timeout_ms: int, pause_s: float) -> int:
    """A pool of one process; it ends what hangs with SIGTERM and, 3 s later, SIGKILL."""
    from pebble import ProcessPool  # an extra

    with ProcessPool(max_workers=1) as pool:
        return _elapsed_ns(
            folder,
            timeout_ms,
            pause_s,
            lambda: pool.schedule(hang, timeout=timeout_ms / MS_PER_S),
            lambda: pool.schedule(work, (str(folder), "NORMAL")).result(PATIENCE_S),
        )


def celery(folder: Path, timeout_ms: int, pause_s: float) -> int:
    """A worker with one process and Redis; a time limit is a SIGKILL."""
    from benchmarks.peers.queues import Celery  # an extra

    peer = Celery(folder, 1)
    try:
        return _elapsed_ns(
            folder,
            timeout_ms,
            pause_s,
            lambda: peer.submit_hanging(timeout_ms / MS_PER_S),
            lambda: peer.take(peer.submit("NORMAL")),
        )
    finally:
        peer.close()


def _elapsed_ns(
    folder: Path,
    timeout_ms: int,
    pause_s: float,
    submit_hanging: Callable[[], Any],
    do_work: Callable[[], Any],
) -> int:
    (folder / "caller").mkdir()
    stored = open_wal(folder / "caller" / "stored.db", "FULL")
    insert(stored, json.dumps(do_work()))
    time.sleep(pause_s)
    deadline_ns = time.monotonic_ns() + timeout_ms * NS_PER_MS
    submit_hanging()
    insert(stored, json.dumps(do_work()))
    return time.monotonic_ns() - deadline_ns


def main(name: str, folder: str, timeout_ms: str, pause_s: str) -> None:
    """Be the one who gives a peer such tasks."""
    peer = {"Pebble": pebble, "Celery": celery}[name]
    print(peer(Path(folder), int(timeout_ms), float(pause_s)))


if __name__ == "__main__":
    main(*sys.argv[1:])
