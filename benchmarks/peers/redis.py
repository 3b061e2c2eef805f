"""A Redis server for peers that need one: ours where there is a binary, else one that answers.

Ours keeps nothing on disk, listens on the loopback alone, and ends with the peer. In a server
that was there before, all keys of a run begin with one prefix and are deleted.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

BINARY = "redis-server"
URL_VARIABLE = "REDIS_URL"
DEFAULT_URL = "redis://127.0.0.1:6379/0"
DEFAULT_PORT = 6379
CONNECT_S = 1.0
START_S = 10.0
POLL_S = 0.02
PONG = b"+PONG"


def lacking() -> str:
    """Why there is no Redis here; empty if there is."""
    if shutil.which(BINARY) or answers(_given_url()):
        return ""
    return f"no Redis server answers at {_given_url()} ({URL_VARIABLE}), and there is no {BINARY}"


def answers(url: str) -> bool:
    """Whether a server that wants no password answers there."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or DEFAULT_PORT)
    try:
        with socket.create_connection(address, CONNECT_S) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(len(PONG)) == PONG
    except OSError:
        return False


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URL of a server; ours is started for it and ended after it."""
    binary = shutil.which(BINARY)
    if binary is None:
        yield _given_url()
        return
    port = _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        [binary, *options, "--dir", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"redis://127.0.0.1:{port}/0"
        give_up = time.monotonic() + START_S
        while not answers(url):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{BINARY} does not answer")
            time.sleep(POLL_S)
        yield url
    finally:
        process.kill()  # it keeps nothing
        process.wait()


def forget(url: str, prefix: str) -> None:
    """Delete all keys with a prefix."""
    import redis  # an extra of the peers that use it

    client = redis.Redis.from_url(url)
    for key in client.scan_iter(f"{prefix}*"):
        client.delete(key)


def _given_url() -> str:
    return os.environ.get(URL_VARIABLE, DEFAULT_URL)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
