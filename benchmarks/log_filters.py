"""How long `nerve logs` takes with each of its filters, beside the same SELECT alone.

In the process: from the page's being asked for until its entries are there, beside the
statement and the fetching of its rows; with an archive, beside the reading of all its files.
As a command: the whole process, its start included, beside Python with `sqlite3` that runs
the same statement and prints what it gets.
"""

import gzip
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, p50
from benchmarks.log_rows import DAY_US
from nerve.cli.selection import Selection
from nerve.cli.timeline import MAX_ID, open_timeline
from nerve.clock import US_PER_S, SystemClock, rfc3339
from nerve.config import Loaded
from nerve.store.daylines import BLOCK_BYTES
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir

NS_PER_MS = 1_000_000
LIMIT = 100
BLOCKS = 8
"""The first is for warming up."""
TIMES = 5
"""In a row on each side; one value of a figure is their median."""
SCRIPT = """
import json, sqlite3, sys
query, values, path = json.loads(sys.argv[1])
raw = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
for row in raw.execute(query, values).fetchall():
    print(json.dumps(row))
"""

Case = tuple[str, list[str], Selection]


def cases(now_us: int) -> list[Case]:
    """Each filter: what it is called, its words on the command line, the selection."""
    hour, day, month = (now_us - before for before in (3_600 * US_PER_S, DAY_US, 40 * DAY_US))
    return [
        ("newest", [], Selection()),
        ("--level warning", ["--level", "warning"], Selection(level="warning")),
        ("--level error", ["--level", "error"], Selection(level="error")),
        ("--type, rare", ["--type", "worker.died"], Selection(type="worker.died")),
        ("--type, usual", ["--type", "output"], Selection(type="output")),
        ("--type, unknown", ["--type", "x"], Selection(type="x")),
        ("--source", ["--source", "sense-3"], Selection(source="sense-3")),
        ("--source, unknown", ["--source", "x"], Selection(source="x")),
        ("--ref", ["--ref", "trigger:3f2a91c0/7"], Selection(ref="trigger:3f2a91c0/7")),
        ("--since 1h", ["--since", rfc3339(hour)], Selection(since_us=hour)),
        ("--since 1d", ["--since", rfc3339(day)], Selection(since_us=day)),
        ("--until 40d", ["--until", rfc3339(month)], Selection(until_us=month)),
        (
            "--since 1h --level error",
            ["--since", rfc3339(hour), "--level", "error"],
            Selection(since_us=hour, level="error"),
        ),
    ]


def measure(loaded: Loaded) -> list[Figure]:
    """Ask with each filter, in this process and as a command."""
    journal, figures = StateDir(loaded.state_dir).journal_path, []
    with closing(open_reader(journal)) as raw:
        for name, words, selection in cases(SystemClock().now_us()):
            ask = partial(_fetch, raw, *_statement(selection))
            figures.append(_in_process(loaded, name, selection, "the SELECT", ask))
            figures.append(_as_command(loaded, journal, f"nerve logs {name}", words, selection))
    return figures


def measure_archived(loaded: Loaded) -> list[Figure]:
    """Ask with each filter, where half of the rows are in files of the archive."""
    files = sorted(StateDir(loaded.state_dir).archive.glob("*/*"))
    what = f"archived, {loaded.config.retention.compress}"
    return [
        _in_process(loaded, f"{what}: {name}", selection, "all files read", lambda: _read(files))
        for name, _, selection in cases(SystemClock().now_us())
    ]


def _in_process(
    loaded: Loaded,
    name: str,
    selection: Selection,
    floor_name: str,
    floor: Callable[[], object],
) -> Figure:
    times: list[tuple[float, float]] = []
    with open_timeline(loaded, _refuse) as timeline:
        page = timeline.newest if selection.since_us is None else timeline.oldest
        for _ in range(BLOCKS):
            nerve = p50([_ms(lambda: page(selection, LIMIT)) for _ in range(TIMES)])
            times.append((nerve, p50([_ms(floor) for _ in range(TIMES)])))
    return Figure(name, floor_name, "ms", *map(list, zip(*times[1:], strict=True)))


def _read(files: Sequence[Path]) -> None:
    """Read files through, without looking at what stands there."""
    for path in files:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while file.read(BLOCK_BYTES):
                pass


def _as_command(
    loaded: Loaded, untouched: Path, name: str, words: list[str], selection: Selection
) -> Figure:
    request = json.dumps([*_statement(selection), str(untouched)])
    nerve = [sys.executable, "-m", "nerve", "-c", str(loaded.path), "logs", "--json", *words]
    bare = [sys.executable, "-c", SCRIPT, request]
    both = [(_ms(lambda: _run(nerve)), _ms(lambda: _run(bare))) for _ in range(BLOCKS)][1:]
    return Figure(
        name, "python, the SELECT", "ms", *(list(side) for side in zip(*both, strict=True))
    )


def _statement(selection: Selection) -> tuple[str, dict[str, object]]:
    query, values = selection.query()
    order = "DESC" if selection.since_us is None else "ASC"
    bounds = {"after": 0, "until": MAX_ID}
    return f"{query} ORDER BY id {order} LIMIT {LIMIT + 1}", {**values, **bounds}


def _fetch(raw: sqlite3.Connection, query: str, values: dict[str, object]) -> object:
    return raw.execute(query, values).fetchall()


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _ms(act: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    act()
    return (time.perf_counter_ns() - began) / NS_PER_MS


def _refuse(error: Exception) -> None:
    raise error
