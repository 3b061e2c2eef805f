"""What `nerve run` shows: for a person, for a pipe, or as JSON lines.

An entry goes in, text comes out. For a person a signal is one readable line, an
error stands out with its hint and the author's frames (once, while it stays the
same), and the machinery's routine is left out; the journal has it. Whatever a sense
wrote is made harmless before a terminal sees it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import click

from nerve.cli.wording import cut, hanging, json_text, padded, sentence, visible, visible_lines
from nerve.clock import rfc3339, to_datetime
from nerve.store.journal import LogEntry, SignalEntry

ROUTINE = frozenset({"nerve.started", "nerve.stopped", "worker.ready", "worker.stopped"})
"""Rows of level info that tell a person nothing: the header and the last line do."""
PLAIN_TYPES = frozenset({"output", "log"})
"""Rows whose text speaks for itself; the type before it would only be in the way."""
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
    _last_alarms: dict[str, str] = field(default_factory=dict)

    def __call__(self, _entry_id: int | None, entry: Entry) -> str | None:
        """Word one entry; None for routine."""
        payload = json.loads(entry.payload)
        head = self._head(entry)
        if isinstance(entry, SignalEntry):
            return cut(head + sentence(payload), self.width()) + "\n"
        if entry.level in _COLOURS:
            return "\n".join(self._alarm(head, entry, payload)) + "\n"
        if entry.type in ROUTINE:
            return None
        return self._styled(cut(head + _told(entry, payload), self.width()), dim=True) + "\n"

    def _head(self, entry: Entry) -> str:
        source = entry.sense if isinstance(entry, SignalEntry) else entry.source
        time = to_datetime(entry.at_us).astimezone(self.zone).strftime("%H:%M:%S")
        return f"{time}  {padded(visible(source), self.source_cells)}  "

    def _alarm(self, head: str, entry: LogEntry, payload: Any) -> list[str]:
        """Word a warning or an error: never cut, and with all that helps when it is new."""
        lines = self._hanging(head, _told(entry, payload), fg=_COLOURS[entry.level])
        is_repeat = self._last_alarms.get(entry.source) == entry.payload
        self._last_alarms[entry.source] = entry.payload
        if isinstance(payload, dict) and not is_repeat:
            if hint := payload.get("hint"):
                lines += self._hanging(f"{_INDENT}hint: ", visible(str(hint)))
            if traceback := payload.get("traceback"):
                for line in visible_lines(str(traceback)):
                    lines += self._hanging(_INDENT, line, dim=True)
        return lines

    def _hanging(self, head: str, text: str, **style: Any) -> list[str]:
        return hanging(head, text, self.width(), lambda line: self._styled(line, **style))

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self.colour and style else text


def _told(entry: LogEntry, payload: Any) -> str:
    text = sentence(payload)
    return text if entry.type in PLAIN_TYPES else f"{visible(entry.type)}: {text}"
