"""Frames at a worker's end of its channel: a real worker, and the parent's non-blocking end.

Behind each bunch goes a compute whose number nobody else has; what comes before its answer was
said about the bunch. Now and then a worker is sent what is no frame at all: then it ends, as it
should, and the next takes its place.
"""

import select
import socket
import time
from pathlib import Path

from nerve.config import load_config
from nerve.errors import MessageInvalid
from nerve.process.launch import shut_down
from nerve.supervisor.shortlived import ShortLived, short_spec
from nerve.wire.channel import READ_BYTES
from nerve.wire.framing import FrameDecoder, encode
from nerve.wire.messages import BootFailedMessage, StopMessage, parse_down, parse_up
from tests.fuzz.corpus import DOWN
from tests.fuzz.figures import MAX_SILENCE_S, Figures
from tests.fuzz.mangling import Mangler

BUNCH = 250
NOISE_AFTER = 500_000
"""Frames that one worker is sent before the noise that ends it."""
NOISE_BYTES = 5_000
QUESTION = 2**40
"""Numbers of triggers from here on are this program's own."""
PATIENCE_S = 60.0


def strike(folder: Path, seed: int, frames: int) -> Figures:
    """Send so many frames to workers one after the other; memory is that of the first."""
    (folder / "senses" / "disk").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "senses" / "disk" / "__init__.py").write_text(
        "def compute(db, peers, ctx):\n    return None\n"
    )
    (folder / "nerve.yaml").write_text("senses:\n  disk: {}\n")
    loaded = load_config(folder / "nerve.yaml", environ={})
    figures, mangler = Figures("worker's end of the channel"), Mangler(seed)
    began = time.monotonic()
    try:
        while figures.frames < frames:
            spec = short_spec(loaded, loaded.config.senses, folder / "data")
            with ShortLived(spec, loaded) as worker:
                worker.receive(PATIENCE_S)
                _occupy(worker, mangler, frames, figures)
    finally:
        shut_down()
    return figures.conclude(began)


def _occupy(worker: ShortLived, mangler: Mangler, frames: int, figures: Figures) -> None:
    """Send bunches until this worker has had enough of them, and then noise."""
    pid, sock = worker._launched.pid, worker._launched.channel
    decoder, is_first = FrameDecoder(), not figures.frames
    most = min(NOISE_AFTER, frames - figures.frames)
    sent = 0
    while True:
        if is_first:
            figures.weigh(pid, sent / most)
        if sent == most:
            break
        bunch = [_not_stop(mangler) for _ in range(min(BUNCH, most - sent))]
        sent, figures.frames = sent + len(bunch), figures.frames + len(bunch)
        if not _converse(sock, decoder, bunch, figures):
            return
    sock.settimeout(MAX_SILENCE_S)
    try:
        sock.sendall(b"\xff" + mangler._chance.randbytes(NOISE_BYTES))
        while sock.recv(READ_BYTES):
            pass
    except TimeoutError:
        figures.faults.append("a worker went on after what is no frame")
    except OSError:
        pass
    figures.count("ends after noise")


def _not_stop(mangler: Mangler) -> bytes:
    while True:
        frame = mangler.frame(DOWN)
        try:
            if not isinstance(parse_down(frame), StopMessage):
                return frame
        except MessageInvalid:
            return frame


def _converse(
    sock: socket.socket, decoder: FrameDecoder, bunch: list[bytes], figures: Figures
) -> bool:
    """Send a bunch and a question, reading all the while; False when the worker has ended."""
    number = QUESTION + figures.frames
    question = b'{"type":"compute","sense":"disk","kind":"manual","trigger_id":%d}' % number
    unsent = memoryview(b"".join(encode(frame) for frame in [*bunch, question]))
    since = time.monotonic()
    sock.setblocking(False)
    waiting = select.poll()
    while True:
        waiting.register(sock, select.POLLIN | (select.POLLOUT if unsent else 0))
        if not waiting.poll(MAX_SILENCE_S * 1000):
            figures.faults.append(f"a worker was silent, after {figures.frames} frames")
            return False
        try:
            if unsent:
                unsent = unsent[sock.send(unsent) :]
        except BlockingIOError:
            pass
        try:
            received = sock.recv(READ_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            received = b""
            figures.faults.append(f"{error!r}, after {figures.frames} frames")
        if not received:
            figures.faults.append(f"a worker ended, after {figures.frames} frames")
            return False
        for frame in decoder.feed(received):
            said = parse_up(frame)
            if getattr(said, "trigger_id", None) == number:
                figures.waited(since)
                return True
            figures.count(said.type)
            if isinstance(said, BootFailedMessage):
                figures.faults.append(f"it gave up: {said.fault.message} {said.fault.traceback}")
