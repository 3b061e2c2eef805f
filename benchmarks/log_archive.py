"""How long the archive takes, and what a trigger notices of it.

A whole nerve in this process, as under `nerve run`, with one sense that is triggered every PACE_S.
The archive begins in the middle. Its floor writes the same rows into one file and deletes
them in one transaction, with nobody waiting and nothing that could be killed half-way.
"""

import asyncio
import json
import shutil
import time
from pathlib import Path

from benchmarks.figures import Figure, p50, p99
from benchmarks.log_rows import archive_plainly
from benchmarks.projects import make_project
from benchmarks.runtime import Entry, Nerve
from nerve.config import Loaded, load_config
from nerve.store.batch import LogEntry
from nerve.store.due import older_than_us
from nerve.store.state_dir import StateDir
from nerve.supervisor import housekeeping

IDLE_S = 10.0
"""How long triggers are timed before the archive begins."""
PACE_S = 0.01
MIB = 1024 * 1024
NS_PER_MS = 1_000_000
SENSE = "one"


class _Archiving(Nerve):
    """A nerve, and what it said of its archive."""

    finished: LogEntry | None = None

    def _observe(self, entry_id: int | None, entry: Entry) -> None:
        super()._observe(entry_id, entry)
        if isinstance(entry, LogEntry) and entry.type == "archive.finished":
            self.finished = entry


def make(folder: Path, journal: Path, compress: str) -> Loaded:
    """Make a project whose journal is a copy of `journal`."""
    loaded = make_project(folder, {SENSE: "normal"})
    with loaded.path.open("a") as file:
        file.write(f"retention: {{compress: {compress}}}\n")
    loaded = load_config(loaded.path, environ={})
    state = StateDir(loaded.state_dir)
    state.create()
    shutil.copyfile(journal, state.journal_path)
    return loaded


def measure(loaded: Loaded, floor: Path) -> list[Figure]:
    """Archive what is due; `floor` is a copy of the journal that the floor may change."""
    state, compress = StateDir(loaded.state_dir), loaded.config.retention.compress
    size = state.journal_path.stat().st_size / MIB
    before_us = older_than_us(loaded.config.retention.logs_ms, time.time_ns() // 1_000)
    began = time.perf_counter()
    archive_plainly(floor, floor.with_suffix(".jsonl"), before_us)
    plain_s = time.perf_counter() - began
    idle, busy, row = asyncio.run(_triggers(loaded))
    told = json.loads(row.payload)
    files = sum(file.stat().st_size for file in state.archive.glob("*/*")) / MIB
    what = f"archive of {told['logs']['rows']:,} rows, {compress}"
    return [
        Figure(what, "one file, one DELETE", "s", [told["seconds"]], [plain_s]),
        Figure(f"{what}: logs.db after", "before", "MiB", [_size(state)], [size]),
        Figure(f"{what}: its files", "freed in logs.db", "MiB", [files], [size - _size(state)]),
        *(
            Figure(f"{what}: trigger meanwhile, {name}", "before it", "ms", [of(busy)], [of(idle)])
            for name, of in (("p50", p50), ("p99", p99), ("longest", max))
        ),
    ]


def _size(state: StateDir) -> float:
    return state.journal_path.stat().st_size / MIB


async def _triggers(loaded: Loaded) -> tuple[list[float], list[float], LogEntry]:
    """Time triggers before the archive and while it is at work, in ms; and its row."""
    vars(housekeeping).update(FIRST_AFTER_S=IDLE_S)
    async with _Archiving.running(loaded) as (nerve, _):
        begins = time.monotonic() + IDLE_S
        idle: list[float] = []
        busy: list[float] = []
        while nerve.finished is None:
            times = busy if time.monotonic() > begins else idle
            times += [ns / NS_PER_MS for ns in await nerve.times_ns(SENSE, 1)]
            await asyncio.sleep(PACE_S)
    return idle, busy, nerve.finished
