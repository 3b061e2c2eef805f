"""The same again over a store that has grown, beside a fresh one: the ratio is to be one.

Two nerves of the same project, in one run, which take turns or run at the same time:
"fresh" has recorded nothing yet, behind "grown" is what `grown_store` makes.
"""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.deaths import DEATHS, forgive_deaths
from benchmarks.family import PARENT, WORKERS, pids_of
from benchmarks.figures import Extent, Figure, Finding, Note, p50, p99
from benchmarks.grown_store import ECHO, let_grow, make_project
from benchmarks.projects import BEHIND
from benchmarks.runtime import Nerve
from benchmarks.usage import of_median, rates
from benchmarks.whole import whole
from nerve.cli.program import program
from nerve.config import Loaded
from nerve.store.state_dir import StateDir

LOG_ROWS = (1_000_000, 50_000, 5_000)
"""With a tenth as many signals; thorough, quick, and for a test."""
NS_PER_US = 1_000
NS_PER_MS = 1_000_000
MIB = 1024 * 1024
TURN_TRIGGERS = 10
BESIDE = "the same, fresh"
SETTLE_S = 1.0
COMMANDS = (
    ("why", BEHIND),
    ("why", ECHO),
    ("logs",),
    ("logs", "--level", "error", "--limit", "5"),
    ("logs", "--since", "1h"),
    ("signals", "--sense", BEHIND),
)
COMMAND_TIMES = 3
"""In a row; one value is their median."""

Pair = tuple[Loaded, Loaded]
"""The grown one, and the fresh one."""
Sides = tuple[list[list[int]], list[list[int]]]
"""Of both, the times of each block."""


def measure(folder: Path, extent: Extent) -> list[Finding]:
    """Everything, side by side."""
    pair = make_project(folder / "grown"), make_project(folder / "fresh")
    rows = extent.of(*LOG_ROWS)
    let_grow(pair[0], rows)
    size = StateDir(pair[0].state_dir).journal_path.stat().st_size / MIB
    behind = f"{rows:,} log rows and {rows // 10:,} signals, {size:.0f} MiB, were behind it"
    forgive_deaths()
    return [
        *asyncio.run(_running(pair, *extent.of((12, 20, 3), (3, 10, 1), (1, 2, 1)))),
        *_starts(pair, blocks=extent.of(12, 2, 1)),
        *_commands(pair, blocks=extent.of(8, 3, 1)),
        *_rest(pair, windows=extent.of(5, 1, 1), seconds=extent.of(6.0, 3.0, 1.0)),
        Note("grown", behind),
    ]


async def _running(pair: Pair, blocks: int, turns: int, kills: int) -> list[Figure]:
    """A trigger, and the recovery from one that hangs; the first block is for warming up."""
    times: Sides = ([], [])
    recovered: Sides = ([], [])
    async with contextlib.AsyncExitStack() as stack:
        nerves = [await stack.enter_async_context(_nerve(loaded)) for loaded in pair]
        for _ in range(blocks + 1):
            for side in times:
                side.append([])
            for _ in range(turns):
                for nerve, side in zip(nerves, times, strict=True):
                    side[-1] += await nerve.times_ns(BEHIND, TURN_TRIGGERS)
            for nerve, side in zip(nerves, recovered, strict=True):
                side.append([(await nerve.recovered_ns())[1] for _ in range(kills)])
    return [
        _figure("trigger, default, p50", "us", times, p50, NS_PER_US),
        _figure("trigger, default, p99", "us", times, p99, NS_PER_US),
        _figure("hard deadline to the next result, p50", "ms", recovered, p50, NS_PER_MS),
    ]


@contextlib.asynccontextmanager
async def _nerve(loaded: Loaded) -> AsyncIterator[Nerve]:
    async with Nerve.running(loaded, DEATHS) as (nerve, _):
        yield nerve


def _starts(pair: Pair, *, blocks: int) -> list[Figure]:
    """From the making of a supervisor until both groups are ready."""
    times: Sides = ([], [])
    for _ in range(blocks + 1):
        for loaded, side in zip(pair, times, strict=True):
            side.append([asyncio.run(_start_ns(loaded))])
    return [_figure("two groups to all ready, at head", "ms", times, p50, NS_PER_MS)]


async def _start_ns(loaded: Loaded) -> int:
    async with Nerve.running(loaded) as (_, elapsed_ns):
        return elapsed_ns


def _commands(pair: Pair, *, blocks: int) -> Iterator[Figure]:
    """Commands in this process, so without their imports."""
    for words in COMMANDS:
        times: Sides = ([], [])
        for _ in range(blocks + 1):
            for loaded, side in zip(pair, times, strict=True):
                side.append([_command_ns(loaded, words) for _ in range(COMMAND_TIMES)])
        yield _figure(f"nerve {' '.join(words)}, in process", "ms", times, p50, NS_PER_MS)


def _command_ns(loaded: Loaded, words: Sequence[str]) -> int:
    began = time.perf_counter_ns()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = program(["-c", str(loaded.path), *words], standalone_mode=False)
    if code:
        raise RuntimeError(f"nerve {' '.join(words)} ended with {code}")
    return time.perf_counter_ns() - began


def _rest(pair: Pair, *, windows: int, seconds: float) -> Iterator[Figure]:
    """Memory, and what both use at rest, at the same time."""
    with contextlib.ExitStack() as stack:
        nerves = [stack.enter_context(whole(loaded)) for loaded in pair]
        for nerve in nerves:
            nerve.ready_us()
            nerve.await_reserve()
        kinds = [nerve.kinds() for nerve in nerves]
        for kind in (PARENT, WORKERS):
            values = [[of_median(found[kind]).uss] for found in kinds]
            yield Figure(f"USS of a process: {kind}", BESIDE, "MiB", *values)
        time.sleep(SETTLE_S)
        watched = {str(number): pids_of(found) for number, found in enumerate(kinds)}
        blocks = [rates(watched, seconds) for _ in range(windows)]
    both = [[block[number].cpu_percent for block in blocks] for number in watched]
    yield Figure("processor time of two idle groups", BESIDE, "%", *both)


def _figure(
    what: str, unit: str, sides: Sides, part: Callable[[Sequence[float]], float], scale: int
) -> Figure:
    both = ([part(block) / scale for block in side[1:]] for side in sides)
    return Figure(what, BESIDE, unit, *both)
