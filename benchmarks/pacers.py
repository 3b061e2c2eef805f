"""What keeps the same schedule as nerve in `schedule`: a floor, and APScheduler.

    .venv/bin/python -m benchmarks.pacers floor FOLDER SENSES INTERVAL_MS

A process of its own, started by `schedule`. It writes when its schedule begins to the file `start`
in FOLDER, and then goes on until it is ended.

* `floor`: a heap, and a wait for its first. It calls nothing and tells nobody; what is measured is
  how exactly this machine, in this hour, wakes a process.
* `apscheduler`: version 3 with a pool of 8 processes and one job for each sense, which does there
  what the sense does: it notes the time. It knows no transaction, database, deadline or record.
"""

import heapq
import logging
import select
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.ticking import note
from nerve.clock import MS_PER_S
from nerve.reflex.timers import phase_ms

PROCESSES = 8
LEAD_S = 10.0
"""From the making of ten thousand jobs to the first of them."""


def name_of(number: int) -> str:
    """Name of a sense."""
    return f"s{number:05}"


def phases_s(senses: int, interval_ms: int) -> list[float]:
    """When each sense is due for the first time after the start."""
    return [phase_ms(name_of(number), interval_ms) / MS_PER_S for number in range(senses)]


def keep_floor(folder: Path, senses: int, interval_ms: int) -> None:
    """Note each tick when it is due, until killed."""
    start = time.monotonic()
    heap = [(start + phase, number) for number, phase in enumerate(phases_s(senses, interval_ms))]
    heapq.heapify(heap)
    (folder / "start").write_text(repr(start))
    poll = select.epoll()
    while True:
        due, number = heap[0]
        left = due - time.monotonic()
        if left > 0:
            poll.poll(left)
            continue
        note(number)
        heapq.heapreplace(heap, (due + interval_ms / MS_PER_S, number))


def keep_apscheduler(folder: Path, senses: int, interval_ms: int) -> None:
    """Have APScheduler run a job for each sense, until SIGTERM."""
    from apscheduler.executors.pool import ProcessPoolExecutor  # an extra
    from apscheduler.schedulers.blocking import BlockingScheduler

    # It tells of each start that it skips, and here those are counted.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    pool = {"default": ProcessPoolExecutor(PROCESSES)}
    scheduler = BlockingScheduler(executors=pool, job_defaults=defaults, timezone=UTC)
    begin, start = datetime.now(UTC) + timedelta(seconds=LEAD_S), time.monotonic() + LEAD_S
    for number, phase in enumerate(phases_s(senses, interval_ms)):
        due = begin + timedelta(seconds=phase)
        seconds = interval_ms / MS_PER_S
        scheduler.add_job(note, "interval", (number,), seconds=seconds, start_date=due)
    (folder / "start").write_text(repr(start))
    scheduler.start()


if __name__ == "__main__":
    keep = {"floor": keep_floor, "apscheduler": keep_apscheduler}[sys.argv[1]]
    keep(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
