"""The few calls of the Linux kernel that the standard library has no name for.

Every process. Sources: prctl(2); constants from linux/prctl.h.
"""

import _signal  # type: ignore[import-not-found]  # what the module signal wraps
import ctypes
import os
import signal
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import cache
from itertools import islice, takewhile
from pathlib import Path
from types import FrameType
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
CLOCK_MONOTONIC = 1
_START_TIME = 19
"""Its place among the fields of /proc/PID/stat (proc(5): the 22nd, and the state is the 3rd)."""
_VSIZE, _ENV_END = 20, 48
"""Likewise: the size of its memory, and where its environment ends in that."""
EXEC_TIMEOUT_S = 0.5
"""For execve(2) to have its environment in place; mostly it takes some 100 us."""
EXEC_LOOK_S = 0.001
PIECE_BYTES = 4096
"""The kernel hands out these files in pieces of a page, none of them with half a number."""
MAX_PIECES = 64
"""Of a list of children: some 40,000 process ids."""

handler_of: Callable[[int], Any] = _signal.getsignal
"""`signal.getsignal` without making an enum of what it finds, which is nearly all that it takes."""
set_handler: Callable[[int, Callable[[int, FrameType | None], None]], Any] = _signal.signal
"""`signal.signal`, likewise; takes functions alone."""

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that none of them escapes to init.

    Raises OSError when the kernel refuses (before Linux 3.4).
    """
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel SIGKILL this process when the thread that forked it ends.

    The parent may have died before the call; then nobody would send the signal,
    so this process ends itself.
    """
    tell_of_parents_death(parent_pid, signal.SIGKILL)


def tell_of_parents_death(parent_pid: int, signal_number: int) -> None:
    """The same with a signal that this process may handle."""
    _prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent_pid:
        os._exit(1)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")


def name_process(name: str) -> None:
    """Have `ps`, `top` and the kernel's log call this process so; they show 15 bytes."""
    _libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def children(pid: int, *, most_tasks: int | None = None) -> list[int]:
    """Process ids of the direct children, zombies included; empty when `pid` is gone.

    Of very many not all; with `most_tasks` only those of so many of its threads.
    """
    with suppress(OSError), os.scandir(f"/proc/{pid}/task") as tasks:
        some = islice(tasks, most_tasks)
        texts = [read_proc(f"{task.path}/children", MAX_PIECES) for task in some]
        return [int(child) for text in texts for child in text.split()]
    return []


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not: it hurts nobody and only waits to be reaped."""
    stat = _stat(pid)
    return bool(stat) and stat[0] not in {b"Z", b"X"}


def parent_of(pid: int) -> int:
    """Process id of its parent; 0 when it is gone, or the parent is outside of this container."""
    stat = _stat(pid)
    return int(stat[1]) if stat else 0


def has_open(pid: int, file: Path) -> bool:
    """Whether a process has a file open, under whichever name; also when that cannot be seen."""
    try:
        wanted = file.stat()
        descriptors = list(os.scandir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    for descriptor in descriptors:
        with suppress(OSError):  # closed meanwhile
            if os.path.samestat(descriptor.stat(), wanted):
                return True
    return False


def is_runnable(pid: int) -> bool:
    """Whether the process computes, or waits for nothing but its turn at the processor."""
    stat = _stat(pid)
    return bool(stat) and stat[0] == b"R"


def is_stopped(pid: int) -> bool:
    """Whether the process was stopped, by SIGSTOP, Ctrl-Z or a debugger, and goes on when told."""
    stat = _stat(pid)
    return bool(stat) and stat[0] in {b"T", b"t"}


def start_ticks(pid: int) -> int:
    """When the process was started, in the kernel's ticks since boot; 0 when it is gone.

    Process ids are given out again; a pid with its start time is one process for ever.
    """
    stat = _stat(pid)
    return int(stat[_START_TIME]) if stat else 0


def started_at(pid: int) -> float:
    """When the process was started, in seconds on the monotonic clock; 0 when it is gone."""
    ticks = start_ticks(pid)
    if not ticks:
        return 0.0
    suspended = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return ticks / os.sysconf("SC_CLK_TCK") - suspended


@cache
def machine_boot() -> str:
    """Id of the machine's current boot, a UUID; process ids and start times begin anew with it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def environment_has(pid: int, variable: str, values: AbstractSet[str]) -> bool:
    """Whether a process was started with `variable` set to one of `values`."""
    try:
        block = _environment(pid)
    except OSError:  # it is gone, or somebody else's
        return False
    marks = {f"{variable}={value}".encode() for value in values}
    return not marks.isdisjoint(block.split(b"\0"))


def _environment(pid: int) -> bytes:
    """Read what a process was started with; of one that is just being started, in a moment."""
    path = Path(f"/proc/{pid}/environ")
    block, is_settled = path.read_bytes(), False
    give_up = time.monotonic() + EXEC_TIMEOUT_S
    while not block and not is_settled and time.monotonic() < give_up:
        is_settled = not _is_in_exec(pid)  # before it is read once more, or that would be too early
        block = path.read_bytes()
        if not is_settled:
            time.sleep(EXEC_LOOK_S)
    return block


def _is_in_exec(pid: int) -> bool:
    """Whether execve(2) has begun with a new memory and has not come to its environment yet.

    The old program's files are closed by then, so whoever has started it may think that it runs.
    """
    stat = _stat(pid)
    return len(stat) > _ENV_END and stat[_VSIZE] != b"0" and stat[_ENV_END] == b"0"


def processes() -> list[int]:
    """All process ids of this machine, or of this container."""
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    stat = read_proc(f"/proc/{pid}/stat")
    # They follow the name, which stands in parentheses and may hold any byte.
    return stat[stat.rfind(b")") + 2 :].split() if stat else []


def read_proc(path: str, pieces: int = 1) -> bytes:
    """Read a file of /proc, PIECE_BYTES at a time; empty when the process is gone."""
    # Not Path.read_bytes, which takes twice as long.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        read = (os.read(descriptor, PIECE_BYTES) for _ in range(pieces))
        return b"".join(takewhile(bool, read))
    except OSError:
        return b""
    finally:
        os.close(descriptor)


class KillTimer:
    """Has the kernel SIGKILL this process when a time is over, unless it is called off.

    A POSIX timer (timer_create(2)): no signal mask, no lock and no busy C code can stop it,
    and no other process is needed. A forked child does not inherit it. Arming and calling off
    cost 2 us each; `faulthandler.dump_traceback_later` starts a thread each time, 48 us.
    """

    def __init__(self) -> None:
        """Make the timer; raises OSError."""
        self._id = ctypes.c_void_p()
        event = _SigEvent(None, signal.SIGKILL, 0)
        if _libc.timer_create(CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._id)) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"timer_create: {os.strerror(error)}")
        self._when = _TimerSpec()
        self._by_reference = ctypes.byref(self._when)

    def arm(self, delay_s: float) -> None:
        """Die in `delay_s` seconds, counted from now."""
        seconds = int(delay_s)
        self._set(seconds, int((delay_s - seconds) * 1e9))

    def call_off(self) -> None:
        """Do not die."""
        self._set(0, 0)

    def _set(self, seconds: int, nanoseconds: int) -> None:
        self._when.seconds, self._when.nanoseconds = seconds, nanoseconds
        _libc.timer_settime(self._id, 0, self._by_reference, None)


class _SigEvent(ctypes.Structure):
    # struct sigevent: 64 bytes on every 64-bit Linux; SIGEV_SIGNAL is 0.
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal_number", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class _TimerSpec(ctypes.Structure):
    # struct itimerspec: the interval, and the time until the first.
    _fields_ = (
        ("every_seconds", ctypes.c_long),
        ("every_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )
