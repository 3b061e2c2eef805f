"""A whole terminal to draw on, again and again, that is as it was before when that ends.

Commands. However it ends: by a key, Ctrl-C, SIGTERM, an error; and for as long as Ctrl-Z stops it.
(After SIGKILL `reset` helps.) It is drawn in one write, so that nothing flickers, and lines are no
longer than the terminal is wide. Signals come as bytes in a pipe, so that a wait ends with them.
"""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Self

_ENTER = "\x1b[?1049h\x1b[?25l"
"""The other screen, without a cursor."""
_LEAVE = "\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"
"""Between them nothing is shown, where the terminal knows that."""
_LINE_END = "\x1b[K\r\n"
_HEARD = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP)
_ENDING = frozenset({signal.SIGTERM, signal.SIGHUP})
_KEYS_AT_ONCE = 64
"""Bytes of keys taken in one read; the first is meant, whoever leans on the keyboard."""


class Canvas:
    """The terminal behind stdout, and the keys of stdin where that is one too."""

    def __init__(self) -> None:
        """Nothing is changed before it is entered."""
        self._has_keys = sys.stdin.isatty()
        self._mode: list[Any] | None = None
        self._before: dict[int, Any] = {}
        self._wake_read = self._wake_write = -1
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in _HEARD}
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._wake_read)
        os.close(self._wake_write)

    @property
    def width(self) -> int:
        """Cells of a line. One less than there are: behind the last one no end of a line fits."""
        return max(1, self._size().columns - 1)

    @property
    def height(self) -> int:
        """Lines."""
        return self._size().lines

    def _size(self) -> os.terminal_size:
        # Not that of shutil: COLUMNS in the environment is what the shell once found.
        return os.get_terminal_size(sys.stdout.fileno())

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines and nothing else; those beyond the last line of the terminal not."""
        shown = _LINE_END.join(lines[: self.height])
        _write(f"{_BEGIN}{shown}\x1b[K{_END}")

    def wait(self, seconds: float) -> str:
        """Wait for a key and return it; empty when it is time to draw, or the size has changed.

        Raises SystemExit for SIGTERM and SIGHUP.
        """
        inputs = [self._wake_read, *([sys.stdin.fileno()] if self._has_keys else [])]
        ready, _, _ = select.select(inputs, [], [], max(0.0, seconds))
        if self._wake_read in ready:
            self._obey(os.read(self._wake_read, _KEYS_AT_ONCE))
        elif ready:
            keys = os.read(sys.stdin.fileno(), _KEYS_AT_ONCE)
            self._has_keys = bool(keys)  # at the end of stdin it would be ready for ever
            return keys[:1].decode("ascii", "replace")
        return ""

    def _obey(self, numbers: bytes) -> None:
        for number in dict.fromkeys(numbers):
            if number in _ENDING:
                raise SystemExit(128 + number)
            if number == signal.SIGTSTP:
                self._stop()

    def _stop(self) -> None:
        """Be stopped as if nobody had listened, and go on as before."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, _nothing)
        self._take()

    def _take(self) -> None:
        if self._has_keys:
            self._mode = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        _write(_ENTER)

    def _give_back(self) -> None:
        with suppress(OSError):  # the terminal is gone
            _write(_LEAVE)
        if self._mode is not None:
            with suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._mode)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Let the signal wake the wait, and do no more."""
