"""Runs the archive on copies of a state directory, killed at its first step, at its second, ...

`python entry.py STATE COPIES RETENTION`: in each copy a process kills itself at another step, before
or after something durable or in the middle of a file, until one comes to its end. Prints how many were killed.
"""

import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from nerve.store import archive, daywriter
from tests.archive.conftest import Kept

STEPS = [
    *((archive, name) for name in ("_set_meta", "_drop_meta", "publish", "register", "_delete")),
    *((archive, name) for name in ("_give_back", "_checkpoint", "_unregister")),
    *((daywriter, name) for name in ("_write", "_verify")),
    *((os, "fsync"), (Path, "unlink"), (Path, "rename")),
]


def kill_at(step):
    steps = itertools.count(1)

    def come_by():
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(owner, name):
        original = getattr(owner, name)

        def struck(*arguments, **named):
            come_by()
            result = original(*arguments, **named)
            come_by()
            return result

        setattr(owner, name, struck)

    def in_the_middle(*arguments):
        for line in lines(*arguments):
            come_by()
            yield line

    lines, daywriter.selected_lines = daywriter.selected_lines, in_the_middle
    for owner, name in STEPS:
        arm(owner, name)


def main(state, copies, retention):
    for step in itertools.count(1):
        copy = copies / str(step)
        shutil.copytree(state, copy)
        child = os.fork()
        if child == 0:
            kill_at(step)
            Kept(copy).archive(**retention)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            print(step - 1)
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
