"""What the kernel refuses a worker: memory, open files; and its place behind others.

Worker. `apply` sets the limits once, before anything of the author's runs. There are two heights
of them: within `Lowered`, which surrounds the author's code, the kernel gives what
nerve.yaml allows; outside, a reserve more, so that nerve can still roll back, write a traceback
and send it when a sense has used everything up. A limit that is hit is an exception in the
compute, not the end of the worker; `name_limit` says which one it was.

Child processes inherit the lower height, each for itself. That is not enough, and no
limit of the kernel is: RLIMIT_DATA is counted for each process alone and does not see
shared memory; RLIMIT_NPROC is counted for the user and not for a tree of processes, and does not
hold for root at all, so it is not used. `nerve.supervisor.watch` looks from the parent at
both, the memory and the number of all processes together.
"""

import errno
import mmap
import os
import resource
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path

from nerve.config.models import GroupConfig
from nerve.config.sizes import BYTES_PER_UNIT, show_size
from nerve.store.faults import primary_code
from nerve.wire.messages import MEMORY_FAULT, Fault

RESERVE_BYTES = 16 * BYTES_PER_UNIT["MB"]
"""Of memory, for nerve: a payload of a megabyte takes four on its way through JSON and SQLite."""
RESERVE_FILES = 16
"""For nerve: the sources that a traceback quotes, files that SQLite opens for a rollback."""
DATABASE_FILES = 3
"""Of an open database: itself, its WAL, and the index of that."""
MAX_LINKS = 50
"""Exceptions looked at in one chain or group, for the one that tells of a limit."""
_IN_USE = 5
"""Which number of /proc/self/statm counts what RLIMIT_DATA does, in pages (proc(5): `data`)."""


def apply(limits: GroupConfig) -> None:
    """Limit this process and all it will start; a limit that is lower already stays.

    There are no core dumps: one of each crash would fill the disk.
    """
    for kind, _, whole in _heights(limits):
        resource.setrlimit(kind, (whole, whole))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(limits.nice)


class Lowered:
    """A context that leaves to its body what the author may have, without nerve's reserve.

    Made after `apply`, entered for each compute: in and out takes 3 us.
    """

    def __init__(self, limits: GroupConfig) -> None:
        heights = _heights(limits)
        self._lower = [(kind, (allowed, whole)) for kind, allowed, whole in heights]
        self._raise = [(kind, (whole, whole)) for kind, _, whole in heights]

    def __enter__(self) -> None:
        for kind, limit in self._lower:
            _set(kind, limit)

    def __exit__(self, *_raised: object) -> None:
        for kind, limit in self._raise:
            _set(kind, limit)


def name_limit(fault: Fault, error: BaseException, group: str, limits: GroupConfig) -> Fault:
    """Return a fault, as one of kind `memory` or `open_files` where that was the reason.

    Of a compute, or of the start of a sense.

    Lets go of what the exception's frames hold: what is in use after that stays in use.
    """
    links = list(_links(error))
    if any(isinstance(link, MemoryError) or _number(link) == errno.ENOMEM for link in links):
        for link in links:
            traceback.clear_frames(link.__traceback__)
        return _memory_fault(fault, group, limits)
    if any(_lacks_files(link, limits) for link in links):
        return _files_fault(fault, group, limits)
    return fault


def _heights(limits: GroupConfig) -> tuple[tuple[int, int, int], ...]:
    """Each limit: which, what the author may have, and that with nerve's reserve."""
    return (
        _height(resource.RLIMIT_DATA, limits.memory_bytes, RESERVE_BYTES),
        _height(resource.RLIMIT_NOFILE, limits.open_files, RESERVE_FILES),
    )


def _height(kind: int, allowed: int, reserve: int) -> tuple[int, int, int]:
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        return kind, allowed, allowed + reserve
    whole = min(allowed + reserve, hard)
    return kind, min(allowed, whole - reserve), whole


def _set(kind: int, limit: tuple[int, int]) -> None:
    try:
        resource.setrlimit(kind, limit)
    except (ValueError, OSError):  # the author has lowered the hard one, which nobody can take back
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (min(limit[0], hard), hard))


def _links(error: BaseException) -> Iterator[BaseException]:
    """The exception, what led to it, and what it is a group of."""
    waiting: list[BaseException | None] = [error]
    for _ in range(MAX_LINKS):
        link = waiting.pop() if waiting else None
        if link is None:
            continue
        yield link
        waiting += [link.__cause__, None if link.__suppress_context__ else link.__context__]
        waiting += link.exceptions if isinstance(link, BaseExceptionGroup) else ()


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _memory_fault(fault: Fault, group: str, limits: GroupConfig) -> Fault:
    limit, held = show_size(limits.memory_bytes), show_size(_in_use_bytes())
    told = f"{fault.message}; the worker may use {limit}, and {held} are still in use afterwards"
    hint = f"let it keep less in memory, or raise groups.{group}.memory"
    return fault.model_copy(update={"kind": MEMORY_FAULT, "message": told, "hint": hint})


def _lacks_files(error: BaseException, limits: GroupConfig) -> bool:
    # SQLite does not say why it cannot open a file, and has closed the others of the database.
    if isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_CANTOPEN:
        in_use = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return in_use + DATABASE_FILES > _allowed_files(limits)
    return _number(error) == errno.EMFILE


def _allowed_files(limits: GroupConfig) -> int:
    _, allowed, _ = _height(resource.RLIMIT_NOFILE, limits.open_files, RESERVE_FILES)
    return allowed


def _files_fault(fault: Fault, group: str, limits: GroupConfig) -> Fault:
    allowed = _allowed_files(limits)
    told = f"{fault.message}; the worker may have {allowed:,} open"
    hint = (
        f"close what it opens ({DATABASE_FILES} belong to each sense), "
        f"or raise groups.{group}.open_files"
    )
    return fault.model_copy(update={"kind": "open_files", "message": told, "hint": hint})


def _in_use_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[_IN_USE]) * mmap.PAGESIZE
