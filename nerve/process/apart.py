"""Setting a process that the fork server has forked apart from its parent and its siblings.

Whatever the parent launches. `set_apart` before anything else of ours runs: afterwards the
process leads its own session, adopts what its children leave behind, dies with the fork server,
and leaves SIGINT and SIGTERM to the parent's judgement.
"""

import os
import signal
import sys
from typing import TextIO

from nerve.process.kernel import become_subreaper, die_with_parent
from nerve.process.sentry import SENTRY_GONE


def set_apart() -> None:
    """Set this process apart from its relatives."""
    os.setsid()
    become_subreaper()
    die_with_parent(os.getppid())
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    signal.signal(SENTRY_GONE, signal.SIG_DFL)  # the fork server's
    sys.stdout, sys.stderr = _lines_to(1), _lines_to(2)


def _lines_to(descriptor: int) -> TextIO:
    # New ones: those inherited believe that they still write to the fork server's files. By
    # lines, because what is printed and then lost in a buffer at a kill helps nobody.
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
