"""Watching every system call of some threads, with ptrace(2) and nothing else.

The process that measures. It needs no rights and no program beside Python: a process may
trace those that it has started, unless a sandbox forbids that, and then `Refused` says so. A
traced thread stops before and after each call and goes on when it is told to; a tracer that dies
lets go of all of them.
"""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path

PTRACE_SYSCALL = 24
PTRACE_DETACH = 17
PTRACE_GETEVENTMSG = 0x4201
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208
PTRACE_GET_SYSCALL_INFO = 0x420E
"""Since Linux 5.3."""
OPTIONS = 0x1 | 0x8
"""PTRACE_O_TRACESYSGOOD, so that a stop at a call is told from a signal; PTRACE_O_TRACECLONE,
so that threads that begin meanwhile are seen as well."""
SYSCALL_STOP = 5 | 0x80
"""SIGTRAP, as PTRACE_O_TRACESYSGOOD marks it."""
EVENT_CLONE = 3
EVENT_STOP = 128
WALL = 0x40000000
STOPPING = frozenset({19, 20, 21, 22})
"""SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU."""

_INFO_BYTES = 88
_HEAD = struct.Struct("=B3xIQQ")
_ENTRY = struct.Struct("=Q6Q")
_EXIT = struct.Struct("=qB")
_ENTRY_OP, _EXIT_OP = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Refused(Exception):
    """This machine does not let a process trace its children."""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that has returned.

    Attributes:
        first: its first argument, a descriptor with most of them.
        returned: its result, negative for an error.
    """

    process: int
    thread: int
    number: int
    first: int
    returned: int


class Tracer:
    """Some processes, all of whose threads are traced by this thread."""

    def __init__(self, processes):
        self._process_of = {}
        self._inside = {}
        """By thread: the number and first argument of the call it is in."""
        self._info = ctypes.create_string_buffer(_INFO_BYTES)
        for process in processes:
            for entry in sorted(Path(f"/proc/{process}/task").iterdir()):
                self._seize(process, int(entry.name))

    def _seize(self, process, thread):
        seize(thread, OPTIONS)
        self._process_of[thread] = process
        _ptrace(PTRACE_INTERRUPT, thread, 0, 0)

    def next(self, *, block=True):
        """Let them go on until one call has returned; None if nothing happens, unless `block`."""
        while True:
            thread, status = os.waitpid(-1, WALL | (0 if block else os.WNOHANG))
            if thread == 0:
                return None
            call = self._at_stop(thread, status)
            if call is not None:
                return call

    def _at_stop(self, thread, status):
        if not os.WIFSTOPPED(status):
            self._process_of.pop(thread, None)
            self._inside.pop(thread, None)
            return None
        call = None
        number, event = os.WSTOPSIG(status), status >> 16
        request, passed_on = PTRACE_SYSCALL, 0
        if number == SYSCALL_STOP:
            call = self._at_call(thread)
        elif event == EVENT_CLONE:
            self._expect(self._message(thread), thread)
        elif event == EVENT_STOP and number in STOPPING:
            request = PTRACE_LISTEN
        elif event == 0:
            passed_on = number
        self._let_go(request, thread, passed_on)
        return call

    def _at_call(self, thread):
        _ptrace(PTRACE_GET_SYSCALL_INFO, thread, _INFO_BYTES, ctypes.addressof(self._info))
        op, *_ = _HEAD.unpack_from(self._info)
        if op == _ENTRY_OP:
            number, first, *_ = _ENTRY.unpack_from(self._info, _HEAD.size)
            self._inside[thread] = number, first
        elif op == _EXIT_OP and thread in self._inside:
            returned, _ = _EXIT.unpack_from(self._info, _HEAD.size)
            return Call(self._owner(thread), thread, *self._inside.pop(thread), returned)
        return None

    def _expect(self, begun, thread):
        """A thread has begun another one: nothing is at rest before that has been seen."""
        if Path(f"/proc/{begun}").exists():  # or it has come and gone already
            self._process_of[begun] = self._owner(thread)

    def _owner(self, thread):
        if thread not in self._process_of:  # its first call came before the news of its beginning
            status = Path(f"/proc/{thread}/status").read_text()
            self._process_of[thread] = int(status.partition("Tgid:")[2].split()[0])
        return self._process_of[thread]

    def _message(self, thread):
        message = ctypes.c_ulong()
        _ptrace(PTRACE_GETEVENTMSG, thread, 0, ctypes.addressof(message))
        return message.value

    def _let_go(self, request, thread, number):
        try:
            _ptrace(request, thread, 0, number)
        except ProcessLookupError:  # killed while it stood
            return

    def is_at_rest(self):
        """Whether all threads sleep in a call; ask when `next` had nothing."""
        return all(
            thread in self._inside and _state(process, thread) == "S"
            for thread, process in self._process_of.items()
        )

    def end(self):
        """Let go of all of them."""
        for thread in list(self._process_of):
            _ptrace(PTRACE_INTERRUPT, thread, 0, 0)
        while self._process_of:
            thread, status = os.waitpid(-1, WALL)
            self._process_of.pop(thread, None)
            if os.WIFSTOPPED(status):
                # A signal that stopped it just now is passed on, a stop of ours is not.
                number = os.WSTOPSIG(status)
                is_signal = number != SYSCALL_STOP and status >> 16 == 0
                self._let_go(PTRACE_DETACH, thread, number if is_signal else 0)


def seize(thread, options=0):
    """Begin to trace a thread; raises Refused."""
    try:
        _ptrace(PTRACE_SEIZE, thread, 0, options)
    except OSError as error:
        if error.errno in {errno.EPERM, errno.ENOSYS}:
            raise Refused(f"ptrace is refused here: {error.strerror}") from error
        raise


def _state(process, thread):
    stat = Path(f"/proc/{process}/task/{thread}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


def _ptrace(request, thread, address, value):
    if _libc.ptrace(request, thread, address, value) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
