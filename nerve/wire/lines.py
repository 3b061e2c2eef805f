"""Lines: the control socket's frames, one JSON object each, ended by a newline.

Parent and commands; pure. A decoder is fed whatever arrived, in pieces of any size, and gives
back one whole line at a time. A line over the limit is skipped and told of once: the next
newline can be trusted all the same, so the stream goes on. It holds the limit and what one read
brought at most.
"""


class LineTooLong:
    """What stands for a line over the limit, which is being skipped."""


LINE_TOO_LONG = LineTooLong()


class LineDecoder:
    """Turns a stream of bytes into lines."""

    def __init__(self, max_bytes: int) -> None:
        """Lines of up to `max_bytes`, the newline not counted."""
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._searched = 0
        self._is_skipping = False

    def feed(self, received: bytes) -> None:
        """Take what arrived."""
        self._pending += received

    def next(self) -> bytes | LineTooLong | None:
        """Return the next line, or None until more has arrived; empty lines are passed over."""
        while (end := self._pending.find(b"\n", self._searched)) >= 0:
            line = bytes(self._pending[:end])
            # One at a time is cheap: CPython cuts a bytearray's head without moving its tail.
            del self._pending[: end + 1]
            self._searched = 0
            if self._is_skipping:
                self._is_skipping = False
            elif len(line) > self._max_bytes:
                return LINE_TOO_LONG
            elif line.strip():
                return line
        return self._overdue()

    def _overdue(self) -> LineTooLong | None:
        """Tell of a line that is too long already, and forget what has come of it."""
        self._searched = len(self._pending)
        if self._searched <= self._max_bytes and not self._is_skipping:
            return None
        self._pending.clear()
        self._searched = 0
        if self._is_skipping:
            return None
        self._is_skipping = True
        return LINE_TOO_LONG

    @property
    def waiting_bytes(self) -> int:
        """How many bytes are held."""
        return len(self._pending)
