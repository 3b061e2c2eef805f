"""The slate: what a worker is doing, readable whatever killed it.

A small mapped file for each worker generation. The worker chalks up each change (one
copy into the mapping, no system call, no commit); the parent, and the next parent after a
crash, read it. The pages belong to the kernel, so what was written survives the death
of the process at any instruction; only a power loss takes it, and then nothing
runs that one would have to know of.

    0     magic, process id, start time, machine's boot, generation, boot of nerve; written once
    127   which of the two lines holds                       one byte, so never half written
    128   line 0: phase, trigger, since, sense
    256   line 1: the same
    4096  stack dumps (`nerve.process.stack`), appended

A line is written whole beside the one that holds, and then the byte is turned. A sense can
scribble over all of it, being in the same process: what cannot be read is None, and
whoever asks falls back on what he knows himself.
"""

import mmap
import os
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from nerve.process.kernel import is_alive, machine_boot, start_ticks

FILE_MODE = 0o600
PAGE_BYTES = 4096
"""Everything but the stack dumps, which begin here."""
MAX_STACK_BYTES = 64 * 1024
"""The end of the stack dumps that is read."""

_MAGIC = b"nerve-slate-1\n"
_HEADER = struct.Struct(f"<{len(_MAGIC)}sQQ36sQ24s")
_LINE = struct.Struct("<BQQB64s")
_TURN = 127
_LINES = (128, 256)
_NS_PER_S = 1_000_000_000


class Phase(IntEnum):
    """What a worker does."""

    STARTING = 0
    LOADING = 1
    MIGRATING = 2
    IDLE = 3
    COMPUTING = 4


@dataclass(frozen=True, slots=True)
class Line:
    """What it did last.

    Attributes:
        sense: while IDLE the one that ran last; empty before the first.
        trigger_id: of the compute; 0 outside.
        since: when this began, in seconds on the monotonic clock of this machine's boot.
    """

    phase: Phase
    sense: str
    trigger_id: int
    since: float


@dataclass(frozen=True, slots=True)
class Owner:
    """Which process writes here.

    Attributes:
        ticks: its start time as the kernel counts it, since `machine_boot`; with the pid it
            names one process.
        boot: the run of nerve that started it.
    """

    pid: int
    ticks: int
    machine_boot: str
    generation: int
    boot: str

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs, and not another one with its number."""
        same = self.machine_boot == machine_boot() and self.ticks == start_ticks(self.pid)
        return same and is_alive(self.pid)


class Slate:
    """The worker's side."""

    def __init__(self, path: Path, *, generation: int, boot: str) -> None:
        """Open the file that the parent has made; raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(descriptor, PAGE_BYTES)
        finally:
            os.close(descriptor)
        pid = os.getpid()
        ids = (pid, start_ticks(pid), machine_boot().encode(), generation, boot.encode()[:24])
        _HEADER.pack_into(self._map, 0, _MAGIC, *ids)
        self._turn = self._map[_TURN] & 1

    def write(self, phase: Phase, sense: str = "", trigger_id: int = 0) -> None:
        """Say what is being done from now on."""
        name = sense.encode()
        self._turn ^= 1
        since = time.monotonic_ns()
        at = _LINES[self._turn]
        _LINE.pack_into(self._map, at, phase, trigger_id, since, len(name), name)
        self._map[_TURN] = self._turn


def create(path: Path) -> None:
    """Make an empty slate for the next worker, a new file; raises OSError.

    New, and not the old one wiped: a process that should have been dead may still hold that.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        # Not a hole: writing into a mapped hole on a full disk is a SIGBUS. (And not
        # posix_fallocate, which takes 0.3 ms; a write reserves the space as well.)
        os.write(descriptor, bytes(PAGE_BYTES))
    finally:
        os.close(descriptor)


def read_line(path: Path) -> Line | None:
    """What the worker did last; None where that cannot be read."""
    page = _page(path)
    if page is None:
        return None
    at = _LINES[page[_TURN] & 1]
    try:
        phase, trigger_id, since_ns, size, name = _LINE.unpack_from(page, at)
        return Line(Phase(phase), name[:size].decode(), trigger_id, since_ns / _NS_PER_S)
    except ValueError:
        return None


def read_owner(path: Path) -> Owner | None:
    """Which process wrote there; None where that cannot be read."""
    page = _page(path)
    if page is None:
        return None
    _, pid, ticks, machine, generation, boot = _HEADER.unpack_from(page)
    return Owner(pid, ticks, _text(machine), generation, _text(boot))


def read_stacks(path: Path) -> str:
    """The end of what was dumped behind the page; empty when nothing was."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(PAGE_BYTES, size - MAX_STACK_BYTES))
            return file.read(MAX_STACK_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")


def _page(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            page = file.read(PAGE_BYTES)
    except OSError:
        return None
    return page if len(page) == PAGE_BYTES and page.startswith(_MAGIC) else None
