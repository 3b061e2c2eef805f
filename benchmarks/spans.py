"""Where the time goes between a worker's SIGKILL and its replacement.

    .venv/bin/python benchmarks/spans.py

Stamps in this process, the parent, and in the worker (`stamps`), put in order. What a span
is called is what was over at its end. The stamps themselves cost some hundredths of a
millisecond; the figures without them are those of `recovery`.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.deaths import DEATHS, forgive_deaths
from benchmarks.projects import make_project
from benchmarks.runtime import Nerve
from benchmarks.stamps import BEGIN, END, STAMPS, Passage, wrap
from nerve.process.kernel import become_subreaper
from nerve.process.launch import shut_down
from nerve.supervisor import preparation

DEATHS_COUNTED = 60
DEATHS_BEFORE = 5
"""For warming up."""
NS_PER_MS = 1_000_000
PATIENCE_S = 10.0
POLL_S = 0.005
IN_PARENT: Sequence[Passage] = (
    ("nerve.supervisor.child", "Child._on_sentinel", BEGIN, "the exit noticed"),
    ("nerve.supervisor.child", "Child._prepare", BEGIN, "recorded; the next one specified"),
    ("nerve.supervisor.child", "Child._attach", BEGIN, "the spare taken"),
    ("nerve.supervisor.child", "Child._attach", END, "handed over"),
    ("nerve.supervisor.group", "Group._on_ready", BEGIN, "ready read"),
    ("nerve.supervisor.group", "Group._on_ready", END, "ready taken"),
)

Notes = list[tuple[str, int]]


async def measure(folder: Path) -> list[dict[str, int]]:
    """Kill a worker again and again; for each time, nanoseconds from the kill to each label."""
    loaded = make_project(folder / "spans", {"one": "normal"})
    here: Notes = []
    for passage in IN_PARENT:
        wrap(passage, lambda label, at_ns: here.append((label, at_ns)))
    async with Nerve.running(loaded, expected=DEATHS) as (nerve, _):
        return [await _one(nerve, here, folder) for _ in range(DEATHS_BEFORE + DEATHS_COUNTED)]


async def _one(nerve: Nerve, here: Notes, folder: Path) -> dict[str, int]:
    stamps = folder / "stamps"
    stamps.unlink(missing_ok=True)
    here.clear()
    await nerve.replaced_ns()
    there = _read(stamps)
    # The last of each: a worker opens one database here, but brings two histories to head.
    marks = dict(here) | dict(there)
    return {label: at_ns - nerve.killed_at_ns for label, at_ns in marks.items()}


def _read(stamps: Path) -> Notes:
    give_up = time.monotonic() + PATIENCE_S
    while not stamps.exists() and time.monotonic() < give_up:
        time.sleep(POLL_S)
    return [(label, at_ns) for label, at_ns in json.loads(stamps.read_text())]


def table(deaths: list[dict[str, int]]) -> str:
    """Medians: when each label was passed, and how long after the one before."""
    at_ms = {
        label: statistics.median(death[label] for death in deaths) / NS_PER_MS
        for label in deaths[0]
    }
    lines, before = [f"{'ms':>8}{'span':>8}"], 0.0
    for label, at in sorted(at_ms.items(), key=lambda item: item[1]):
        lines.append(f"{at:8.2f}{at - before:8.2f}  {label}")
        before = at
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    forgive_deaths()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        os.environ[STAMPS] = str(Path(name) / "stamps")
        vars(preparation).update(PRELOAD=(*preparation.PRELOAD, "benchmarks.stamps"))
        become_subreaper()
        try:
            deaths = asyncio.run(measure(Path(name)))
        finally:
            shut_down()
    print(f"median of {DEATHS_COUNTED} replacements after SIGKILL\n")
    print(table(deaths[DEATHS_BEFORE:]))


if __name__ == "__main__":
    main()
