"""Where the control socket lets in who connects: our own user and root.

Parent, on the loop. The file's mode has kept everybody else out before (`process/listening.py`).
Without a socket nerve runs all the same, says so once, and tries again whenever it is told to
look; one that was deleted or replaced is made anew.
"""

import errno
import os
import socket
from asyncio import get_running_loop
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nerve.process.listening import Listening, Peer, peer_of
from nerve.supervisor.sparing import Sparing

ACCEPTS_IN_A_TURN = 16
"""Then those who are connected have their turn, before any of them has to make room."""
ACCEPT_AGAIN_S = 1.0
"""After no descriptor was left for a connection: it waits, or the loop would spin."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Door:
    """The listening socket, or the lack of one."""

    def __init__(
        self,
        path: Path,
        *,
        enter: Callable[[socket.socket, Peer], None],
        make_room: Callable[[], bool],
        sparing: Sparing,
    ) -> None:
        """`enter` is called with each connection, non-blocking, and who it is.

        `make_room` lets go of one that is not at work; False where there is none.
        """
        self._path = path
        self._enter = enter
        self._make_room = make_room
        self._sparing = sparing
        self._loop = get_running_loop()
        self._listening: Listening | None = None
        self._trouble = ""

    def open(self) -> None:
        """Listen; where that cannot be done a log row says so, and `look` tries again."""
        try:
            self._listening = Listening(self._path)
        except OSError as error:
            self._tell_unavailable(error.strerror or str(error))
            return
        self._loop.add_reader(self._listening.socket, self._on_connect)
        if self._trouble:
            self._trouble = ""
            fact = f"commands reach this nerve now, at {self._path}"
            self._sparing.log("control.available", "info", {"message": fact})

    def look(self) -> None:
        """See whether the socket is there still; not where the directory may be another nerve's."""
        if self._listening is not None and not self._listening.is_ours():
            fact = f"{self._path} was deleted, replaced or changed; it is made anew"
            self._sparing.log("control.lost", "warning", {"message": fact})
            self.close()
        if self._listening is None:
            self.open()

    def close(self) -> None:
        """Let nobody in any more; the file is removed if it is still ours."""
        if self._listening is not None:
            self._loop.remove_reader(self._listening.socket)
            self._listening.close()
            self._listening = None

    def _on_connect(self) -> None:
        for _ in range(ACCEPTS_IN_A_TURN):
            if self._listening is None:
                return
            try:
                accepted, _ = self._listening.socket.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                if error.errno in _SHORT and self._make_room():
                    continue
                self._rest(self._listening, error)
                return
            self._admit(accepted)

    def _admit(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)  # noqa: FBT003  the standard library's signature
        peer = peer_of(accepted)
        if peer.uid in {0, os.geteuid()}:
            self._enter(accepted, peer)
        else:
            accepted.close()
            self._sparing.log("control.stranger", "warning", _stranger(peer))

    def _rest(self, listening: Listening, error: OSError) -> None:
        """Leave whoever waits waiting for a while."""
        payload = {"message": f"no connection to the control socket can be taken: {error}"}
        if error.errno in _SHORT:
            payload["hint"] = "raise the limit on open files: LimitNOFILE=, or `ulimit -n`"
        self._sparing.log("control.short", "warning", payload)
        self._loop.remove_reader(listening.socket)

        def again() -> None:
            if self._listening is listening:
                self._loop.add_reader(listening.socket, self._on_connect)

        self._loop.call_later(ACCEPT_AGAIN_S, again)

    def _tell_unavailable(self, why: str) -> None:
        if why != self._trouble:
            self._trouble = why
            fact = f"the control socket {self._path} cannot be made: {why}; nerve runs without it"
            hint = (
                "commands do not reach this nerve until it can: see who owns the directory, and "
                "whether its file system has sockets; `logs -f` and SIGTERM work all the same"
            )
            self._sparing.log("control.unavailable", "warning", {"message": fact, "hint": hint})


def _stranger(peer: Peer) -> dict[str, Any]:
    fact = f"process {peer.pid} of user {peer.uid} was not let in at the control socket"
    hint = "nerve's own user and root may use it"
    return {"message": fact, "hint": hint, "pid": peer.pid, "uid": peer.uid}
