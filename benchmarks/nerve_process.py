"""Nerve in a process of its own, asked over its stdin as the floor is.

    python -m benchmarks.nerve_process FOLDER JOURNAL WORKERS SENSES DURABILITY...

JOURNAL is the `durability` of logs.db. Each worker has so many senses of each
DURABILITY, because a sense has one trigger under way at a time.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.projects import make_project
from benchmarks.rows import grow, open_wal
from benchmarks.runtime import Nerve, worker_pids
from nerve.config import Loaded
from nerve.process.kernel import become_subreaper
from nerve.process.launch import shut_down
from nerve.store.state_dir import StateDir

FULL = "full"
JOURNAL_COMMITS = 400
"""After which the WAL of logs.db has its thousand pages; one signal writes three or more."""
LIMITS = "{nice: 0}"
"""No place behind the floor and the peers, whose workers are as urgent as their caller."""


class Asked:
    """What can be asked for; each public method is a request."""

    def __init__(self, nerve: Nerve, senses: dict[str, str]) -> None:
        """`senses` by name to their `durability`."""
        self._nerve = nerve
        self._senses = senses

    async def exchange(self, child: str, count: int, **_: Any) -> list[int]:
        """Time `count` triggers of one sense, one at a time, until each signal is durable."""
        return await self._nerve.times_ns(self._like(child)[0], count)

    async def flood(self, child: str, seconds: float, **_: Any) -> float:
        """Signals per second with all senses of a durability under way."""
        return await self._nerve.rate(self._like(child), seconds)

    async def workers(self, **_: Any) -> list[int]:
        """Process ids of the workers, each of whose senses has run."""
        await self._nerve.run_each(self._senses)
        return worker_pids()

    def _like(self, synchronous: str) -> list[str]:
        return [name for name, said in self._senses.items() if said == synchronous.lower()]


async def settle(nerve: Nerve, loaded: Loaded, senses: Mapping[str, str]) -> None:
    """Write so much that no WAL grows any more over which anybody waits for a sync."""
    await nerve.run_each(senses)
    for sense in [name for name, durability in senses.items() if durability == FULL]:
        # From here, while nobody else writes there: each would need some hundred computes.
        raw = open_wal(StateDir(loaded.state_dir).senses / f"{sense}.db", "OFF")
        grow(raw, "OFF")
        raw.close()
    await nerve.times_ns(next(iter(senses)), JOURNAL_COMMITS)


async def serve(folder: Path, journal: str, workers: int, senses: dict[str, str]) -> None:
    """Be nerve until stdin ends."""
    groups = [f"  g{number}: {LIMITS}" for number in range(workers)]
    loaded = make_project(
        folder,
        senses,
        group_of=lambda name: name.partition("-")[0],
        sections=[f"journal: {{durability: {journal}}}", "groups:", *groups],
    )
    async with Nerve.running(loaded):
        pass  # makes the databases, which leaves Alembic in the memory of who did until it ends
    async with Nerve.running(loaded) as (nerve, _):
        await settle(nerve, loaded, senses)
        asked = Asked(nerve, senses)
        actions: dict[str, Callable[..., Awaitable[Any]]] = {
            "exchange": asked.exchange,
            "flood": asked.flood,
            "workers": asked.workers,
        }
        # A thread, which sleeps while nerve works.
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            print(json.dumps(await actions[request.pop("do")](**request)), flush=True)


def main(folder: str, journal: str, workers: str, each: str, *durabilities: str) -> None:
    """Be nerve, and end all that is below it."""
    senses = {
        f"g{group}-{durability}-{number}": durability
        for group in range(int(workers))
        for durability in durabilities
        for number in range(int(each))
    }
    become_subreaper()
    try:
        asyncio.run(serve(Path(folder), journal, int(workers), senses))
    finally:
        shut_down()


if __name__ == "__main__":
    main(*sys.argv[1:])
