"""The floor of a dispatch: forked children with a database each, and a parent with one.

In the floor's process. A byte down a socketpair asks for a row, a byte back says that it is
written; then the parent writes its own.
"""

import os
import select
import socket
import sqlite3
import time
from pathlib import Path
from typing import NoReturn

from benchmarks.rows import SAID, grow, insert, insert_together, open_wal

NS_PER_S = 1_000_000_000
READ_BYTES = 4096


class Crew:
    """Children that answer for as long as this process lives.

    Attributes:
        pids: of the children.
    """

    def __init__(self, folder: Path, workers: int, child: str, parent: str) -> None:
        """`child` and `parent` are their values of `synchronous`."""
        name = f"crew-{workers}-{child}-{parent}".lower()
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self.pids = [self._fork(folder / f"{name}-{n}.db", child) for n in range(workers)]
        self._raw = open_wal(folder / f"{name}-parent.db", parent)
        grow(self._raw, parent)

    def _fork(self, path: Path, synchronous: str) -> int:
        # A child has what its elder brothers are asked through; they end behind it.
        ours, theirs = socket.socketpair()
        if (pid := os.fork()) == 0:
            ours.close()
            raw = open_wal(path, synchronous)
            grow(raw, synchronous)
            _answer(theirs, raw)
        theirs.close()
        self._sockets[ours.fileno()] = ours
        self._poll.register(ours, select.EPOLLIN)
        return pid

    def exchange(self, count: int) -> list[int]:
        """Ask the first child for a row, then insert one here; `count` times, one at a time."""
        asked = next(iter(self._sockets.values()))
        times = []
        for _ in range(count):
            began = time.perf_counter_ns()
            asked.send(b"?")
            asked.recv(1)
            insert(self._raw)
            times.append(time.perf_counter_ns() - began)
        return times

    def flood(self, window: int, seconds: float, *, grouped: bool) -> float:
        """Results per second with `window` under way in all.

        As many are asked for again as are durable; `grouped` puts all that one wait brings into
        one commit.
        """
        each = window // len(self._sockets)
        under_way = each * len(self._sockets)
        for asked in self._sockets.values():
            asked.send(b"?" * each)
        self._see_off(under_way, grouped=grouped, again=True)  # for warming up
        done, now = 0, time.perf_counter_ns()
        began, until = now, now + int(seconds * NS_PER_S)
        while now < until:
            done += self._turn(grouped=grouped, again=True)
            now = time.perf_counter_ns()
        self._see_off(under_way, grouped=grouped, again=False)
        return done * NS_PER_S / (now - began)

    def _see_off(self, count: int, *, grouped: bool, again: bool) -> None:
        while count > 0:
            count -= self._turn(grouped=grouped, again=again)

    def _turn(self, *, grouped: bool, again: bool) -> int:
        """Wait once, make durable what comes, and ask for as much `again`."""
        ready = [self._sockets[descriptor] for descriptor, _ in self._poll.poll()]
        came = [(asked, len(asked.recv(READ_BYTES))) for asked in ready]
        count = sum(number for _, number in came)
        if grouped:
            insert_together(self._raw, [SAID] * count)
            for asked, number in came if again else ():
                asked.send(b"?" * number)
            return count
        for asked in [asked for asked, number in came for _ in range(number)]:
            insert(self._raw)
            if again:  # at once, or the children would wait while the others are stored
                asked.send(b"?")
        return count


def _answer(questions: socket.socket, raw: sqlite3.Connection) -> NoReturn:
    while asked := questions.recv(READ_BYTES):
        for _ in asked:
            insert(raw)
            questions.send(b"!")
    os._exit(0)
