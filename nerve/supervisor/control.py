"""The control socket: commands ask, the parent answers.

Parent, on the loop, which it never holds up: a request is taken in each turn, whoever has sent how
many; whoever is slow or dead is let go (`connection`); and nobody is waited for. It is bounded
in connections, of which those that follow have no more than their share, so that any number of
them locks no command out; where all are taken, the one that has been silent longest makes room.

What cannot be understood is refused, and the next line is read. An error of a handler is that
request's answer and a log row, and the parent goes on.
"""

import resource
import socket
import sys
import traceback
from asyncio import get_running_loop
from collections import deque
from pathlib import Path

from nerve.clock import Clock
from nerve.errors import Exit
from nerve.process.listening import Peer
from nerve.supervisor.answers import Answer, Handler, Handlers, refused
from nerve.supervisor.connection import Answering, Connection
from nerve.supervisor.door import Door
from nerve.supervisor.followers import Followers
from nerve.supervisor.refusals import busy, stopped, unanswered, understand
from nerve.supervisor.sparing import Log, Sparing
from nerve.wire.control import AnyRequest, FollowRequest, RefusedReply
from nerve.wire.lines import LineTooLong

MAX_CONNECTIONS = 320
"""Or a third of the files that this process may open: the workers need theirs."""
SPARE_FILES = 16
"""Of the files that this process may open, those that no connection takes: with fewer, no worker
could be started. The system gives out the lowest number that is free."""
FEW_CONNECTIONS = 4
"""Taken all the same: who operates a nerve that is short of files needs some."""
FOLLOWERS_SHARE = 0.8
"""Of the connections, those that may follow; what is left of them is for commands."""


class Control:
    """The socket, its connections, and who answers which request."""

    def __init__(
        self, path: Path, handlers: Handlers, *, log: Log, clock: Clock, newest_id: int
    ) -> None:
        """Inside a running event loop; nothing is listened to before `begin`.

        Args:
            path: of the socket.
            handlers: by the request's type; without `follow`, which is answered here.
            log: writes a log row: source, type, level, payload.
            newest_id: of the newest entry of the journal that is durable.
        """
        self._handlers = handlers
        self._clock = clock
        self._sparing = Sparing(log, source="nerve", clock=clock)
        self._door = Door(
            path, enter=self._on_enter, make_room=self._make_room, sparing=self._sparing
        )
        self._loop = get_running_loop()
        self._connections: set[Connection] = set()
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._files = sys.maxsize if files == resource.RLIM_INFINITY else files
        self._max_connections = min(MAX_CONNECTIONS, self._files // 3)
        self._turns: deque[Connection] = deque()
        self._followers = Followers(newest_id)
        self._is_ending = False

    def begin(self) -> None:
        """Listen."""
        self._door.open()

    def look(self) -> None:
        """See to the socket's file, and let go of who is overdue; every some seconds."""
        self._door.look()
        now = self._clock.monotonic()
        for connection in [c for c in self._connections if c.is_overdue(now)]:
            connection.close()

    def moved(self, newest_id: int) -> None:
        """All entries of the journal up to this one are durable."""
        self._followers.moved(newest_id)

    def take_no_more(self) -> None:
        """Begin nothing more, and log nothing; replies to what has been begun still leave."""
        self._is_ending = True
        self._turns.clear()
        self._door.close()

    def end(self) -> None:
        """Close all connections; whoever still waits is told that nothing comes."""
        self.take_no_more()
        self._followers.end()
        for connection in [*self._connections]:
            connection.give_up(stopped())
            connection.close()

    # --- connections ----------------------------------------------------------------

    def _on_enter(self, accepted: socket.socket, peer: Peer) -> None:
        number = len(self._connections)
        is_short = number >= FEW_CONNECTIONS and accepted.fileno() >= self._files - SPARE_FILES
        is_many = number >= self._max_connections
        is_full = (is_short or is_many) and not self._make_room()
        if is_short and not is_full:
            high, accepted = accepted, accepted.dup()  # the number that has become free
            high.close()
        connection = Connection(
            accepted, peer, clock=self._clock, ready=self._on_ready, closed=self._on_closed
        )
        if is_full:
            connection.send(busy("connections to this nerve", number))
            connection.close()
        else:
            self._connections.add(connection)

    def _make_room(self) -> bool:
        """Let go of the connection that has been silent longest; False when all are at work."""
        idle = [connection for connection in self._connections if connection.is_idle]
        if idle:
            min(idle, key=lambda connection: connection.heard_at).close()
        return bool(idle)

    def _on_closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._followers.discard(connection)

    # --- requests -------------------------------------------------------------------

    def _on_ready(self, connection: Connection) -> None:
        if connection.is_following:
            self._followers.has_room(connection)
        elif not self._is_ending and connection not in self._turns:
            self._turns.append(connection)
            if len(self._turns) == 1:
                self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        """Take one request, and come back in the next turn of the loop for another."""
        if not self._turns:
            return
        connection = self._turns.popleft()
        if self._turns:
            self._loop.call_soon(self._serve)
        line = connection.take()
        if line is not None:
            self._answer(line, connection.answer(), connection)

    def _answer(self, line: bytes | LineTooLong, answer: Answering, connection: Connection) -> None:
        request = understand(line)
        if isinstance(request, RefusedReply):
            answer.end(request)
        elif isinstance(request, FollowRequest):
            self._follow(answer, connection)
        elif (handler := self._handlers.get(request.type)) is None:
            answer.end(unanswered(request))
        else:
            self._have_handled(handler, request, answer)

    def _have_handled(self, handler: Handler, request: AnyRequest, answer: Answer) -> None:
        try:
            handler(request, answer)
        except Exception as error:  # noqa: BLE001  the boundary of a request
            what = f"{type(error).__name__}: {error}"
            fact = f"{request.type} failed by an error of nerve itself: {what}"
            trace = "".join(traceback.format_exception(error))
            payload = {"message": fact, "traceback": trace, "by": answer.by}
            if not self._is_ending:
                self._sparing.log("control.failed", "error", payload, about=request.type)
            hint = "`nerve logs --type control.failed` has where; report it"
            refused(answer, "internal", fact, hint=hint, exit_code=Exit.INTERNAL)

    def _follow(self, answer: Answering, connection: Connection) -> None:
        most = int(self._max_connections * FOLLOWERS_SHARE)
        if len(self._followers) >= most:
            answer.end(busy("connections that follow", most))
        else:
            connection.follow()
            self._followers.add(connection)
