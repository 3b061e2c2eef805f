"""What `nerve run` shows: for a person, for a pipe, or as JSON lines.

An entry goes in, text comes out. For a person a signal is one readable line, an
error stands out with its hint and the author's frames (once, while it stays the
same), of a worker that hung or crashed the innermost ones of its stacks, and the machinery's
routine is left out; the journal has it. Whatever a sense wrote is made harmless before a
terminal sees it.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import click

from nerve.cli.frames import News
from nerve.cli.wording import (
    cut,
    hanging,
    json_text,
    local_times,
    padded,
    sentence,
    visible,
)
from nerve.clock import rfc3339, to_datetime
from nerve.config import Loaded
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
_INDENT = " " * 10
_COLOURS = {"error": "red", "warning": "yellow"}

Entry = SignalEntry | LogEntry
Word = Callable[[int | None, Entry], str | None]


def is_of_nerve(type_: str) -> bool:
    """Whether a row's sentence is nerve's own, and not what a sense has said, raised or printed."""
    return type_ not in PLAIN_TYPES and not type_.startswith("compute.") and type_ != "signal"


def source_cells(loaded: Loaded) -> int:
    """Return the width of a column for the names of senses and groups, in cells."""
    senses = loaded.config.senses
    return max(map(len, (*senses, *(sense.group for sense in senses.values()))), default=0)


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
        width: tells the terminal's present width in cells; what senses tell is cut to it, and
            what nerve does is wrapped, as are warnings and errors.
        source_cells: width of the column with the senses' names.
        colour: whether to use colours.
    """

    zone: tzinfo
    width: Callable[[], int]
    source_cells: int
    colour: bool
    _news: News = field(default_factory=News)
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
        if is_of_nerve(entry.type):  # rare, and its end matters: what was applied, who asked
            return "\n".join([*self._hanging(head, told, dim=True), ""])
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
        if is_of_nerve(entry.type):
            text = local_times(text, self.zone)
        return text if entry.type in PLAIN_TYPES or not text else f"{visible(entry.type)}: {text}"

    def _alarm(self, head: str, told: str, entry: LogEntry, payload: Any) -> list[str]:
        """Word a warning or an error: never cut, and with all that helps when it is new."""
        lines = self._hanging(head, told, fg=_COLOURS[entry.level])
        hint, frames = self._news.of(entry.source, entry.type, payload)
        lines += self._help(hint, frames)
        return lines

    def _help(self, hint: str, frames: list[str]) -> list[str]:
        lines = self._hanging(f"{_INDENT}hint: ", hint) if hint else []
        for frame in frames:
            lines += self._hanging(_INDENT, frame, dim=True)
        return lines

    def _hanging(self, head: str, text: str, **style: Any) -> list[str]:
        return hanging(head, text, self.width(), lambda line: self._styled(line, **style))

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self.colour and style else text


def _without(text: str, death: str) -> str:
    return text.removesuffix(death).removesuffix(": ")
