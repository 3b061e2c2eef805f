"""Setting a freshly forked worker apart from its parent and its siblings.

Worker, before anything else of ours runs. Afterwards: the process leads its own
session, adopts what its children leave behind, dies with the fork server,
leaves SIGINT and SIGTERM to the parent's judgement, and has an environment
without the secrets it did not ask for.
"""

import os
import signal
import sys
from collections.abc import Mapping
from typing import TextIO

from nerve.process.kernel import become_subreaper, die_with_parent


def isolate(environment: Mapping[str, str]) -> None:
    """Set this process apart; `environment` is added to what the fork server had."""
    os.setsid()
    become_subreaper()
    die_with_parent(os.getppid())
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    os.environ.update(environment)
    sys.stdout, sys.stderr = _lines_to(1), _lines_to(2)


def _lines_to(descriptor: int) -> TextIO:
    # New ones: those inherited believe that they still write to the fork server's files. By
    # lines, because what is printed and then lost in a buffer at a kill helps nobody.
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
