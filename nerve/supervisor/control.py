"""The control socket: commands ask, the parent answers.

Parent, on the loop, which it never holds up: a request is taken in each turn, whoever has sent how
many; whoever is slow or dead is let go (`connection`); and nobody is waited for. It is bounded
in connections, of which those who follow have no more than MAX_FOLLOWERS, so that any number of
them locks no command out; where all are taken, the one that has been silent longest makes room.

Only our own user and root are listened to; the file's mode sees to that before (`listening`).
What cannot be understood is refused, and the next line is read. An error of a handler is that
request's answer and a log row, and the parent goes on. Without a socket nerve runs all the
same, says so, and tries again.
"""

import errno
import os
import socket
import traceback
from asyncio import get_running_loop
from collections import deque
from pathlib import Path
from typing import Any

from nerve.clock import Clock
from nerve.errors import Exit
from nerve.process.listening import Listening, peer_of
from nerve.supervisor.answers import Answer, Handler, Handlers, refused
from nerve.supervisor.connection import Answering, Connection
from nerve.supervisor.followers import Followers
from nerve.supervisor.refusals import busy, stopped, stranger, unanswered, unavailable, understand
from nerve.supervisor.sparing import Log, Sparing
from nerve.wire.control import AnyRequest, FollowRequest, RefusedReply
from nerve.wire.lines import LineTooLong

MAX_CONNECTIONS = 320
MAX_FOLLOWERS = 256
"""What is left of MAX_CONNECTIONS is for commands."""
ACCEPTS_IN_A_TURN = 16
"""Then those who are connected have their turn, before any of them has to make room."""
ACCEPT_AGAIN_S = 1.0
"""After no descriptor was left for a connection: it waits, and so does the loop's attention."""
LOOK_EVERY_S = 5.0
"""For connections that are overdue."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


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
        self._path = path
        self._handlers = handlers
        self._clock = clock
        self._sparing = Sparing(log, source="nerve", clock=clock)
        self._loop = get_running_loop()
        self._listening: Listening | None = None
        self._connections: set[Connection] = set()
        self._turns: deque[Connection] = deque()
        self._followers = Followers(newest_id)
        self._is_ending = False

    def begin(self) -> None:
        """Listen, and look after the connections from now on."""
        self._listen()
        self._look()

    def moved(self, newest_id: int) -> None:
        """All entries of the journal up to this one are durable."""
        self._followers.moved(newest_id)

    def take_no_more(self) -> None:
        """Begin nothing more; replies to what has been begun still leave. Nothing is logged now."""
        self._is_ending = True
        self._turns.clear()
        self._close_listening()

    def end(self) -> None:
        """Close all connections; whoever still waits is told that nothing comes."""
        self.take_no_more()
        self._followers.end()
        for connection in [*self._connections]:
            connection.give_up(stopped())
            connection.close()

    # --- the socket -----------------------------------------------------------------

    def _listen(self) -> None:
        try:
            self._listening = Listening(self._path)
        except OSError as error:
            self._log("control.unavailable", "warning", unavailable(self._path, error))
        else:
            self._loop.add_reader(self._listening.socket, self._on_connect)

    def _close_listening(self) -> None:
        if self._listening is not None:
            self._loop.remove_reader(self._listening.socket)
            self._listening.close()
            self._listening = None

    def _look(self) -> None:
        """See to the socket, which somebody may have deleted, and to who is overdue."""
        if self._is_ending:
            return
        if self._listening is not None and not self._listening.is_ours():
            fact = {"message": f"{self._path} was deleted or replaced; it is made anew"}
            self._log("control.lost", "warning", fact)
            self._close_listening()
        if self._listening is None:
            self._listen()
        now = self._clock.monotonic()
        for connection in [c for c in self._connections if c.is_overdue(now)]:
            connection.close()
        self._loop.call_later(LOOK_EVERY_S, self._look)

    def _on_connect(self) -> None:
        for _ in range(ACCEPTS_IN_A_TURN):
            if self._listening is None:
                return
            try:
                accepted, _ = self._listening.socket.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                return
            except OSError as error:
                self._rest_from_accepting(self._listening, error)
                return
            self._take_in(accepted)

    def _rest_from_accepting(self, listening: Listening, error: OSError) -> None:
        """Leave whoever waits waiting: the descriptor stays readable, and the loop would spin."""
        payload = {"message": f"no connection to the control socket can be taken: {error}"}
        if error.errno in _SHORT:
            payload["hint"] = "raise the limit on open files (ulimit -n, LimitNOFILE=)"
        self._log("control.short", "warning", payload)
        self._loop.remove_reader(listening.socket)

        def again() -> None:
            if self._listening is listening:
                self._loop.add_reader(listening.socket, self._on_connect)

        self._loop.call_later(ACCEPT_AGAIN_S, again)

    def _take_in(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)  # noqa: FBT003  the standard library's signature
        try:
            peer = peer_of(accepted)
        except OSError:
            accepted.close()
            return
        if peer.uid not in {0, os.geteuid()}:
            accepted.close()
            self._log("control.stranger", "warning", stranger(peer))
            return
        is_full = len(self._connections) >= MAX_CONNECTIONS and not self._make_room()
        connection = Connection(
            accepted, peer, clock=self._clock, ready=self._on_ready, closed=self._on_closed
        )
        if is_full:
            connection.send(busy("connections to this nerve", MAX_CONNECTIONS))
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
            self._followers.tell_soon()
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
            self._log("control.failed", "error", payload)
            hint = "`nerve logs --type control.failed` has where; report it"
            refused(answer, "internal", fact, hint=hint, exit_code=Exit.INTERNAL)

    def _follow(self, answer: Answering, connection: Connection) -> None:
        if len(self._followers) >= MAX_FOLLOWERS:
            answer.end(busy("that follow", MAX_FOLLOWERS))
        else:
            connection.follow()
            self._followers.add(connection)

    def _log(self, type_: str, level: str, payload: dict[str, Any]) -> None:
        if not self._is_ending:
            self._sparing.log(type_, level, payload)
