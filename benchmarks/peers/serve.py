"""A peer in a process of its own, asked over its stdin as the floor is.

    python -m benchmarks.peers.serve KIND FOLDER WORKERS

What it is asked for is what a user would write around it: give it work, take the result, store
that durably. It ends, and the peer with it, when its stdin does.
"""

import json
import pkgutil
import signal
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers.work import workers
from benchmarks.rows import grow, insert, insert_together, open_wal

NS_PER_S = 1_000_000_000
START_S = 20.0
"""Until each worker has had work; some hand it to whoever is free, so one may have had none."""


class Peer(Protocol):
    """What is asked of a peer."""

    def submit(self, synchronous: str) -> Any:
        """Have `work` done, and return at once with what the result is asked of."""

    def is_done(self, pending: Any) -> bool:
        """Whether `take` would not wait; False where to ask is as dear as to take."""

    def take(self, pending: Any) -> dict[str, str]:
        """Wait for the result."""

    def close(self) -> None:
        """End all that was started."""


class Caller:
    """The one who gives work to a peer, and stores what comes; public methods are requests."""

    def __init__(self, peer: Peer, folder: Path, count: int) -> None:
        """`count` is of the peer's workers."""
        self._peer = peer
        self._workers = count
        self._folder = folder
        self._stores: dict[str, sqlite3.Connection] = {}
        (folder / "caller").mkdir()

    def exchange(self, child: str, parent: str, count: int) -> list[int]:
        """Time `count` results, one at a time, each until it is durable; in nanoseconds."""
        store, times = self._store(parent), []
        for _ in range(count):
            began = time.perf_counter_ns()
            insert(store, json.dumps(self._peer.take(self._peer.submit(child))))
            times.append(time.perf_counter_ns() - began)
        return times

    def flood(
        self, child: str, parent: str, *, window: int, seconds: float, grouped: bool
    ) -> float:
        """Results per second with `window` under way in all; as many again as are durable.

        `grouped` puts all that has come into one commit, the oldest first.
        """
        store = self._store(parent)
        pending = deque(self._peer.submit(child) for _ in range(window))

        def turn(*, again: bool) -> int:
            count = self._store_next(store, pending, grouped=grouped)
            if again:
                pending.extend(self._peer.submit(child) for _ in range(count))
            return count

        warming = window
        while warming > 0:
            warming -= turn(again=True)
        done, now = 0, time.perf_counter_ns()
        began, until = now, now + int(seconds * NS_PER_S)
        while now < until:
            done += turn(again=True)
            now = time.perf_counter_ns()
        while pending:
            turn(again=False)
        return done * NS_PER_S / (now - began)

    def _store_next(
        self, store: sqlite3.Connection, pending: "deque[Any]", *, grouped: bool
    ) -> int:
        results = [json.dumps(self._peer.take(pending.popleft()))]
        if not grouped:
            insert(store, results[0])
            return 1
        while pending and self._peer.is_done(pending[0]):
            results.append(json.dumps(self._peer.take(pending.popleft())))
        insert_together(store, results)
        return len(results)

    def workers(self, child: str, **_: str) -> list[int]:
        """Process ids of its workers, once each of them has worked."""
        give_up = time.monotonic() + START_S
        while len(pids := workers(self._folder)) < self._workers and time.monotonic() < give_up:
            for pending in [self._peer.submit(child) for _ in range(2 * self._workers)]:
                self._peer.take(pending)
        return pids

    def _store(self, synchronous: str) -> sqlite3.Connection:
        if synchronous not in self._stores:
            path = self._folder / "caller" / f"{synchronous}.db"
            self._stores[synchronous] = open_wal(path, synchronous)
            grow(self._stores[synchronous], synchronous)
        return self._stores[synchronous]


def main(kind: str, folder: str, count: str) -> None:
    """Be the peer until stdin ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    peer: Peer = pkgutil.resolve_name(kind)(Path(folder), int(count))
    caller = Caller(peer, Path(folder), int(count))
    actions: dict[str, Callable[..., Any]] = {
        "exchange": caller.exchange,
        "flood": caller.flood,
        "workers": caller.workers,
    }
    try:
        for line in sys.stdin:
            request = json.loads(line)
            print(json.dumps(actions[request.pop("do")](**request)), flush=True)
    finally:
        peer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
