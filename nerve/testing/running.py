"""A nerve in a process of its own, and everything it says.

Tests. What `nerve run --json` records is read line by line, in a thread that never waits for the
test; a test waits for what it expects, and goes on as soon as that has come.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PATIENCE_S: Final = 30.0
"""How long is waited for anything: forever, for a test; and a bound, for a machine under load."""
SHOWN_ENTRIES: Final = 8
"""Of what was said last, in the message of a wait that was in vain."""
MAX_ERROR_LINES: Final = 1_000

Entry = dict[str, Any]


def sweep(state: Path) -> None:
    """Remove what a killed nerve has left outside its state directory; its next start would."""
    for link in state.glob("fork/nerve-fork-*"):
        shutil.rmtree(link.resolve(), ignore_errors=True)


class Running:
    """A nerve that was started.

    Attributes:
        process: its process.
        said: every entry so far: a signal with `sense`, `payload`, `cause`, a log row with
            `source`, `type`, `level`, `ref`, `payload`; both with `id` and `at`.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Listen to a process whose stdout and stderr are pipes of text."""
        self.process = process
        self.said: list[Entry] = []
        self._errors: deque[str] = deque(maxlen=MAX_ERROR_LINES)
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=reader, daemon=True) for reader in (self._read, self._read_err)
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(
        self,
        condition: Callable[[Entry], bool],
        what: str = "what was waited for",
        count: int = 1,
    ) -> list[Entry]:
        """Wait until `count` entries satisfy the condition; return them.

        Raises AssertionError when nerve ends first, or PATIENCE_S pass.
        """
        give_up = time.monotonic() + PATIENCE_S
        with self._news:
            while len(found := [e for e in self.said if condition(e)]) < count:
                ended = not self._readers[0].is_alive()
                if ended or not self._news.wait(give_up - time.monotonic()):
                    why = "nerve has ended" if ended else f"{PATIENCE_S:g} s have passed"
                    last = self.said[-SHOWN_ENTRIES:]
                    raise AssertionError(
                        f"{what} did not come, and {why}. The last entries: {last}."
                        f" On stderr: {self.errors()}"
                    )
            return found

    def signals(self, sense: str, count: int = 1) -> list[Entry]:
        """Wait for `count` signals of a sense; return all there are."""
        return self.wait_for(lambda e: e.get("sense") == sense, f"signal of {sense}", count)

    def log(self, type_: str, count: int = 1, **fields: Any) -> list[Entry]:
        """Wait for `count` log rows of a type whose fields have these values; return them."""

        def fits(entry: Entry) -> bool:
            return entry.get("type") == type_ and all(entry[k] == v for k, v in fields.items())

        return self.wait_for(fits, f"a row {type_} {fields or ''}", count)

    def errors(self) -> str:
        """Return what it has written to stderr: JSON lines, and tracebacks of a crash."""
        return "".join(self._errors)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it as a service manager would; return its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> int:
        """Kill it, and wait until it is gone."""
        self.process.kill()
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; return its exit code. Raises TimeoutExpired."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with contextlib.suppress(ValueError):  # a process that is killed may end in half a line
                entry = json.loads(line)
                with self._news:
                    self.said.append(entry)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _read_err(self) -> None:
        for line in self.process.stderr or ():
            self._errors.append(line)
