"""A command that draws on a terminal, and what it shows there."""

import os
import pty
import select
import subprocess
import sys
import termios
from contextlib import contextmanager

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?25h\x1b[?1049l"


class Watched:
    """A command that draws on a terminal."""

    def __init__(self, ours, theirs, process):
        self.ours, self.theirs, self.process, self.seen = ours, theirs, process, ""
        self.mode = termios.tcgetattr(theirs)

    def ends(self, code):
        """It gives the terminal back as it was, and ends with this code."""
        self.until(LEAVE)
        assert self.process.wait(30) == code
        assert termios.tcgetattr(self.theirs) == self.mode

    def until(self, text):
        """Read until it has shown this, since the last time it was waited for."""
        while text not in self.seen:
            ready, _, _ = select.select([self.ours], [], [], 30)
            assert ready, f"{text!r} was not shown: {self.seen[-2_000:]!r}"
            self.seen += os.read(self.ours, 65_536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before


@contextmanager
def watching(project, *arguments, columns=80, lines=24, program=("-m", "nerve")):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (lines, columns))
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=project.folder,
        env={**project.environ, "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        process_group=0,
    )
    try:
        yield Watched(ours, theirs, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
