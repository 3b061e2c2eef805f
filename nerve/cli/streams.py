"""The three standard streams, whatever nerve was started from.

Every command, before anything else. Some supervisors and scripts close descriptors
(`nerve logs >&-`). Python then has no such stream, and the next file that is opened takes
its number: what is said on stderr would go into a database. So a closed one leads
to /dev/null.
"""

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""By their descriptors, 0 to 2."""


def ensure_streams() -> None:
    """Open each of descriptors 0 to 2 that is closed, and give Python its stream."""
    for descriptor, (name, mode) in enumerate(_STREAMS):
        if not _is_open(descriptor):
            # The lowest free number is taken, and those below are open by now.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # noqa: FBT003  the function takes no keyword
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  it is open to the end


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
