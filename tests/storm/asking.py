"""Asking the nerve in the storm, over its control socket; a second client, of the tests alone.

Whatever is asked ends in time: with an answer, or because the nerve that was asked has ended.
"""

import json
import socket
import time
from contextlib import closing
from pathlib import Path

from nerve.process.listening import peer_of, reach

ANSWER_PATIENCE_S = 60.0
"""For an answer, on a machine that has more to do."""
GONE_PATIENCE_S = 15.0
"""For a nerve that has closed a connection to be gone, with all that it starts at its end."""
READ_BYTES = 64 * 1024
POLL_S = 0.01


class Unanswered(Exception):
    """A nerve that lives has given no answer, or something that is none."""


class Gone(Exception):
    """There is no nerve to be asked, or none any more."""


def ask(path: Path, request: dict) -> dict:
    """Return the final reply; raises Gone or Unanswered."""
    try:
        connected = reach(path, ANSWER_PATIENCE_S)
    except OSError as error:
        raise Gone(str(error)) from error
    with closing(connected):
        pid = peer_of(connected).pid
        try:
            connected.sendall(json.dumps(request).encode() + b"\n")
            return _final(connected, request)
        except (ConnectionError, EOFError) as error:
            _require_gone(pid, request)
            raise Gone(str(error)) from error


def pid_behind(path: Path) -> int:
    """Return the process that listens; raises Gone."""
    try:
        with closing(reach(path, ANSWER_PATIENCE_S)) as connected:
            return peer_of(connected).pid
    except OSError as error:
        raise Gone(str(error)) from error


def _final(connected: socket.socket, request: dict) -> dict:
    give_up, received = time.monotonic() + ANSWER_PATIENCE_S, b""
    while True:
        while b"\n" in received:
            line, _, received = received.partition(b"\n")
            if (reply := json.loads(line))["type"] != "progress":
                return reply
        connected.settimeout(max(POLL_S, give_up - time.monotonic()))
        try:
            more = connected.recv(READ_BYTES)
        except TimeoutError:
            raise Unanswered(f"no answer in {ANSWER_PATIENCE_S:.0f} s to {request}") from None
        if not more:
            raise EOFError("the connection was closed")
        received += more


def _require_gone(pid: int, request: dict) -> None:
    give_up = time.monotonic() + GONE_PATIENCE_S
    while Path(f"/proc/{pid}/root").exists():  # not of a zombie, which waits to be reaped
        if time.monotonic() > give_up:
            raise Unanswered(f"process {pid} closed the connection without an answer to {request}")
        time.sleep(POLL_S)
