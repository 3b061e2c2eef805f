"""A second user, where the tests run as root; signals as a terminal leaves them; short paths.

And how properties are tested: each run has the same examples, so that what has passed on one machine
passes on the next. Others are looked for by `pytest --hypothesis-profile=searching`, every time anew.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example has a deadline: a machine that stands still for 0.2 s has not failed a test.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("searching", settings.get_profile("steady"), derandomize=False)
settings.load_profile("steady")

BECOME = """\
import os, socket, sys, traceback
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
"""

# A shell without job control ignores SIGINT for what it starts in the background, and all that
# descends from it would ignore it too: the tests that press Ctrl-C would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)


class OtherUser:
    """The user nobody."""

    uid = 65_534

    def __init__(self, folder):
        self.folder = folder

    def run(self, code, *arguments, imports=""):
        """Have Python do something as that user; return what it printed."""
        # It starts, and imports, as root: that user need not be able to read all that.
        whole = "\n".join([imports, BECOME.format(uid=self.uid), textwrap.dedent(code)])
        done = subprocess.run(
            [sys.executable, "-c", whole, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def short_path(tmp_path):
    """`tmp_path` in a few characters, as long as this process lives: an address holds 107 bytes."""
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    os.close(descriptor)


@pytest.fixture
def other_user():
    """Another user, and a folder of ours that all may write in."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(tempfile.mkdtemp(prefix="nerve-open-"))
    folder.chmod(0o777)
    yield OtherUser(folder)
    shutil.rmtree(folder)
