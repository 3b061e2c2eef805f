"""Asking the nerve that runs, over its control socket.

Commands; blocking. Each wait ends: with the answer, with the time that a request of its kind may
take, or with the life of the nerve that was asked. Nobody else is asked or believed than
a nerve of the state directory's owner, our own user or root.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nerve.errors import Exit, MessageInvalid, NerveError, StateForbidden
from nerve.process.kernel import is_stopped
from nerve.process.listening import peer_of, reach
from nerve.store.state_dir import StateDir
from nerve.wire.control import (
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    AnyReply,
    AnyRequest,
    DoneReply,
    FollowRequest,
    MeasuresRequest,
    NewsReply,
    ProgressReply,
    RefusedReply,
    StatusRequest,
    parse_reply,
)
from nerve.wire.lines import LineDecoder, LineTooLong
from nerve.wire.model import dump
from nerve.wire.status import StatusReply

if TYPE_CHECKING:
    from nerve.config import Located

CONNECT_TIMEOUT_S = 5.0
"""To connect and to send; the parent takes what comes within a turn of its loop."""
STATUS_TIMEOUT_S = 5.0
"""For a request that is answered within a turn of the parent's loop."""
LOOK_EVERY_S = 1.0
"""While a request takes its time: whether whoever is asked is stopped, by SIGSTOP or Ctrl-Z."""
READ_BYTES = 64 * 1024

Told = Callable[[ProgressReply], object]


class NotRunning(NerveError):
    """No nerve that could be asked runs in the state directory, or it does not answer."""

    exit_code = Exit.NOTHING_RUNNING


class RunsElsewhere(NotRunning):
    """No nerve runs in the state directory, but one with the same configuration in another."""


class Refused(NerveError):
    """The nerve that runs has refused a request.

    Attributes:
        kind: a stable word for why, as RefusedReply has it.
    """

    def __init__(self, reply: RefusedReply) -> None:
        super().__init__(reply.message, hint=reply.hint)
        self.kind = reply.kind
        with suppress(ValueError):  # a code that a later version knows is FOUND to this one
            self.exit_code = Exit(reply.exit_code)


class Remote:
    """A connection to the nerve that runs."""

    def __init__(self, sock: socket.socket, where: Path, pid: int) -> None:
        """Take over a connected socket; `where` and `pid` are of the nerve behind it."""
        self.pid = pid
        self._socket = sock
        self._where = where
        self._lines = LineDecoder(MAX_REPLY_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a request in hand is done all the same."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def ask(self, request: AnyRequest, *, told: Told = lambda _: None) -> DoneReply | StatusReply:
        """Ask, and wait for the final reply; what comes on the way goes to `told`.

        Raises:
            Refused: nothing was done.
            NotRunning: the nerve has ended, or does not answer.
        """
        self._send(request)
        is_quick = isinstance(request, StatusRequest | MeasuresRequest)
        limit_s = STATUS_TIMEOUT_S if is_quick else None
        while True:
            reply = self._reply(limit_s)
            match reply:
                case ProgressReply():
                    told(reply)
                case RefusedReply():
                    raise Refused(reply)
                case DoneReply() | StatusReply():
                    return reply
                case NewsReply():
                    raise self._misunderstood("it tells news that nobody asked for")

    def follow(self) -> None:
        """Ask to be told news from now on; the first comes at once."""
        self._send(FollowRequest())

    def news(self, timeout_s: float) -> int | None:
        """Return the newest id of all news that has come, None where none has in time.

        Raises NotRunning when the nerve has ended, Refused where it has no room for followers.
        """
        newest = None
        line = self._await_line(timeout_s)
        while line is not None:  # to the last of those that came together
            newest = self._news_of(line)
            line = self._lines.next()
        return newest

    def _news_of(self, line: bytes | LineTooLong) -> int:
        match self._understand(line):
            case NewsReply(newest_id=newest_id):
                return newest_id
            case RefusedReply() as refused:
                raise Refused(refused)
            case _:
                raise self._misunderstood("it answers something else than what was asked")

    def _send(self, request: AnyRequest) -> None:
        line = dump(request)
        if len(line) > MAX_REQUEST_BYTES:
            size, limit = f"{len(line):,}", f"{MAX_REQUEST_BYTES:,}"
            raise NerveError(f"the request has {size} bytes, over the limit of {limit} bytes")
        self._socket.settimeout(CONNECT_TIMEOUT_S)
        try:
            self._socket.sendall(line + b"\n")
        except TimeoutError:
            raise _silent(self._where, self.pid) from None
        except OSError:
            return  # it may have said why before it closed

    def _reply(self, limit_s: float | None) -> AnyReply:
        """Wait for the next reply: so long, or else for as long as somebody may give it."""
        while (line := self._await_line(limit_s or LOOK_EVERY_S)) is None:
            if limit_s is not None:
                raise _silent(self._where, self.pid)
            if is_stopped(self.pid):
                raise _silent(self._where, self.pid, then="; what was asked for is done then")
        return self._understand(line)

    def _await_line(self, timeout_s: float) -> bytes | LineTooLong | None:
        give_up = time.monotonic() + timeout_s
        while (line := self._lines.next()) is None:
            left_s = give_up - time.monotonic()
            if left_s <= 0:
                return None
            self._socket.settimeout(left_s)
            try:
                received = self._socket.recv(READ_BYTES)
            except TimeoutError:
                return None
            except OSError:
                received = b""
            if not received:
                raise _ended(self._where)
            self._lines.feed(received)
        return line

    def _understand(self, line: bytes | LineTooLong) -> AnyReply:
        if isinstance(line, LineTooLong):
            raise self._misunderstood(f"a reply of more than {MAX_REPLY_BYTES:,} bytes")
        try:
            return parse_reply(line)
        except MessageInvalid as error:
            raise self._misunderstood(str(error)) from error

    def _misunderstood(self, why: str) -> NerveError:
        return NerveError(
            f"what the nerve in {self._where} answers cannot be understood: {why}",
            hint="is it of another version? Restart it with the one of this command",
        )


def connect(located: "Located") -> Remote:
    """Connect to the nerve that runs in this state directory.

    Raises:
        RunsElsewhere: none does, but one with this configuration in another directory.
        NotRunning: there is none, or none that answers.
        StateForbidden: it is another user's.
    """
    state = StateDir(located.state_dir)
    try:
        return connect_to(state)
    except NotRunning:
        if state.holder() is None:
            # Here, because only this needs to look through /proc.
            from nerve.cli.elsewhere import refuse_elsewhere

            refuse_elsewhere(located)
        raise


def connect_to(state: StateDir) -> Remote:
    """Do so with the nerve of a state directory."""
    try:
        connected = reach(state.socket_path, CONNECT_TIMEOUT_S)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise _nobody(state) from None
    except PermissionError:
        raise _forbidden(state) from None
    except TimeoutError:
        raise _silent(state.root, state.holder()) from None
    except OSError as error:
        raise NotRunning(
            f"the control socket {state.socket_path} cannot be used: {error.strerror or error}",
            hint="`nerve doctor` looks at the state directory",
        ) from error
    try:
        return Remote(connected, state.root, _trusted(connected, state))
    except BaseException:
        connected.close()
        raise


def _trusted(connected: socket.socket, state: StateDir) -> int:
    """Return the process id of who answers; raises NerveError where it is not to be believed."""
    peer = peer_of(connected)
    if peer.uid not in {0, os.geteuid(), state.root.stat().st_uid}:
        raise NerveError(
            f"at {state.socket_path} user {peer.uid} answers, process {peer.pid}: "
            "that is not the nerve of this directory",
            hint="look at the owner and the mode of the directory",
        )
    return peer.pid


def _nobody(state: StateDir) -> NotRunning:
    pid = state.holder()
    if pid is None:
        return NotRunning(f"no nerve runs in {state.root}", hint="start it with: nerve run")
    return NotRunning(
        f"process {pid} runs nerve in {state.root}, and has no control socket",
        hint="it is about to begin or to end, or is an older nerve, or could make none: "
        "try again, then see `nerve logs --type control.unavailable`; SIGTERM stops it",
    )


def _forbidden(state: StateDir) -> StateForbidden:
    owner = _owner(state.root)
    return StateForbidden(
        f"{state.socket_path} is not open to this user",
        path=state.socket_path,
        hint=f"ask as the user whose nerve it is, {owner}, or as root",
    )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):  # it has no name, or we may not look
        return "the owner of the state directory"


def _silent(where: Path, pid: int | None, *, then: str = "") -> NotRunning:
    who = f"process {pid}" if pid else "the process"
    return NotRunning(
        f"the nerve in {where} does not answer ({who})",
        hint=f"it is stopped, or its machine is held up: look with `ps`; "
        f"`kill -CONT {pid or 'PID'}` lets a stopped one go on{then}",
    )


def _ended(where: Path) -> NotRunning:
    return NotRunning(
        f"the nerve in {where} ended before it answered",
        hint="`nerve logs` tells how; what was asked for may have been done",
    )
