"""What a worker prints, as lines.

Parent. The worker's stdout and stderr are pipes; whatever is written there, by the
sense or by a child process of it, arrives here in chunks of any size. A chunk may
end inside a character and inside a line, and a line may never end, so both are
kept within limits. What is over the rate is read, counted and thrown away: a
worker that floods must neither block on a full pipe nor fill the journal.
"""

import codecs
import os
from collections.abc import Iterator

from nerve.supervisor.rate import Rate

READ_BYTES = 64 * 1024
MAX_LINE_CHARS = 8 * 1024


class OutputLines:
    """One stream of one worker."""

    def __init__(self, descriptor: int, now: float) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.rate = Rate(now)
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
        if not chunk and self._rest:
            lines.append(self._rest)
            self._rest = ""
        lines = [line for line in lines if line.strip()]
        return lines[: self.rate.allow(len(lines), now)], bool(chunk)

    def _split(self, text: str) -> Iterator[str]:
        *complete, self._rest = (self._rest + text).split("\n")
        for line in complete:
            yield line.rstrip("\r")[:MAX_LINE_CHARS]
        while len(self._rest) > MAX_LINE_CHARS:
            yield self._rest[:MAX_LINE_CHARS]
            self._rest = self._rest[MAX_LINE_CHARS:]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.descriptor)
