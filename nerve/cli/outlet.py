"""The way of `nerve run` to standard output: it never makes the parent wait.

Parent. The event loop hands entries in; a thread words and writes them. A reader
that is slow, or a terminal that was stopped with Ctrl-S, makes entries wait here,
up to a limit; beyond it they are left out, and how many is said once there is room.
A reader that has gone away makes everything after it go nowhere. What cannot be written
for another reason, such as a full disk, is counted and said once, and the next is
tried again. Nothing of this brings nerve down, and nothing is lost but the view: the
journal has it all.
"""

import threading
from collections import deque
from collections.abc import Callable

from nerve.store.batch import LogEntry, SignalEntry

MAX_WAITING_CHARS = 8 * 1024 * 1024
"""Payloads of all waiting entries together."""
CLOSE_TIMEOUT_S = 2.0
"""How long the end of nerve waits for a slow reader."""
OVERHEAD_CHARS = 200
"""What an entry counts besides its payload, so that a flood of small ones is limited too."""

Entry = SignalEntry | LogEntry


class Outlet:
    """A bounded queue of entries and the thread that writes them."""

    def __init__(
        self,
        word: Callable[[int | None, Entry], str | None],
        write: Callable[[str], object],
        *,
        begin: Callable[[], object] = lambda: None,
        complain: Callable[[OSError], object] = lambda _: None,
        max_waiting_chars: int = MAX_WAITING_CHARS,
    ) -> None:
        """Begin to write. All that is passed in is called in the outlet's thread.

        Args:
            word: turns an entry into text that ends in a newline, or None to leave it out.
            write: writes a text and may block; a BrokenPipeError means that nobody reads any
                more, another OSError that this one text could not be written.
            begin: called before the first entry is written.
            complain: called with the first error that is no BrokenPipeError.
            max_waiting_chars: beyond it entries are left out.
        """
        self._word = word
        self._write = write
        self._begin = begin
        self._complain = complain
        self._max_waiting_chars = max_waiting_chars
        self._waiting: deque[tuple[int | None, Entry]] = deque()
        self._waiting_chars = 0
        self._left_out = 0
        self._closed = False
        self._unwritten = 0
        self._changed = threading.Condition()
        # A daemon, because it may be blocked for good in a write to a stopped terminal.
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    def observe(self, entry_id: int | None, entry: Entry) -> None:
        """Take an entry to be shown; never blocks."""
        size = len(entry.payload) + OVERHEAD_CHARS
        with self._changed:
            if self._waiting_chars + size > self._max_waiting_chars:
                self._left_out += 1
                return
            self._waiting.append((entry_id, entry))
            self._waiting_chars += size
            self._changed.notify()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
        """Wait until all is written; False when that takes longer than `timeout_s`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def unwritten(self) -> int:
        """How many texts could not be written although somebody may be reading."""
        return self._unwritten

    def _run(self) -> None:
        batch = self._take()
        if batch is not None:
            self._begin()
        try:
            while batch is not None:
                self._put_all(*batch)
                batch = self._take()
        except BrokenPipeError:
            self._drain()

    def _put_all(self, entries: list[tuple[int | None, Entry]], left_out: int) -> None:
        for entry_id, entry in entries:
            if text := self._word(entry_id, entry):
                self._put(text)
        if left_out:
            self._put(f"({left_out} entries left out: nobody read fast enough)\n")

    def _put(self, text: str) -> None:
        try:
            self._write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._unwritten += 1
            if self._unwritten == 1:
                self._complain(error)

    def _take(self) -> tuple[list[tuple[int | None, Entry]], int] | None:
        """Wait for entries; None when the outlet is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._left_out or self._closed)
            if not (self._waiting or self._left_out):
                return None
            entries, left_out = list(self._waiting), self._left_out
            self._waiting.clear()
            self._waiting_chars = self._left_out = 0
        return entries, left_out

    def _drain(self) -> None:
        """Nobody reads any more: let go of what comes, until the end."""
        while self._take() is not None:
            pass
