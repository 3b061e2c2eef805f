"""A whole nerve: `nerve run` as a process of its own, with nothing of a benchmark in it.

What it has done is read from its journal, and who its processes are from /proc. So memory
and processor time are those of what a person starts.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from benchmarks.family import SPARE, Kinds, below_parent
from nerve.config import Loaded, load_config
from nerve.errors import DatabaseMissing
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir

PATIENCE_S = 60.0
POLL_S = 0.05
"""Seldom, so that looking does not slow the start down; times are those of the rows found."""


class WholeNerve:
    """A running `nerve run`."""

    def __init__(self, loaded: Loaded) -> None:
        """Launch it; whoever does has to `stop` it."""
        self._journal = StateDir(loaded.state_dir).journal_path
        self._groups = len({sense.group for sense in loaded.config.senses.values()})
        self._before = self._newest_id()
        self._launched_us = time.time_ns() // 1_000
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nerve", "-c", str(loaded.path), "run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ready_us(self) -> int:
        """Wait until all groups are ready; microseconds from the launch until they were."""
        ready = "SELECT at_us FROM logs WHERE type = 'worker.ready' AND id > ?"
        self._await(lambda: len(self._rows(ready)) == self._groups)
        return max(at_us for (at_us,) in self._rows(ready)) - self._launched_us

    def await_signals(self, count: int) -> None:
        """Wait until this run has so many signals."""
        self._await(lambda: len(self._rows("SELECT id FROM signals WHERE id > ?")) >= count)

    def await_reserve(self) -> None:
        """Wait until a worker is in reserve: the last thing that a start leads to."""
        self._await(lambda: bool(self.kinds()[SPARE]))

    def kinds(self) -> Kinds:
        """All its processes."""
        return below_parent(self._process.pid)

    def stop(self) -> None:
        """Have it stop in an orderly way; kill it where that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()

    def _await(self, is_true: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while not is_true():
            if (code := self._process.poll()) is not None:
                raise RuntimeError(f"nerve run ended with {code}")
            if time.monotonic() > give_up:
                raise TimeoutError("nerve run did not get there")
            time.sleep(POLL_S)

    def _newest_id(self) -> int:
        rows = self._rows("SELECT max(id) FROM timeline WHERE id > ?", 0)
        return int(rows[0][0] or 0) if rows else 0

    def _rows(self, query: str, after: int | None = None) -> list[tuple[int, ...]]:
        """What a query finds behind an entry; nothing while there is no journal, or no table."""
        with (
            suppress(DatabaseMissing, sqlite3.OperationalError),
            closing(open_reader(self._journal)) as reader,
        ):
            return reader.execute(query, (self._before if after is None else after,)).fetchall()
        return []


@contextmanager
def whole(loaded: Loaded) -> Iterator[WholeNerve]:
    """Run it until the body ends."""
    nerve = WholeNerve(loaded)
    try:
        yield nerve
    finally:
        nerve.stop()


def once_at_the_start(loaded: Loaded) -> Loaded:
    """The same project, its databases too, where each sense computes as soon as nerve runs.

    None is due again for an hour.
    """
    path = loaded.path.with_name("once.yaml")
    reflex = f"{{kind: sense, interval: 1h, sense: [{', '.join(loaded.config.senses)}]}}"
    path.write_text(f"{loaded.path.read_text()}reflexes:\n  - {reflex}\n")
    return load_config(path, environ={})
