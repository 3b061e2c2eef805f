"""What a worker prints, as lines.

Parent. The worker's stdout and stderr are pipes; whatever is written there, by the
sense or by a child process of it, arrives here in chunks of any size. A chunk may
end inside a character and inside a line, and a line may never end, so both are
kept within limits. What is over the rate is read, counted and thrown away: a
worker that floods must neither block on a full pipe nor fill the journal.
"""

import codecs
import os
from collections.abc import Callable, Iterator

from nerve.supervisor.rate import Rate

READ_BYTES = 64 * 1024
MAX_LINE_CHARS = 8 * 1024
HELD_BACK_CHARS = 1024
MAX_LAST_READS = 32
"""Reads of READ_BYTES after a worker's death: a pipe holds no more than some of them."""


class OutputLines:
    """One stream of one worker."""

    def __init__(self, descriptor: int, now: float, redact: Callable[[str], str]) -> None:
        """`redact` masks secrets; here and not later, because a cut could fall inside one."""
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.rate = Rate(now)
        self._redact = redact
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def read(self, now: float) -> tuple[list[str], bool]:
        """Read once; return the complete lines that may be logged, and whether more can come."""
        try:
            chunk = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return [], True
        except OSError:
            chunk = b""
        lines = list(self._split(self._decoder.decode(chunk, final=not chunk)))
        if not chunk:
            lines += self._flush()
        return self._within_rate(lines, now), bool(chunk)

    def read_rest(self, now: float) -> tuple[list[str], int]:
        """Read what a dead worker has left; return the lines, and how many were left out."""
        lines: list[str] = []
        for _ in range(MAX_LAST_READS):
            read, more = self.read(now)
            lines += read
            if not more:
                break
        lines += self._within_rate(self._flush(), now)
        return lines, self.rate.take_left_out(at_the_end=True)

    def _split(self, text: str) -> Iterator[str]:
        *complete, self._rest = (self._rest + text).split("\n")
        for line in complete:
            yield from self._cut(self._redact(line.rstrip("\r")))
        # A secret may have come in part; so much is held back that it can become whole.
        while len(self._rest) > MAX_LINE_CHARS + HELD_BACK_CHARS:
            self._rest = self._redact(self._rest)
            yield self._rest[:MAX_LINE_CHARS]
            self._rest = self._rest[MAX_LINE_CHARS:]

    def _cut(self, line: str) -> Iterator[str]:
        for at in range(0, max(1, len(line)), MAX_LINE_CHARS):
            yield line[at : at + MAX_LINE_CHARS]

    def _flush(self) -> list[str]:
        rest, self._rest = self._rest, ""
        return list(self._cut(self._redact(rest)))

    def _within_rate(self, lines: list[str], now: float) -> list[str]:
        lines = [line for line in lines if line.strip()]
        return lines[: self.rate.allow(len(lines), now)]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.descriptor)
