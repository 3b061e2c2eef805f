"""A page that is walked through: its files are written, its commands run, in order, in an empty folder.

Three kinds of blocks count, and all others are read by people alone:

    ```python senses/inbox/__init__.py      a file of that path, with what stands in the block
    ```console                              commands after `$ `, and below each what it says
    ```console first terminal               one command that goes on; the next begins when all that
                                            the block shows has been said. It has to end by itself

What a command says is compared line by line, stdout and stderr as they come. A line `...` stands for
any number of lines, and a page that shows nothing compares nothing. What is another each time is
named before the block, as it stands in it, one after the other:

    <!-- another each time: 14:03:22, 4711 -->

An exit code other than 0 is said before the block, too: `<!-- exit code: 1 -->`.
"""

import codecs
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(
    r"((?:^<!-- .*? -->\n)*)^```(\w+) ?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
REMARK = re.compile(r"<!-- (another each time|exit code): (.*?) -->", re.DOTALL)
ANY_LINES = "..."
STAYS = "first terminal"
NEVER = re.compile(r"\b\B")
LINES, COLUMNS = 40, 100
"""Of the terminal."""
PATIENCE_S = 100
"""For one command, and for what one that goes on has to say."""


@dataclass
class Step:
    """A command, and what it has to say.

    Attributes:
        shown: lines; none where nothing is compared.
        varying: texts in `shown` that are another each time.
        stays: whether it goes on while the next ones run.
    """

    command: str
    shown: list[str] = field(default_factory=list)
    varying: list[str] = field(default_factory=list)
    exit_code: int = 0
    stays: bool = False

    def expected(self):
        """Return a pattern of the whole output."""
        lines = ["(?:.*\n)*?" if line == ANY_LINES else self._pattern(line) for line in self.shown]
        return re.compile("".join(lines))

    def _pattern(self, line):
        pattern = re.escape(line)
        for text in sorted(self.varying, key=len, reverse=True):
            pattern = pattern.replace(re.escape(text), r"[^\n]+?")
        # What lines up columns depends on what varies.
        return re.sub(r"(\\ ){2,}", " +", pattern) + " *\n"


def steps_of(text):
    """Return the files, as (path, content), and the steps of a page, in its order."""
    for remarks, language, rest, body in BLOCK.findall(text):
        if language != "console":
            if rest:
                yield rest, body
            continue
        said = dict(REMARK.findall(remarks))
        varying = [part.strip() for part in said.get("another each time", "").split(",")]
        yield from _commands(
            body,
            varying=[part for part in varying if part],
            exit_code=int(said.get("exit code", 0)),
            stays=rest == STAYS,
        )


def _commands(body, **more):
    steps = []
    for line in body.splitlines():
        if line.startswith("$ "):
            steps.append(Step(line.removeprefix("$ "), **more))
        elif line.startswith("> "):
            steps[-1].command += "\n" + line.removeprefix("> ")
        else:
            steps[-1].shown.append(line)
    return steps


class Walk:
    """A shell in a folder, on a terminal, with the nerve of this checkout first on its path."""

    def __init__(self, folder):
        self.folder = Path(folder)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("NERVE_")}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {**kept, "PATH": path, "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TZ": "UTC"}
        self._stack = ExitStack()
        self._staying = []

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self._stack.close()

    def through(self, text):
        """Take all steps of a page; raises AssertionError at the first that goes otherwise."""
        for step in steps_of(text):
            if isinstance(step, Step):
                self._stay(step) if step.stays else self._run(step)
            else:
                path, content = step
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_text(content)
        while self._staying:
            self._require_end(*self._staying.pop())

    def _run(self, step):
        ours, theirs = os.pipe()
        with os.fdopen(ours) as where:
            # The shell tells where it ended, for `cd`.
            script = f"{step.command}\ncode=$?; pwd >&{theirs}; exit $code"
            process, told = self._start(script, pass_fds=[theirs])
            os.close(theirs)
            self._require_end(step, process, told)
            self.folder = Path(where.readline().strip() or self.folder)
        if step.shown and not step.expected().fullmatch(told.text):
            raise AssertionError(_otherwise(step, told))

    def _stay(self, step):
        process, told = self._start(step.command)
        self._staying.append((step, process, told))
        if not told.has_all(step.expected()):
            raise AssertionError(_otherwise(step, told))

    def _start(self, script, **more):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (LINES, COLUMNS))
        process = subprocess.Popen(
            ["bash", "-c", f"cd {self.folder}\n{script}"],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            **more,
        )
        os.close(theirs)
        self._stack.enter_context(process)
        self._stack.callback(_kill_all, process)
        return process, Told(open(ours, "rb", buffering=0))

    @staticmethod
    def _require_end(step, process, told):
        code = process.wait(PATIENCE_S)
        told.has_all(NEVER)
        assert code == step.exit_code, f"{_otherwise(step, told)}\nits exit code was {code}"


class Told:
    """What a process says on its terminal."""

    def __init__(self, terminal):
        self.text = ""
        self._news = threading.Condition()
        self._is_over = False
        threading.Thread(target=self._read, args=(terminal,), daemon=True).start()

    def has_all(self, expected):
        """Wait until all that is expected has been said, or never will be; tell which."""
        with self._news:
            self._news.wait_for(
                lambda: self._is_over or expected.search(self.text), timeout=PATIENCE_S
            )
            return expected.search(self.text) is not None

    def _read(self, terminal):
        with terminal, suppress(OSError):  # EIO once nobody has the other side
            decoder = codecs.getincrementaldecoder("utf-8")()
            while part := terminal.read(65_536):
                self._add(decoder.decode(part).replace("\r\n", "\n"))
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def _add(self, text):
        with self._news:
            self.text += text
            self._news.notify_all()


def _kill_all(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _otherwise(step, told):
    return f"$ {step.command}\n{told.text}and the page shows:\n" + "\n".join(step.shown)
