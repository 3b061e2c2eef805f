"""The Python stack of a worker that hangs or dies, without its help.

In the worker `be_readable` prepares it; the parent calls `stack_of`. faulthandler writes
from a signal handler in C, so it needs neither the GIL nor a sound interpreter, and it
writes behind the slate, where no full pipe of the author's is in the way.

The signal is sent to the process, and the kernel gives it to any thread that does not
block it. An author's code may block all signals in its own thread, so one thread that does
nothing is parked in each worker to take it.

The same file takes what faulthandler writes at SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT.
"""

import _thread
import faulthandler
import os
import signal
import time
from pathlib import Path
from typing import Final

from nerve.process.slate import PAGE_BYTES, read_stacks
from nerve.process.tree import send

DUMP_SIGNAL: Final = int(signal.SIGRTMIN) + 7
"""A real-time signal: an author who handles signals handles named ones."""
DUMP_TIMEOUT_S = 0.3
POLL_S = 0.0001
QUIET_POLLS = 40
"""A dump that has not grown for so many looks has come to its end."""
PARKED_STACK_BYTES = 64 * 1024
_LAST_LINES = (" in <module>\n", "  ...\n")
"""How the dump of the main thread ends, which is the last: its outermost frame, or a cut."""


_NO_FRAME = "  <no Python frame>"
"""All that is said of the parked thread."""
_NERVE = f'File "{Path(__file__).parent.parent}/'


def be_readable(path: Path) -> None:
    """Let `stack_of` work for this process, after `park_a_thread`; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    faulthandler.enable(file=descriptor)
    faulthandler.register(DUMP_SIGNAL, file=descriptor, all_threads=True)


def park_a_thread() -> None:
    """Have one thread that does nothing and blocks no signal."""
    parked = _thread.allocate_lock()
    parked.acquire()
    before = _thread.stack_size(PARKED_STACK_BYTES)
    try:
        # Not threading.Thread, whose start() waits until the thread has run.
        _thread.start_new_thread(parked.acquire, ())
    finally:
        _thread.stack_size(before)


def stack_of(pid: int, path: Path, folder: str = "") -> str:
    """Have a living process write its stacks, and return them, files named as in `folder`.

    Blocks for about a millisecond, DUMP_TIMEOUT_S at most. A process that cannot write them
    (its descriptor is closed, or it waits in the kernel) is described as the kernel sees it.
    """
    before = _size(path)
    send(pid, DUMP_SIGNAL)
    _wait_for_the_end(pid, path, before)
    stacks = read_stacks(path) if _size(path) > before else ""
    return readable(stacks, folder) or _as_the_kernel_sees_it(pid)


def readable(stacks: str, folder: str = "") -> str:
    """Leave what tells an author something: not the parked thread, nor who called his code.

    Files within `folder`, that of nerve.yaml, are named as they are called there.
    """
    threads = (_readable(part) for part in stacks.strip().split("\n\n"))
    told = "\n\n".join(thread for thread in threads if thread)
    return told.replace(f'File "{folder}/', 'File "') if folder else told


def _readable(part: str) -> str:
    """One thread of a dump, or its heading; empty for what tells nothing."""
    heading, *frames = part.splitlines() or [""]
    if heading.startswith("Extension modules:") or frames == [_NO_FRAME]:
        return ""
    authors = [at for at, frame in enumerate(frames) if _NERVE not in frame]
    if authors:
        ours = [at for at, frame in enumerate(frames) if _NERVE in frame and at > authors[0]]
        frames = frames[: ours[0]] if ours else frames
    return "\n".join([heading, *frames])


def _wait_for_the_end(pid: int, path: Path, before: int) -> None:
    give_up = time.monotonic() + DUMP_TIMEOUT_S
    size, quiet = before, 0
    while quiet < QUIET_POLLS and time.monotonic() < give_up:
        send(pid, signal.SIGCONT)  # it may have been stopped, and may stop itself again at once
        time.sleep(POLL_S)
        now = _size(path)
        quiet = quiet + 1 if now == size > before else 0
        size = now
        if quiet and read_stacks(path).endswith(_LAST_LINES):
            return


def _as_the_kernel_sees_it(pid: int) -> str:
    state = [line for line in _proc(pid, "status").splitlines() if line.startswith("State:")]
    waits = _proc(pid, "wchan").strip("0\n")
    told = " ".join(state) + (f", in the kernel at {waits}" if waits else "")
    return f"it writes no Python stack; {told}" if told else ""


def _proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return PAGE_BYTES
