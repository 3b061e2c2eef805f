"""What 200 followers of the log cost a sense that is due every 50 ms, half of them not reading.

    .venv/bin/python benchmarks/followers.py [--followers 200] [--blocks 6] [--seconds 10] [--json]

One nerve runs for the whole time; its sense tells a signal at each tick, so there is news for
everybody 20 times a second. With and without followers take turns: they are started, all of them
subscribed, watched, and killed. Each is a process that runs the command `nerve logs -f --json`,
forked from one that has imported it, so that 200 of them fit into memory. Half of them read and
write to /dev/null; a quarter is stopped (SIGSTOP), and a quarter writes into a pipe that nobody
reads.
"""

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figures import Figure, Note, p50, p99
from benchmarks.lateness import HEALTHY, INTERVAL_S, MIGRATION, late_s, rows_of
from benchmarks.machine import describe_machine
from benchmarks.report import as_json, as_text
from benchmarks.usage import Usage
from nerve.process.kernel import children
from nerve.process.tree import kill_tree

FOLLOWERS = 200
BLOCKS = 6
SECONDS = 10.0
SETTLE_S = 2.0
"""After followers have come or gone, before lateness counts: pipes fill up meanwhile."""
PATIENCE_S = 60.0
POLL_S = 0.05
PIPE_BYTES = 4096
MS_PER_S = 1_000
NS_PER_S = 1_000_000_000
PARTS = ("reads", "reads", "stopped", "full")
"""What becomes of one follower of each four."""
WITHOUT, WITH = "nobody follows", "followed"

Window = tuple[float, float]


def make_project(folder: Path) -> None:
    """Write nerve.yaml and a sense that tells something every 50 ms."""
    migrations = folder / "senses/healthy/migrations"
    migrations.mkdir(parents=True)
    (migrations.parent / "__init__.py").write_text(f'{HEALTHY}    return {{"summary": "well"}}\n')
    (migrations / "0001.py").write_text(MIGRATION)
    (folder / "nerve.yaml").write_text(
        "senses:\n  healthy: {}\nreflexes:\n  - {kind: sense, sense: healthy, interval: 50ms}\n"
    )


def measure(folder: Path, followers: int, blocks: int, seconds: float) -> list[Figure | Note]:
    """Run nerve in `folder`, with followers and without them in turns."""
    windows: dict[str, list[Window]] = {WITHOUT: [], WITH: []}
    used: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    with _nerve(folder) as pid:
        for _ in range(blocks):
            for name, number in ((WITHOUT, 0), (WITH, followers)):
                with _followed(folder, pid, number):
                    before = Usage.of([pid])
                    windows[name].append(_watch(seconds))
                    used[name].append((Usage.of([pid]).cpu_ns - before.cpu_ns) / NS_PER_S / seconds)
    start = float((folder / "start").read_text())
    began = [at for (at,) in rows_of(folder / "data/senses/healthy.db", "SELECT at FROM began")]
    late = list(zip(began, late_s(began, start), strict=True))

    def late_ms(name: str) -> list[list[float]]:
        return [[MS_PER_S * s for at, s in late if a <= at < b] for a, b in windows[name][1:]]

    what = f"{followers} followers"
    figures = [
        Figure(
            f"{what}: late, {label}",
            WITHOUT,
            "ms",
            *([of(block) for block in late_ms(name)] for name in (WITH, WITHOUT)),
        )
        for label, of in (("p50", p50), ("p99", p99), ("maximum", max))
    ]
    starts = {n: [len(block) / seconds for block in late_ms(n)] for n in (WITH, WITHOUT)}
    due = f"{what}: computes, {1 / INTERVAL_S:.0f} due"
    figures.append(Figure(due, WITHOUT, "/s", starts[WITH], starts[WITHOUT]))
    percent = {name: [100 * share for share in shares[1:]] for name, shares in used.items()}
    figures.append(Figure(f"{what}: parent", WITHOUT, "% CPU", percent[WITH], percent[WITHOUT]))
    ticks = round((began[-1] - start) / INTERVAL_S) + 1
    missed = f"{ticks - len(began)} of {ticks} ticks were merged, while followers start included"
    return [*figures, Note("nerve", missed)]


@contextlib.contextmanager
def _nerve(folder: Path) -> Iterator[int]:
    """Run nerve; yields the process id of the parent once it ticks."""
    command = [sys.executable, "-m", "benchmarks.lateness", "--serve", str(folder)]
    with subprocess.Popen(command) as process:
        try:
            _wait_for((folder / "start").exists, process)
            time.sleep(SETTLE_S)
            yield process.pid
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
        finally:
            process.kill()


@contextlib.contextmanager
def _followed(folder: Path, nerve: int, number: int) -> Iterator[None]:
    """Have so many followers, all of whom nerve knows of."""
    if not number:
        time.sleep(SETTLE_S)
        yield
        return
    connections = _descriptors(nerve) + number
    command = [sys.executable, "-m", "benchmarks.followers", "--herd", str(folder)]
    with subprocess.Popen([*command, "--followers", str(number)]) as herd:
        try:
            _wait_for(lambda: _descriptors(nerve) >= connections, herd)
            for place, pid in enumerate(sorted(children(herd.pid))):
                if PARTS[place % len(PARTS)] == "stopped":
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(SETTLE_S)
            yield
        finally:
            kill_tree(herd.pid)


def _watch(seconds: float) -> Window:
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError("it did not come up")
        time.sleep(POLL_S)


def herd(folder: Path, followers: int) -> None:
    """Be the process that followers are forked from; lives until it is killed."""
    from nerve.cli import records  # noqa: F401  what each of them would import
    from nerve.cli.program import program

    os.environ["NERVE_CONFIG"] = str(folder / "nerve.yaml")
    for place in range(followers):
        target = _output(PARTS[place % len(PARTS)])
        if os.fork() == 0:
            os.dup2(target, 1)
            sys.stdout = os.fdopen(1, "w")  # of the new file's kind, and not the old one's
            program(["logs", "-f", "--json"], prog_name="nerve")
        os.close(target)
    signal.pause()


def _output(part: str) -> int:
    if part != "full":
        return os.open(os.devnull, os.O_WRONLY)
    _, writing = os.pipe()  # whose other end stays open here, and is never read
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return writing


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--followers", type=int, default=FOLLOWERS)
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="the first is not counted")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each half of a block")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--herd", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.herd:
        herd(arguments.herd, arguments.followers)
        return
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        folder = Path(name) / "project"
        make_project(folder)
        found = measure(folder, arguments.followers, arguments.blocks, arguments.seconds)
    print((as_json if arguments.json else as_text)(machine, found))


if __name__ == "__main__":
    main()
