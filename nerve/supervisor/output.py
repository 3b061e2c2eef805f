"""What a worker prints, as lines.

Parent, on the loop. The worker's stdout and stderr are pipes; whatever is written there,
by the sense or by a child process of it, arrives here in chunks of any size. A chunk
may end inside a character and inside a line, and a line may never end, so both are
kept within limits. What is over the rate is counted and thrown away unread, so it costs
no decoding and no search for secrets.

A pipe is looked at LOOKS_PER_S times a second at most, in the long run. So a flood costs
the parent a bounded number of wake-ups and bytes, whatever the size of its pieces: the
pipe fills, and the one who floods waits for it, he alone. (At the end of a compute it is
looked at as well, if anything is there.) That is why nothing is done to
empty the pipe faster: a sense that prints megabytes is slowed down, its neighbours are not.
"""

import asyncio
import codecs
import os
from collections.abc import Callable, Iterator

from nerve.clock import Clock
from nerve.logs import Rate

READ_BYTES = 64 * 1024
MAX_LINE_CHARS = 8 * 1024
HELD_BACK_CHARS = 1024
MAX_LAST_READS = 32
"""Reads of READ_BYTES after a worker's death: a pipe holds no more than some of them."""
PACE_S = 0.02
LOOKS_PER_S = 1 / PACE_S
TELL_AFTER_S = 1.0
"""From a look that left lines out until it is told, if nothing else comes."""


class OutputLines:
    """One stream of one worker, without the loop.

    Attributes:
        was_empty: whether the last read found nothing, not even the end.
    """

    def __init__(self, descriptor: int, rate: Rate, redact: Callable[[str], str]) -> None:
        """`redact` masks secrets; here and not later, because a cut could fall inside one."""
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.rate = rate
        self.was_empty = False
        self._redact = redact
        self._rest = b""
        self._is_skipping = False

    def read(self, now: float) -> tuple[list[str], bool]:
        """Read once; return the complete lines that may be logged, and whether more can come."""
        try:
            chunk = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            self.was_empty = True
            return [], True
        except OSError:
            chunk = b""
        self.was_empty = False
        lines = list(self._split(chunk, now)) if chunk else self._flush(now)
        return [line for line in lines if line.strip()], bool(chunk)

    def read_rest(self, now: float) -> tuple[list[str], int]:
        """Read what a dead worker has left; return the lines, and how many were left out."""
        lines: list[str] = []
        for _ in range(MAX_LAST_READS):
            read, more = self.read(now)
            lines += read
            if not more:
                break
        lines += self._flush(now)
        return lines, self.rate.take_left_out(at_the_end=True)

    def close(self) -> None:
        """Close the pipe; whoever still writes into it gets an error."""
        os.close(self.descriptor)

    def _split(self, chunk: bytes, now: float) -> Iterator[str]:
        chunk = self._skip(chunk)
        if end := chunk.rfind(b"\n") + 1:
            complete, self._rest = self._rest + chunk[:end], chunk[end:]
            count = complete.count(b"\n")
            # A blank line counts, though it is not kept: a flood of them costs as much.
            passing = self.rate.allow(count, now)
            for line in complete.split(b"\n", passing)[:passing]:
                yield from self._pieces(line, now)
        else:
            self._rest += chunk
        if len(self._rest) > MAX_LINE_CHARS + HELD_BACK_CHARS:
            yield from self._cut_rest(now)

    def _skip(self, chunk: bytes) -> bytes:
        """Drop what belongs to a line that is not kept; its end could begin inside a secret."""
        if not self._is_skipping:
            return chunk
        end = chunk.find(b"\n") + 1
        self._is_skipping = not end
        return chunk[end:] if end else b""

    def _pieces(self, line: bytes, now: float) -> list[str]:
        """Decode a line that passes, mask it, then cut it; the first piece is allowed already."""
        text = self._redact(line.rstrip(b"\r").decode(errors="replace"))
        pieces = [text[at : at + MAX_LINE_CHARS] for at in range(0, len(text), MAX_LINE_CHARS)]
        return pieces[: 1 + self.rate.allow(max(0, len(pieces) - 1), now)]

    def _cut_rest(self, now: float) -> Iterator[str]:
        """Take the beginning of a line that has not ended yet."""
        text, decoded = codecs.utf_8_decode(self._rest, "replace", False)  # noqa: FBT003  positional there
        half_a_character = self._rest[decoded:]
        # A secret may have come in part; so much is held back that it can become whole.
        text = self._redact(text)
        while len(text) > MAX_LINE_CHARS + HELD_BACK_CHARS:
            if not self.rate.allow(1, now):
                self._rest, self._is_skipping = b"", True
                return
            yield text[:MAX_LINE_CHARS]
            text = text[MAX_LINE_CHARS:]
        self._rest = text.encode() + half_a_character

    def _flush(self, now: float) -> list[str]:
        rest, self._rest = self._rest, b""
        return self._pieces(rest, now) if rest and self.rate.allow(1, now) else []


class OutputStream:
    """One stream of one worker, watched on the loop."""

    def __init__(
        self,
        lines: OutputLines,
        printed: Callable[[list[str], int], None],
        *,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`printed` gets lines, and how many were left out before."""
        self.descriptor = lines.descriptor
        self._lines = lines
        self._printed = printed
        self._clock = clock
        self._loop = loop
        self._looks = Rate(clock.monotonic(), LOOKS_PER_S)
        self._pause: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._watch()

    @property
    def has_left_out(self) -> bool:
        """Whether lines were left out that have not been told yet."""
        return bool(self._lines.rate.left_out)

    def look(self, *, at_the_end: bool = False) -> None:
        """Read once and pass on what may be logged.

        At the end of a compute also how much was left out, or the next one would be blamed for it.
        """
        now = self._clock.monotonic()
        lines, more = self._lines.read(now)
        if self._lines.was_empty and not self._lines.rate.left_out:
            return
        self._tell(lines, self._lines.rate.take_left_out(at_the_end=at_the_end))
        self._looks.allow(1, now)
        if not more:
            self._loop.remove_reader(self._lines.descriptor)
        elif self._looks.is_spent and self._pause is None:
            self._loop.remove_reader(self._lines.descriptor)
            self._pause = self._loop.call_later(PACE_S, self._watch)

    def take_rest(self) -> None:
        """Pass on what a dead worker has left."""
        self._stop_watching()
        lines, left_out = self._lines.read_rest(self._clock.monotonic())
        if lines or left_out:
            self._printed(lines, left_out)

    def close(self) -> None:
        """Hear nothing more."""
        self._stop_watching()
        self._lines.close()

    def _watch(self) -> None:
        self._pause = None
        self._loop.add_reader(self._lines.descriptor, self.look)

    def _tell(self, lines: list[str], left_out: int) -> None:
        if lines or left_out:
            self._printed(lines, left_out)
        if self._lines.rate.left_out and self._telling is None:
            self._telling = self._loop.call_later(TELL_AFTER_S, self._tell_left_out)

    def _tell_left_out(self) -> None:
        self._telling = None
        self._lines.rate.allow(0, self._clock.monotonic())
        self._tell([], self._lines.rate.take_left_out())

    def _stop_watching(self) -> None:
        self._loop.remove_reader(self._lines.descriptor)
        for timer in (self._pause, self._telling):
            if timer is not None:
                timer.cancel()
        self._pause = self._telling = None
