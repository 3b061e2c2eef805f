"""For Python under valgrind: what that cannot do, while instructions are counted.

Found through PYTHONPATH by each process of the nerve whose instructions are counted.
"""

import os
import resource

_setrlimit = resource.setrlimit


def silent_pipe(pid, flags=0):
    """Some versions do not know pidfd_open(2). Nobody dies meanwhile, which this says as well."""
    reading, _ = os.pipe()
    return reading


def setrlimit(kind, limits):
    """The hard limit of descriptors is valgrind's own, and may not be changed."""
    if kind == resource.RLIMIT_NOFILE:
        limits = (limits[0], resource.getrlimit(kind)[1])
    _setrlimit(kind, limits)


resource.setrlimit = setrlimit
try:
    os.close(os.pidfd_open(os.getpid()))
except OSError:
    os.pidfd_open = silent_pipe
