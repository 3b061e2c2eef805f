"""How fast rows go into the journal, with followers reading beside and without.

Nerve and its floors take turns, a block each. A follower is `nerve logs -f --json`, a process
of its own that reads each row and writes it to /dev/null. While a floor has its turn the
followers are stopped, so that it has the machine to itself.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Figure, p99
from benchmarks.log_rows import BATCH_ROWS, INDEXES, Floor, batches, plain
from nerve.store.batch import Batch
from nerve.store.journal import Journal

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
FOLLOWERS = (0, 1, 4)
BLOCKS = 12
"""For each number of followers; the first is for warming up."""
SAME = "raw insert, same indexes"
BARE = "raw insert, no index"

Times = list[list[int]]
T = TypeVar("T")


def measure(project: Path, journal: Path, rows: int) -> list[Figure]:
    """Fill `journal`, that of `project`, with so many rows; each floor gets the same."""
    floors = {SAME: frozenset(INDEXES), BARE: frozenset[str]()}
    made, figures = batches(rows), []
    with contextlib.ExitStack() as stack:
        nerve = stack.enter_context(contextlib.closing(Journal(journal)))
        bare = {
            name: stack.enter_context(
                contextlib.closing(Floor(project / f"floor-{number}.db", indexes=indexes))
            )
            for number, (name, indexes) in enumerate(floors.items())
        }
        size = rows // BATCH_ROWS // BLOCKS // len(FOLLOWERS)
        for followers in FOLLOWERS:
            with _following(project, followers) as paused:
                times: dict[str, Times] = {name: [] for name in ("nerve", *bare)}
                for number in range(BLOCKS):
                    block = list(islice(made, size))
                    entries = [Batch(list(batch)) for batch in block]
                    times["nerve"].append(_times_ns(nerve.commit, entries))
                    tuples = [plain(batch) for batch in block]
                    with paused():
                        # To and fro: a turn finds the disk as busy as the last one left it.
                        for name in list(bare)[:: -1 if number % 2 else 1]:
                            times[name].append(_times_ns(bare[name].commit, tuples))
            figures += _figures(followers, times)
        for rest in made:
            nerve.commit(Batch(list(rest)))
    return figures


def _times_ns(commit: Callable[[T], object], given: Sequence[T]) -> list[int]:
    times = []
    for batch in given:
        began = time.perf_counter_ns()
        commit(batch)
        times.append(time.perf_counter_ns() - began)
    return times


def _figures(followers: int, times: dict[str, Times]) -> list[Figure]:
    what = f"append, {followers} followers"

    def per_row(name: str) -> list[float]:
        return [sum(block) / len(block) / BATCH_ROWS / NS_PER_US for block in times[name][1:]]

    def slowest(name: str) -> list[float]:
        return [p99(block) / NS_PER_MS for block in times[name][1:]]

    return [
        Figure(f"{what}, a row", SAME, "us", per_row("nerve"), per_row(SAME)),
        Figure(f"{what}, a row", BARE, "us", per_row("nerve"), per_row(BARE)),
        Figure(f"{what}, commit of {BATCH_ROWS}, p99", SAME, "ms", slowest("nerve"), slowest(SAME)),
    ]


@contextlib.contextmanager
def _following(
    project: Path, number: int
) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Have so many followers; yields what stops them for a while."""
    command = [sys.executable, "-m", "nerve", "-c", str(project / "nerve.yaml"), "logs", "-f"]
    followers = [
        subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL) for _ in range(number)
    ]

    @contextlib.contextmanager
    def paused() -> Iterator[None]:
        for follower in followers:
            os.kill(follower.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for follower in followers:
                os.kill(follower.pid, signal.SIGCONT)

    try:
        yield paused
    finally:
        for follower in followers:
            follower.kill()
            follower.wait()
