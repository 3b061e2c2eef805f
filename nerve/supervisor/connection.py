"""One connection to the control socket: its requests in order, its replies as far as they go.

Parent, on the loop; nothing here waits. A connection has one request in hand at a time. The next
is taken when the last reply to it has left, so what is unsent is one request's at most; of what
comes meanwhile AHEAD_BYTES are read, and the rest waits with whoever sent it. Whoever
takes nothing for STALLED_S, or asks nothing for IDLE_S, is let go.
"""

import asyncio
import contextlib
import json
import select
import socket
from collections.abc import Callable
from typing import Literal

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError

from nerve.clock import Clock
from nerve.process.listening import Peer
from nerve.wire.control import (
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    DoneReply,
    ProgressReply,
    RefusedReply,
)
from nerve.wire.lines import LineDecoder, LineTooLong
from nerve.wire.model import Message, dump
from nerve.wire.status import StatusReply

READ_BYTES = 64 * 1024
"""Taken at a time, so that a flood from one keeps the loop from nobody."""
AHEAD_BYTES = 64 * 1024
"""Held of what comes behind a whole request that has to wait."""
MAX_UNSENT_BYTES = MAX_REPLY_BYTES + 64 * 1024
"""A last reply of the largest size, and what it was preceded by."""
IDLE_S = 60.0
"""A connection without a request in hand, from the last one on: a whole request has to come."""
STALLED_S = 10.0
"""Of taking nothing of what is sent, for whoever does not follow."""
FOLLOWER_BUFFER_BYTES = 4096
"""Of news in the kernel for a follower that reads nothing: some ten, and not some hundred."""


class Connection:
    """A client, until either side closes."""

    def __init__(
        self,
        sock: socket.socket,
        peer: Peer,
        *,
        clock: Clock,
        ready: Callable[["Connection"], None],
        closed: Callable[["Connection"], None],
    ) -> None:
        """Read from a non-blocking socket, inside a running event loop.

        `ready` is called when there may be a request to `take`, `closed` once at the end.
        """
        self.peer = peer
        self.is_following = False
        self._socket = sock
        self._clock = clock
        self._ready = ready
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._lines = LineDecoder(MAX_REQUEST_BYTES)
        self._answering: Answering | None = None
        self._unsent = bytearray()
        self._is_reading = self._is_writing = self._is_ended = False
        self.is_open = True
        self.heard_at = self._sent_at = clock.monotonic()
        self._read_on()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand, on its way out, or followed."""
        return not (self._answering or self._unsent or self.is_following)

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for whoever is there to read."""
        return bool(self._unsent)

    def is_overdue(self, now: float) -> bool:
        """Whether it is to be let go: it asks nothing, or takes nothing of what it has asked."""
        if self.is_following:
            return False
        if self._unsent:
            return now - self._sent_at > STALLED_S
        return self._answering is None and now - self.heard_at > IDLE_S

    def take(self) -> bytes | LineTooLong | None:
        """Return the next request, or None while there is none or one is in hand."""
        if not self.is_open or not self.is_idle:
            return None
        line = self._lines.next()
        if line is None:
            if self._is_ended:
                self.close()
            else:
                self._read_on()
        return line

    def answer(self) -> "Answering":
        """Return where the replies to the request go that was taken; it is in hand now."""
        self._answering = Answering(self)
        return self._answering

    def follow(self) -> None:
        """Turn into a connection that is told news, and asks nothing more."""
        self.is_following = True
        self._answering = None
        self._read_on()
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FOLLOWER_BUFFER_BYTES)

    def send(self, message: Message) -> None:
        """Send a reply, as far as it goes; whoever lets too much wait is let go."""
        self.send_line(_written(message))

    def send_line(self, line: bytes) -> None:
        """Send what has been written already."""
        if not self.is_open:
            return
        if len(self._unsent) + len(line) > MAX_UNSENT_BYTES:
            self.close()
            return
        if not self._unsent:
            self._sent_at = self._clock.monotonic()
        self._unsent += line + b"\n"
        self._flush()

    def give_up(self, reply: RefusedReply) -> None:
        """End the request in hand, if there is one, with this."""
        if self._answering is not None:
            self._answering.end(reply)

    def close(self) -> None:
        """Let go of it; whoever waits in its name is told."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._unsent.clear()
        if self._answering is not None:
            self._answering.is_abandoned()
        self._closed(self)

    def finished(self, answering: "Answering") -> None:
        """The final reply to the request in hand was given."""
        if self._answering is answering:
            self._answering = None
            self.heard_at = self._clock.monotonic()
            self._go_on()

    def _go_on(self) -> None:
        if self.is_open and self.is_idle:
            self._ready(self)

    def _read_on(self) -> None:
        if self.is_open and not self._is_reading and not self._is_ended:
            self._loop.add_reader(self._socket, self._on_readable)
            self._is_reading = True

    def _read_no_more(self) -> None:
        if self._is_reading:
            self._loop.remove_reader(self._socket)
            self._is_reading = False

    def _on_readable(self) -> None:
        try:
            received = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        if not received:
            self._on_end()
        elif self.is_following:
            self.close()  # it has nothing more to ask
        else:
            self._lines.feed(received)
            if self._lines.waiting_bytes >= AHEAD_BYTES:
                self._read_no_more()  # until `take` finds no whole request in it
            self._go_on()

    def _on_end(self) -> None:
        """Nothing more is asked; whoever only closed that direction still gets replies."""
        self._is_ended = True
        self._read_no_more()
        if self.is_following or _is_gone(self._socket):
            self.close()
        else:
            self._go_on()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        if sent:
            del self._unsent[:sent]
            self._sent_at = self._clock.monotonic()
        self._watch_for_room()
        if sent and not self._unsent:
            self._drained()

    def _watch_for_room(self) -> None:
        is_needed = bool(self._unsent)
        if is_needed and not self._is_writing:
            self._loop.add_writer(self._socket, self._flush)
        elif self._is_writing and not is_needed:
            self._loop.remove_writer(self._socket)
        self._is_writing = is_needed

    def _drained(self) -> None:
        if self.is_following:
            self._ready(self)
        else:
            self._go_on()


class Answering:
    """The way back to whoever asked: an `Answer`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_ended = False
        self._callbacks: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()

    @property
    def by(self) -> dict[str, JsonValue]:
        """Who asked."""
        return {"pid": self._connection.peer.pid, "uid": self._connection.peer.uid}

    @property
    def is_ended(self) -> bool:
        """Whether the final reply was given."""
        return self._is_ended

    def progress(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Say what happens on the way."""
        if not self._is_ended:
            self._connection.send(ProgressReply(message=message, level=level))

    def end(self, reply: DoneReply | RefusedReply | StatusReply) -> None:
        """Give the final reply; a second one is not sent."""
        if not self._is_ended:
            self._is_ended = True
            self._callbacks.clear()
            self._connection.send(reply)
            self._connection.finished(self)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, by the loop, should whoever asked be gone before the end."""
        if self._connection.is_open:
            self._callbacks.append(callback)
        elif not self._is_ended:
            self._loop.call_soon(callback)

    def is_abandoned(self) -> None:
        """Whoever asked has gone."""
        for callback in self._callbacks:
            self._loop.call_soon(callback)
        self._callbacks.clear()


def _written(message: Message) -> bytes:
    """Write a reply, or in place of one that is too long that it is."""
    try:
        line = dump(message)
    except PydanticSerializationError:  # half a character (PEP 383), such as in a file's name
        line = json.dumps(message.model_dump(), ensure_ascii=False).encode("utf-8", "replace")
    if len(line) > MAX_REPLY_BYTES:
        fact = f"the reply has {len(line):,} bytes, over the limit of {MAX_REPLY_BYTES:,}"
        line = dump(RefusedReply(kind="too_long", message=fact))
    return line


def _is_gone(sock: socket.socket) -> bool:
    """Whether the other end has closed, and not only said that it asks nothing more."""
    poll = select.poll()
    poll.register(sock, 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
