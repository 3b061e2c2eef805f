"""What `nerve run` shows: for a person, for a pipe, or as JSON lines.

An entry goes in, text comes out. For a person a signal is one readable line, an
error stands out with its hint and the author's frames (once, while it stays the
same), of a worker that hung or crashed the innermost ones of its stacks, and the machinery's
routine is left out; the journal has it. Whatever a sense wrote is made harmless before a
terminal sees it.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any

import click

from nerve.cli.wording import (
    counted,
    cut,
    hanging,
    json_text,
    local_time,
    padded,
    sentence,
    visible,
    visible_lines,
)
from nerve.clock import US_PER_S, rfc3339, to_datetime
from nerve.store.batch import LogEntry, SignalEntry

ROUTINE = frozenset(
    {
        *("nerve.started", "nerve.stopped", "worker.ready", "worker.stopped"),
        *("recovery.finished", "archive.finished", "archive.deleted"),
    }
)
"""Rows of level info that tell a person nothing: the header and the last line do."""
PLAIN_TYPES = frozenset({"output", "log"})
"""Rows whose text speaks for itself; the type before it would only be in the way."""
DEATH = "worker.died"
CONSEQUENCES = frozenset({"sense.resting", "compute.crashed", "compute.killed"})
"""Rows that follow a death and repeat its message, which is not told again."""
MAX_DEATHS = 32
"""Deaths whose message is remembered for that."""
MAX_THREADS = 3
"""Parts of a stack dump that are shown, the last ones: the main thread, which computes, is last."""
_TELLING = ("Fatal Python error", "Current thread")
"""How the parts begin that are shown wherever they stand: one of each, at most, in a dump."""
MAX_THREAD_LINES = 13
"""Of each part: its heading and the innermost frames, which stand first."""
_INDENT = " " * 10
_COLOURS = {"error": "red", "warning": "yellow"}

Entry = SignalEntry | LogEntry
Word = Callable[[int | None, Entry], str | None]


def for_json(entry_id: int | None, entry: Entry) -> str:
    """Word an entry as `nerve signals --json` and `nerve logs --json` do."""
    at = rfc3339(entry.at_us)
    stored = {"payload": json.loads(entry.payload)}
    if isinstance(entry, SignalEntry):
        cause = json.loads(entry.cause)
        value = {"id": entry_id, "sense": entry.sense, "at": at, **stored, "cause": cause}
    else:
        about = {"source": entry.source, "type": entry.type, "level": entry.level}
        value = {"id": entry_id, "at": at, **about, "ref": entry.ref, **stored}
    return json_text(value) + "\n"


def for_pipe(entry_id: int | None, entry: Entry) -> str:
    """Word an entry as a line of time, level or `signal`, source, type or id, and JSON."""
    if isinstance(entry, SignalEntry):
        words = ["signal", entry.sense, f"#{entry_id}"]
    else:
        words = [entry.level, visible(entry.source), visible(entry.type)]
    payload = json_text(json.loads(entry.payload))
    return " ".join([rfc3339(entry.at_us), *words, payload]) + "\n"


@dataclass(slots=True)
class ForPerson:
    """Words entries for a terminal.

    Attributes:
        zone: whose time of day is shown.
        width: tells the terminal's present width in cells; routine lines are cut to it, and
            warnings and errors wrapped.
        source_cells: width of the column with the senses' names.
        colour: whether to use colours.
    """

    zone: tzinfo
    width: Callable[[], int]
    source_cells: int
    colour: bool
    _last_alarms: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _deaths: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_DEATHS))

    def __call__(self, _entry_id: int | None, entry: Entry) -> str | None:
        """Word one entry; None for routine."""
        payload = json.loads(entry.payload)
        head = self._head(entry)
        if isinstance(entry, SignalEntry):
            return cut(head + sentence(payload), self.width()) + "\n"
        told = self._told(entry, payload)
        if entry.level in _COLOURS:
            return "\n".join([*self._alarm(head, told, entry, payload), ""]) if told else None
        if entry.type in ROUTINE:
            return None
        return self._styled(cut(head + told, self.width()), dim=True) + "\n"

    def _head(self, entry: Entry) -> str:
        source = entry.sense if isinstance(entry, SignalEntry) else entry.source
        time = to_datetime(entry.at_us).astimezone(self.zone).strftime("%H:%M:%S")
        return f"{time}  {padded(visible(source), self.source_cells)}  "

    def _told(self, entry: LogEntry, payload: Any) -> str:
        """Say a row in one line; empty for one whose death has been told."""
        text = sentence(payload)
        if entry.type == DEATH:
            self._deaths.append(text)
        if entry.type in CONSEQUENCES:
            text = next((_without(text, death) for death in self._deaths if death in text), text)
        until_us = _until_us(payload)
        if until_us is not None:
            text = text.replace(str(payload["until"]), local_time(until_us, self.zone))
        return text if entry.type in PLAIN_TYPES or not text else f"{visible(entry.type)}: {text}"

    def _alarm(self, head: str, told: str, entry: LogEntry, payload: Any) -> list[str]:
        """Word a warning or an error: never cut, and with all that helps when it is new."""
        lines = self._hanging(head, told, fg=_COLOURS[entry.level])
        help_keys = ("message", "hint", "traceback", "stack")
        found = payload if isinstance(payload, dict) else {}
        message, hint, traceback, stack = (str(found.get(key) or "") for key in help_keys)
        about, is_new = (entry.source, entry.type), [message, hint, traceback, stack]
        if self._last_alarms.get(about) != is_new:
            self._last_alarms[about] = is_new
            lines += self._help(hint, [*visible_lines(traceback), *stack_lines(stack)])
        return lines

    def _help(self, hint: str, frames: list[str]) -> list[str]:
        lines = self._hanging(f"{_INDENT}hint: ", visible(hint)) if hint else []
        for frame in filter(None, frames):
            lines += self._hanging(_INDENT, frame, dim=True)
        return lines

    def _hanging(self, head: str, text: str, **style: Any) -> list[str]:
        return hanging(head, text, self.width(), lambda line: self._styled(line, **style))

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self.colour and style else text


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


def _without(text: str, death: str) -> str:
    return text.removesuffix(death).removesuffix(": ")


def _until_us(payload: Any) -> int | None:
    """The moment under `until`, in UTC microseconds, where there is one."""
    until = payload.get("until") if isinstance(payload, dict) else None
    try:
        moment = datetime.fromisoformat(str(until))
    except ValueError:
        return None
    return int(moment.timestamp()) * US_PER_S if moment.tzinfo else None
