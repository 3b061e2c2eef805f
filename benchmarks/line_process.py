"""A process that is asked a line of JSON on its stdin, and answers with one on its stdout."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from nerve.clock import MS_PER_S
from nerve.process.tree import descendants, kill_tree, send

ANSWER_S = 120.0
"""The longest that an answer takes: the start of many workers and databases on a slow disk."""
END_S = 10.0
"""From the end of its stdin; then it is killed with all below it."""
TOLD_BYTES = 4096
"""Of what it wrote on stderr, this much of the end is looked at for its last words."""


class Died(Exception):
    """It has ended, or gives no answer."""


class LineProcess:
    """A process that lives until `close`; in a session of its own, so that Ctrl-C is not for it.

    Attributes:
        name: what figures call it.
        pid: its process id.
    """

    def __init__(self, name: str, module: str, arguments: Sequence[str], errors: Path) -> None:
        """Start `python -m module arguments`; what it writes on stderr goes to a file."""
        self.name = name
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._stopped: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have something done; raises Died when there is no answer."""
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Died(self._last_words()) from None
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(ANSWER_S * MS_PER_S):
            raise Died(f"no answer within {ANSWER_S:.0f} s")
        if not (line := self._process.stdout.readline()):
            raise Died(self._last_words())
        return json.loads(line)

    def stop(self) -> None:
        """Have it and all below it stand still, as a guest who polls would disturb the others."""
        send(self.pid, signal.SIGSTOP)
        self._stopped = [self.pid, *descendants(self.pid, stop=True)]

    def go_on(self) -> None:
        """Undo `stop`."""
        for pid in self._stopped:
            send(pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, and with it all below it."""
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            kill_tree(self.pid)
            self._process.wait()

    def _last_words(self) -> str:
        with self._errors.open("rb") as errors:
            errors.seek(max(0, self._errors.stat().st_size - TOLD_BYTES))
            lines = errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it has ended")
