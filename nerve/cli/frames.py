"""What helps beside a warning or an error: its hint, and the frames of whoever wrote the sense.

Commands; pure. It is told once, and again when it has changed: a sense that fails every second does
so in the same lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from nerve.cli.wording import counted, visible, visible_lines

MAX_THREADS = 3
"""Parts of a stack dump that are shown, the last ones: the main thread, which computes, is last."""
_TELLING = ("Fatal Python error", "Current thread")
"""How the parts begin that are shown wherever they stand: one of each, at most, in a dump."""
MAX_THREAD_LINES = 13
"""Of each part: its heading and the innermost frames, which stand first."""
_HELP = ("message", "hint", "traceback", "stack")


@dataclass(slots=True)
class News:
    """What has been told last of each source and type."""

    _last: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def of(self, source: str, type_: str, payload: Any) -> tuple[str, list[str]]:
        """Return the hint and the frames of an entry, visible; both empty for what is known."""
        found = payload if isinstance(payload, dict) else {}
        told = [str(found.get(key) or "") for key in _HELP]
        if self._last.get((source, type_)) == told:
            return "", []
        self._last[source, type_] = told
        _, hint, traceback, stack = told
        return visible(hint), list(filter(None, [*visible_lines(traceback), *stack_lines(stack)]))


def stack_lines(stack: str) -> list[str]:
    """Return what a person needs of a stack dump, line by line, and how much that leaves out."""
    threads = [visible_lines(thread) for thread in stack.strip().split("\n\n") if thread]
    shown = [t for t in threads[:-MAX_THREADS] if t[0].startswith(_TELLING)]
    shown += threads[-MAX_THREADS:]
    left_out = len(threads) - len(shown)
    lines = [f"({counted(left_out, 'more thread')})"] if left_out else []
    for thread in shown:
        lines += _innermost(list(_folded(thread)))
    return lines


def _folded(lines: list[str]) -> Iterator[str]:
    """Tell a line that follows itself once, as recursion has it, and how often."""
    for line, same in groupby(lines):
        yield line
        if again := len(list(same)) - 1:
            yield f"  (the same {counted(again, 'more time')})"


def _innermost(lines: list[str]) -> list[str]:
    more = len(lines) - MAX_THREAD_LINES
    if more <= 0:
        return lines
    left_out = f"  ({counted(more, 'more line')}; `nerve logs --json` has all)"
    return [*lines[:MAX_THREAD_LINES], left_out]
