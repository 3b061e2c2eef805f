"""Setting a freshly forked worker apart from its parent and its siblings.

Worker. `set_apart` before anything else of ours runs: afterwards the process leads its own
session, adopts what its children leave behind, dies with the fork server, and leaves SIGINT
and SIGTERM to the parent's judgement. `settle` when it is known whose worker it is: it
has an environment without the secrets it did not ask for.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

from nerve.process.cgroup import Cgroup
from nerve.process.kernel import become_subreaper, die_with_parent, name_process
from nerve.process.remains import BOOT_VARIABLE
from nerve.process.sentry import SENTRY_GONE
from nerve.wire.messages import WorkerSpec


def set_apart() -> None:
    """Set this process apart from its relatives."""
    os.setsid()
    become_subreaper()
    die_with_parent(os.getppid())
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    signal.signal(SENTRY_GONE, signal.SIG_DFL)  # the fork server's
    sys.stdout, sys.stderr = _lines_to(1), _lines_to(2)


def settle(spec: WorkerSpec) -> None:
    """Become the worker of one group."""
    if spec.cgroup:
        with contextlib.suppress(OSError):  # without it the tree is killed process by process
            Cgroup(Path(spec.cgroup)).enter()
    name = f"nerve: {spec.group}"
    multiprocessing.current_process().name = name
    name_process(name)
    os.environ.update(spec.env)
    # In all that it starts, too: should something survive the parent and the fork server, the
    # next start knows it by that.
    os.environ[BOOT_VARIABLE] = spec.boot


def _lines_to(descriptor: int) -> TextIO:
    # New ones: those inherited believe that they still write to the fork server's files. By
    # lines, because what is printed and then lost in a buffer at a kill helps nobody.
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
