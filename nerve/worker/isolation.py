"""Making a process that was set apart (`nerve.process.apart`) the worker of one group.

Worker. Until then it was nobody's in particular; its environment is without the secrets that it
did not ask for.
"""

import contextlib
import multiprocessing
import os
from pathlib import Path

from nerve.process.cgroup import Cgroup
from nerve.process.kernel import name_process
from nerve.process.remains import BOOT_VARIABLE
from nerve.wire.messages import WorkerSpec


def settle(spec: WorkerSpec) -> None:
    """Become the worker of one group."""
    if spec.cgroup:
        with contextlib.suppress(OSError):  # without it the tree is killed process by process
            Cgroup(Path(spec.cgroup)).enter()
    name = f"nerve: {spec.group}"
    multiprocessing.current_process().name = name
    name_process(name)
    for variable, value in spec.env.items():  # update() runs more code, which has to be copied
        os.environ[variable] = value
    # In all that it starts, too: should something survive the parent and the fork server, the
    # next start knows it by that.
    os.environ[BOOT_VARIABLE] = spec.boot
