"""What every process of this machine, or of this container, shares: /dev/shm, and the clock."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from nerve.cli.doctor.finding import Finding, error, note, sound
from nerve.cli.doctor.patient import Patient

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where the kernel has it
_TIME_ERROR = 5
"""What adjtimex(2) returns for a clock that nobody keeps in time."""


def look_at_shared_memory(_patient: Patient) -> Iterator[Finding]:
    """Look whether semaphores can be made, which logging from workers needs."""
    if not SHARED_MEMORY.is_dir() or not os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        yield error(
            f"{SHARED_MEMORY} is missing, or cannot be written in",
            why="no worker can be started without it",
            hint="mount a tmpfs there, with mode 1777",
        )
        return
    there = os.statvfs(SHARED_MEMORY)
    if there.f_blocks and not there.f_bavail:
        yield error(
            f"{SHARED_MEMORY} is full",
            why="no worker can be started then",
            hint="remove what programs that are gone have left there; containers: --shm-size",
        )
        return
    yield sound("can be written in")


def look_at_clock(_patient: Patient) -> Iterator[Finding]:
    """Ask the kernel whether somebody keeps its clock in time."""
    yield from clock_findings(is_synchronised())


def clock_findings(is_kept: bool | None) -> Iterator[Finding]:
    """Say what is known; None for nothing."""
    if is_kept is False:
        yield note(
            "the kernel does not know of anybody who keeps its clock in time",
            why="cron, `align`, the times in the log and what counts as old depend on it",
            hint="start a time service (chrony, systemd-timesyncd), unless the machine's host "
            "keeps it",
        )
    else:
        yield sound("kept in time" if is_kept else "the kernel does not tell who keeps it")


def is_synchronised() -> bool | None:
    """Ask adjtimex(2), which changes nothing when it is asked so; None where it does not tell."""
    asked = ctypes.create_string_buffer(512)  # struct timex is 208 bytes; all zero only asks
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(asked)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
