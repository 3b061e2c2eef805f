"""Frames: a length in four bytes, big-endian, then that many bytes of JSON.

Both processes; pure. A decoder is fed whatever arrived, in pieces of any size,
and gives back whole frames in order. It holds at most one incomplete frame, so
at most MAX_FRAME_BYTES plus what one read brought. After an error a stream has
no next frame boundary that could be trusted: the channel is to be closed.
"""

import struct
from collections.abc import Iterator

from nerve.errors import FrameTooLarge, WireError

MAX_FRAME_BYTES = 8 * 1024 * 1024
_LENGTH = struct.Struct(">I")


def encode(body: bytes) -> bytes:
    """Put a length before a message; raises FrameTooLarge over MAX_FRAME_BYTES."""
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLarge(len(body), MAX_FRAME_BYTES)
    return _LENGTH.pack(len(body)) + body


class FrameDecoder:
    """Turns a stream of bytes into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield every frame that is complete now; take them all before feeding again.

        Raises:
            FrameTooLarge: the next frame announces more than MAX_FRAME_BYTES.
            WireError: the next frame is empty, which no message is.
        """
        self._pending += received
        start = 0
        try:
            while len(self._pending) - start >= _LENGTH.size:
                end = start + _LENGTH.size + self._announced(start)
                if len(self._pending) < end:
                    break
                frame = bytes(self._pending[start + _LENGTH.size : end])
                start = end  # before the yield: a frame that its taker chokes on is not given twice
                yield frame
        finally:
            # Once per read and not once per frame: cutting a bytearray's head moves its tail.
            del self._pending[:start]

    def _announced(self, start: int) -> int:
        (size,) = _LENGTH.unpack_from(self._pending, start)
        if size > MAX_FRAME_BYTES:
            raise FrameTooLarge(size, MAX_FRAME_BYTES)
        if size == 0:
            raise WireError("an empty frame")
        return int(size)

    @property
    def incomplete_bytes(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._pending)
