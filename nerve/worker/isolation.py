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

from nerve.process.kernel import become_subreaper, die_with_parent


def isolate(environment: Mapping[str, str]) -> None:
    """Set this process apart; `environment` is added to what the fork server had."""
    os.setsid()
    become_subreaper()
    die_with_parent(os.getppid())
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    os.environ.update(environment)
    for stream in (sys.stdout, sys.stderr):
        # A line that is printed and then lost in a buffer at a kill helps nobody.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
