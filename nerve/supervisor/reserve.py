"""A worker in reserve, so that a replacement need not be forked first.

Parent, in its starter threads. Forking a worker, having it read what the fork server
gives it, doing everything for the first time, and making the pipe and the thread
for its log records take most of a start and of the first compute after it. So one worker is kept
for which all that is done and which waits for its specification; whoever starts a worker takes it,
and another is made when there is time. One and not one for each group: workers
seldom die together, and it holds as much memory as an idle worker.
"""

import contextlib
import os
import threading
from dataclasses import dataclass

from nerve.logs import RecordsOf
from nerve.process.kernel import is_alive
from nerve.process.launch import Launched, fork_server_pid, is_gone, launch
from nerve.process.tree import kill_tree

NAME = "nerve: spare"


@dataclass(frozen=True, slots=True)
class Blank:
    """A worker that has no specification yet.

    Attributes:
        records: what it will log; its end of the pipe is still here.
    """

    launched: Launched
    records: RecordsOf

    @property
    def is_usable(self) -> bool:
        """Whether it lives, and its fork server too."""
        same = self.launched.server_pid == fork_server_pid()
        return same and is_alive(self.launched.pid)

    def discard(self) -> None:
        """End a worker that nobody has use for; blocks for some hundred milliseconds at most."""
        kill_tree(self.launched.pid)
        is_gone(self.launched.pid)
        self.launched.channel.close()
        os.close(self.launched.stdout)
        os.close(self.launched.stderr)
        self.records.started()
        self.records.close()


class Reserve:
    """At most one waiting worker."""

    def __init__(self, entry: str, entry_in_reserve: str) -> None:
        """Entries as for `launch`, for a worker that is wanted now and for one that waits.

        Each is called with its end of the channel.
        """
        self._entry = entry
        self._entry_in_reserve = entry_in_reserve
        self._waiting: Blank | None = None
        self._lock = threading.Lock()

    def take(self) -> Blank:
        """Return the waiting worker, or a new one; blocks for some milliseconds.

        Raises OSError or EOFError where none can be started.
        """
        waiting = self._empty()
        if waiting is not None and waiting.is_usable:
            return waiting
        if waiting is not None:
            waiting.discard()
        return self._make(self._entry)

    def replenish(self) -> None:
        """Have one wait, if none does; blocks for some milliseconds."""
        with self._lock:  # held over a launch: take() waits for that rather than launch beside it
            if self._waiting is None:
                # No fork server, descriptor or thread: then the next take() tells.
                with contextlib.suppress(OSError, EOFError, RuntimeError):
                    self._waiting = self._make(self._entry_in_reserve)

    def end(self) -> None:
        """Have none wait any more."""
        waiting = self._empty()
        if waiting is not None:
            waiting.discard()

    def _empty(self) -> Blank | None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        return waiting

    def _make(self, entry: str) -> Blank:
        records = RecordsOf(NAME)  # first: it is the easier one to undo
        try:
            return Blank(launch(NAME, entry), records)
        except BaseException:
            records.started()
            records.close()
            raise
