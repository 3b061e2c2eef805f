"""One end of a worker's socketpair.

`Channel` is the parent's: it never blocks. The loop calls `receive` when the
descriptor is readable and `flush` when it is writable; what the socket does not
take at once waits in a buffer of at most MAX_UNSENT_BYTES. `BlockingChannel` is
the worker's, which has nothing else to do while it waits.

Either end reports a peer that is gone as `ChannelClosed`, whatever the system
called it: EOF, a reset and a broken pipe all mean that nobody will answer.
"""

import select
import socket
import struct
from collections.abc import Iterator
from typing import Final

from nerve.errors import WireError
from nerve.wire.framing import MAX_FRAME_BYTES, FrameDecoder, encode

READ_BYTES = 64 * 1024
"""Taken at a time. Python gets that much memory before each read, and glibc fetches what is over
128 KiB from the kernel each time, and gives it back: 12 us."""
MAX_UNSENT_BYTES = 2 * MAX_FRAME_BYTES
SEND_TIMEOUT_S = 60
"""How long a worker waits for a parent that reads nothing before it gives up."""


_HAND_OVER = b"\0"
"""What a descriptor travels with: it needs a byte to be attached to."""


LOST_CHANNEL_EXIT: Final = 69
"""What a worker exits with that has lost its channel: EX_UNAVAILABLE of sysexits.h."""


class ChannelClosed(WireError):
    """The other end is gone."""


class ChannelOverflow(WireError):
    """The other end does not read, and MAX_UNSENT_BYTES wait already."""


class Channel:
    """The parent's end: non-blocking."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003  the standard library's signature
        self._socket = sock
        self._decoder = FrameDecoder()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, for the event loop; -1 when closed."""
        return self._socket.fileno()

    def hand_over(self, descriptor: int) -> None:
        """Give the worker a copy of a descriptor, before the first frame.

        Raises ChannelClosed when it has died.
        """
        hand_over(self._socket, descriptor)

    def receive(self) -> Iterator[bytes]:
        """Return the frames that one read completes, to be taken one by one; none if none is there.

        One read and not all that is there: a worker that floods must not keep the
        loop from the others. The descriptor stays readable and comes round again.

        Raises:
            ChannelClosed: nothing more will come.
            WireError: what came is no frame.
        """
        try:
            received = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return iter(())
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not received:
            raise ChannelClosed("end of file")
        return self._decoder.feed(received)

    def is_readable(self) -> bool:
        """Whether a read would find something now, the end of the stream included."""
        return _is_readable(self._socket)

    def send(self, body: bytes) -> bool:
        """Send a frame, or as much as fits; True while something waits for `flush`.

        Raises:
            ChannelClosed: the worker has died.
            ChannelOverflow: it lives and does not read.
        """
        frame = encode(body)
        if len(self._unsent) + len(frame) > MAX_UNSENT_BYTES:
            waiting = f"{len(self._unsent):,} bytes"
            raise ChannelOverflow(f"{waiting} wait for a worker that reads nothing")
        self._unsent += frame
        return self.flush()

    def flush(self) -> bool:
        """Send what waits, as far as it goes; True while something is left."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return True
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        del self._unsent[:sent]
        return bool(self._unsent)

    def close(self) -> None:
        """Close the descriptor; take it out of the loop first."""
        self._socket.close()


class BlockingChannel:
    """The worker's end: one frame at a time, in order."""

    def __init__(self, sock: socket.socket) -> None:
        # Not settimeout(): it would put a poll() and a change of flags before each call.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_S, 0))
        self._socket = sock
        self._frames: Iterator[bytes] = iter(())
        self._decoder = FrameDecoder()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def is_readable(self) -> bool:
        """Whether a read would find something now, the end of the stream included."""
        return _is_readable(self._socket)

    def take_over(self) -> int:
        """Wait for the descriptor that comes before the first frame, and return it.

        Raises ChannelClosed when the parent is gone.
        """
        try:
            received, descriptors, _, _ = socket.recv_fds(
                self._socket, len(_HAND_OVER), 1, socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not received or not descriptors:
            raise ChannelClosed("end of file")
        return descriptors[0]

    def receive(self) -> bytes:
        """Wait for the next frame; the wait ends with the parent's life at the latest.

        Raises:
            ChannelClosed: the parent is gone.
            WireError: what came is no frame.
        """
        while (frame := next(self._frames, None)) is None:
            try:
                received = self._socket.recv(READ_BYTES)
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not received:
                raise ChannelClosed("end of file")
            self._frames = self._decoder.feed(received)
        return frame

    def send(self, body: bytes) -> None:
        """Send a whole frame; raises ChannelClosed when the parent is gone or stuck."""
        try:
            self._socket.sendall(encode(body))
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def close(self) -> None:
        """Close the descriptor."""
        self._socket.close()


def hand_over(sock: socket.socket, descriptor: int) -> None:
    """Give whoever calls `take_over` at the other end a copy of a descriptor.

    Raises ChannelClosed when it has died.
    """
    try:
        socket.send_fds(sock, [_HAND_OVER], [descriptor])
    except OSError as error:
        raise ChannelClosed(str(error)) from error


def _is_readable(sock: socket.socket) -> bool:
    # Not select(): it cannot watch descriptors over 1023.
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))
