"""The sense of `schedule`, all ten thousand of it: notes when it began, and mostly that is all.

Worker; and for the floor and APScheduler whatever process runs the same function there. A note is
the number of the sense and the time on the monotonic clock, put into a mapped file of the process:
0.5 us, and neither a kill nor a buffer can take it.

It has no rows and returns None. With NERVE_BENCH_TELL_EVERY it returns a small signal each so many
computes of its process.
"""

import itertools
import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTES = "NERVE_BENCH_NOTES"
"""The directory of the files, one for each process."""
TELL_EVERY = "NERVE_BENCH_TELL_EVERY"
MAX_NOTES = 2_000_000
"""Of one process. A file is a hole until it is written to."""

_NOTE = struct.Struct("<qd")
_counted = itertools.count()
_every = int(os.environ.get(TELL_EVERY, "0"))
_file: mmap.mmap | None = None


def compute(_db: Any, _peers: Any, ctx: Any) -> dict[str, int] | None:
    """Be the sense; its name ends in its number."""
    count = note(int(ctx.name[1:]))
    return {"count": count} if _every and count % _every == 0 else None


def note(number: int) -> int:
    """Note that a sense begins; returns how many did before in this process."""
    at, count = time.monotonic(), next(_counted)
    # The number from 1 on, since the file holds zeros where nothing was noted.
    _NOTE.pack_into(_file or _open(), count * _NOTE.size, number + 1, at)
    return count


def notes_in(folder: Path) -> Iterator[tuple[int, float]]:
    """Yield what all processes have noted: the number of the sense and the time."""
    for file in folder.iterdir():
        for number, at in _NOTE.iter_unpack(file.read_bytes()):
            if not number:
                break
            yield number - 1, at


def _open() -> mmap.mmap:
    global _file  # noqa: PLW0603  of the process, like what it counts
    descriptor = os.open(Path(os.environ[NOTES]) / str(os.getpid()), os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, MAX_NOTES * _NOTE.size)
    _file = mmap.mmap(descriptor, 0)
    os.close(descriptor)
    return _file
