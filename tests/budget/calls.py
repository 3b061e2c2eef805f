"""The names of system calls, and which of them say something.

Numbers differ from architecture to architecture, so this is for one, and elsewhere nothing is
counted. Calls among which the C library or SQLite choose by their versions bear one name.
"""

MACHINE = "x86_64"

_NUMBERS = {
    0: "read", 1: "write", 3: "close", 8: "lseek", 9: "mmap", 10: "mprotect", 11: "munmap",
    12: "brk", 13: "rt_sigaction", 14: "rt_sigprocmask", 16: "ioctl", 17: "pread64",
    18: "pwrite64", 19: "readv", 20: "writev", 21: "access", 24: "sched_yield", 25: "mremap",
    28: "madvise", 32: "dup", 35: "nanosleep", 36: "getitimer", 38: "setitimer", 39: "getpid",
    44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 56: "clone", 57: "fork",
    61: "wait4", 62: "kill", 72: "fcntl", 73: "flock", 76: "truncate", 77: "ftruncate",
    79: "getcwd", 80: "chdir", 82: "rename", 83: "mkdir", 87: "unlink", 89: "readlink",
    90: "chmod", 95: "umask", 96: "gettimeofday", 98: "getrusage", 102: "getuid",
    107: "geteuid", 110: "getppid", 140: "getpriority", 141: "setpriority", 157: "prctl",
    186: "gettid", 200: "tkill", 201: "time", 202: "futex", 203: "sched_setaffinity",
    217: "getdents64", 219: "restart_syscall", 222: "timer_create", 223: "timer_settime",
    224: "timer_gettime", 226: "timer_delete", 228: "clock_gettime", 229: "clock_getres",
    230: "clock_nanosleep", 231: "exit_group", 233: "epoll_ctl", 234: "tgkill", 247: "waitid",
    267: "readlinkat", 285: "fallocate", 286: "timerfd_settime", 290: "eventfd2", 293: "pipe2",
    295: "preadv", 296: "pwritev", 318: "getrandom", 334: "rseq", 424: "pidfd_send_signal",
    434: "pidfd_open", 435: "clone3", 436: "close_range",
    # by one name, whichever is chosen
    7: "poll", 271: "poll",
    23: "select", 270: "select",
    97: "prlimit64", 160: "prlimit64", 302: "prlimit64",
    2: "open", 257: "open", 437: "open",
    4: "stat", 5: "stat", 6: "stat", 262: "stat", 332: "stat",
    74: "sync", 75: "sync",
    232: "epoll_wait", 281: "epoll_wait", 441: "epoll_wait",
}  # fmt: skip

_ANYWHERE = {
    "futex": "threads that meet: how often one has to wait depends on who comes first",
    "sched_yield": "likewise",
    "restart_syscall": "a wait that was under way when the counting began",
    "clock_gettime": "the kernel is asked for the time by programs where the clock is a slow one",
    "gettimeofday": "likewise",
    "time": "likewise",
    "brk": "memory: how much the allocator has left depends on all that ran before",
    "mmap": "likewise",
    "mprotect": "likewise",
    "mremap": "likewise",
    "munmap": "likewise",
    "madvise": "likewise",
}
UNSTEADY = {
    "parent": _ANYWHERE
    | {
        "poll": "threads that wait for log records look up by the clock",
        "getpid": "the event loop of Python 3.11 asks for it at each turn, and none later does",
    },
    "worker": _ANYWHERE
    | {
        "recvfrom": "one read takes whatever is there: an acknowledgement and the next trigger "
        "together, or one after the other; the frames are counted",
    },
}
"""What is not compared, and why."""

WRITES = frozenset({"write", "pwrite64", "writev", "pwritev"})


def name_of(number: int) -> str:
    """The name of a call on MACHINE."""
    return _NUMBERS.get(number, f"number {number}")
