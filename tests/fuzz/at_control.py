"""Frames at the control socket of a whole nerve, whose sense ticks meanwhile.

Frames go out in bunches over one connection after the other. Behind each stands a question that only
one answer fits, so that all before it have had theirs when that comes. Some connections end in the
middle of a frame, and some are never read.
"""

import itertools
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from nerve.errors import MessageInvalid
from nerve.process.listening import reach
from nerve.wire.control import parse_reply, parse_request
from tests.fuzz.corpus import REQUESTS
from tests.fuzz.figures import MAX_SILENCE_S, Figures
from tests.fuzz.mangling import Mangler

BUNCH = 250
BROKEN_OFF_IN = 20
"""One of so many connections is left in the middle of a frame, unread."""
QUESTION = 1_000_000
"""Protocols from here on are nobody's: the refusal of one is the answer to one question."""
LEVERS = {"stop", "restart", "reload", "archive", "follow"}
"""Requests that would end the connection or the run, or do the same heavy thing ten thousand times."""
TICK_MS = 50
PROJECT = f"""\
senses:
  tick: {{}}
reflexes:
  - {{kind: sense, sense: tick, interval: {TICK_MS}ms}}
journal: {{durability: normal}}
"""


def strike(folder: Path, seed: int, frames: int) -> Figures:
    """Send so many frames to a nerve that runs in `folder`."""
    figures, mangler = Figures("control socket"), Mangler(seed)
    with _nerve(folder) as process:
        path = folder / "data" / "nerve.sock"
        began = time.monotonic()
        figures.weigh(process.pid, 0)
        while figures.frames < frames and process.poll() is None:
            bunch = [_harmless(mangler) for _ in range(min(BUNCH, frames - figures.frames))]
            figures.frames += len(bunch)
            if mangler.below(BROKEN_OFF_IN) == 0:
                _break_off(path, bunch)
            else:
                _converse(path, bunch, figures)
            if process.poll() is None:
                figures.weigh(process.pid, figures.frames / frames)
        if process.poll() is not None:
            figures.faults.append(f"nerve ended with {process.returncode}")
            return figures
        figures.conclude(began)
    _judge_ticks(folder, figures)
    return figures


@contextmanager
def _nerve(folder: Path):
    (folder / "senses" / "tick").mkdir(parents=True)
    (folder / "senses" / "tick" / "__init__.py").write_text(
        "def compute(db, peers, ctx):\n    return {}\n"
    )
    (folder / "nerve.yaml").write_text(PROJECT)
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "nerve", "run"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "PYTHONWARNINGS": ""},
        )
    try:
        _await_first_tick(folder, process)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _await_first_tick(folder: Path, process: subprocess.Popen) -> None:
    give_up = time.monotonic() + 60
    while not _ticks(folder):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError((folder / "said.txt").read_text())
        time.sleep(0.02)


def _ticks(folder: Path) -> list[int]:
    path = folder / "data" / "logs.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        try:
            return [at_us for (at_us,) in reader.execute("SELECT at_us FROM signals ORDER BY id")]
        except sqlite3.OperationalError:  # it is just being made
            return []


def _judge_ticks(folder: Path, figures: Figures) -> None:
    """The sense has gone on ticking: no gap that the frames could have made."""
    ticks = _ticks(folder)
    longest_us = max(b - a for a, b in itertools.pairwise(ticks))
    figures.told["ticks"] = len(ticks)
    figures.told["longest gap between ticks, ms"] = longest_us // 1000
    if longest_us / 1e6 > MAX_SILENCE_S:
        figures.faults.append(f"no tick for {longest_us / 1e6:.1f} s")


def _harmless(mangler: Mangler) -> bytes:
    while True:
        frame = mangler.frame(REQUESTS)
        if not any(_is_lever(line) for line in frame.split(b"\n")):
            return frame


def _is_lever(line: bytes) -> bool:
    try:
        return parse_request(line).type in LEVERS
    except MessageInvalid:
        return False


def _break_off(path: Path, bunch: list[bytes]) -> None:
    with closing(reach(path, MAX_SILENCE_S)) as connected:
        connected.setblocking(False)
        with suppress(BlockingIOError):
            connected.send(b"\n".join(bunch)[:-3])


def _converse(path: Path, bunch: list[bytes], figures: Figures) -> None:
    """Send frames and a question, reading all the while, until the question is answered."""
    number = QUESTION + figures.frames
    question = json.dumps({"type": "status", "protocol": number}).encode()
    since = time.monotonic()
    with closing(reach(path, MAX_SILENCE_S)) as connected:
        stream = b"\n".join([*bunch, question, b""])
        sending = threading.Thread(target=_send, args=(connected, stream))
        sending.start()
        try:
            _read_to_the_answer(connected, number, figures)
            figures.waited(since)
        except OSError as error:
            figures.faults.append(f"after {figures.frames} frames: {error!r}")
        finally:
            connected.shutdown(socket.SHUT_RDWR)
            sending.join()


def _send(connected: socket.socket, stream: bytes) -> None:
    with suppress(OSError):  # the reader knows more
        connected.sendall(stream)


def _read_to_the_answer(connected: socket.socket, number: int, figures: Figures) -> None:
    for line in connected.makefile("rb"):
        reply = parse_reply(line)
        kind = getattr(reply, "kind", reply.type)
        if kind == "protocol" and f"protocol {number} " in reply.message:
            return
        figures.count(kind)
    raise ConnectionError("the connection ended before the answer")
