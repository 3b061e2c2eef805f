"""What a worker prints, as lines.

Parent. The worker's stdout and stderr are pipes; whatever is written there, by the
sense or by a child process of it, arrives here in chunks of any size. A chunk may
end inside a character and inside a line, and a line may never end, so both are
kept within limits. More than LINES_PER_S is read, counted and thrown away: a
worker that floods must neither block on a full pipe nor fill the journal.
"""

import codecs
import os
from collections.abc import Iterator

READ_BYTES = 64 * 1024
MAX_LINE_CHARS = 8 * 1024
LINES_PER_S = 50
BURST_LINES = 200


class OutputLines:
    """One stream of one worker."""

    def __init__(self, descriptor: int, now: float) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.left_out = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._allowed = float(BURST_LINES)
        self._asked_at = now

    def read(self, now: float) -> tuple[list[str], bool]:
        """Read once; return the complete lines that may be logged, and whether more can come."""
        try:
            chunk = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return [], True
        except OSError:
            chunk = b""
        lines = list(self._split(self._decoder.decode(chunk, final=not chunk)))
        if not chunk and self._rest:
            lines.append(self._rest)
            self._rest = ""
        return self._within_rate([line for line in lines if line.strip()], now), bool(chunk)

    def _split(self, text: str) -> Iterator[str]:
        *complete, self._rest = (self._rest + text).split("\n")
        for line in complete:
            yield line.rstrip("\r")[:MAX_LINE_CHARS]
        while len(self._rest) > MAX_LINE_CHARS:
            yield self._rest[:MAX_LINE_CHARS]
            self._rest = self._rest[MAX_LINE_CHARS:]

    def _within_rate(self, lines: list[str], now: float) -> list[str]:
        # A bucket that fills at LINES_PER_S and holds BURST_LINES.
        refill = (now - self._asked_at) * LINES_PER_S
        self._allowed = min(BURST_LINES, self._allowed + refill)
        self._asked_at = now
        shown = lines[: int(self._allowed)]
        self._allowed -= len(shown)
        self.left_out += len(lines) - len(shown)
        return shown

    def take_left_out(self) -> int:
        """Return how many lines were thrown away since the last call that returned some."""
        if not self._allowed >= 1:
            return 0  # still flooding: one number at the end says more than many on the way
        count, self.left_out = self.left_out, 0
        return count

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.descriptor)
