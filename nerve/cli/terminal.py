"""What `nerve run` shows: for a person, for a pipe, or as JSON lines.

An entry goes in, text comes out. For a person a signal is one readable line, an
error stands out with its hint and the author's frames (once, while it stays the
same), and the machinery's routine is left out; the journal has it. Whatever a sense wrote is made harmless
before a terminal sees it.
"""

import json
from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import click

from nerve.cli.wording import cut, json_text, padded, sentence, visible, visible_lines
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


def for_person(*, zone: tzinfo, width: Callable[[], int], source_cells: int, colour: bool) -> Word:
    """Make the wording for a terminal.

    Args:
        zone: whose time of day is shown.
        width: tells the terminal's present width in cells; routine lines are cut to it.
        source_cells: width of the column with the senses' names.
        colour: whether to use colours.
    """

    last_alarm: dict[str, str] = {}

    def word(_entry_id: int | None, entry: Entry) -> str | None:
        payload = json.loads(entry.payload)
        source = entry.sense if isinstance(entry, SignalEntry) else entry.source
        time = to_datetime(entry.at_us).astimezone(zone).strftime("%H:%M:%S")
        head = f"{time}  {padded(visible(source), source_cells)}  "
        if isinstance(entry, SignalEntry):
            return cut(head + sentence(payload), width()) + "\n"
        if entry.level in _COLOURS:
            is_repeat = last_alarm.get(source) == entry.payload
            last_alarm[source] = entry.payload
            return _alarming(head, entry, payload, colour=colour, brief=is_repeat)
        if entry.type in ROUTINE:
            return None
        return _styled(cut(head + _told(entry, payload), width()), colour, dim=True) + "\n"

    return word


def _alarming(head: str, entry: LogEntry, payload: Any, *, colour: bool, brief: bool) -> str:
    """Word a warning or an error: never cut; unless brief with hint and the author's frames."""
    lines = [_styled(_told(entry, payload), colour, fg=_COLOURS[entry.level])]
    if isinstance(payload, dict) and not brief:
        if hint := payload.get("hint"):
            lines.append(f"{_INDENT}hint: {sentence({'message': str(hint)})}")
        if traceback := payload.get("traceback"):
            frames = visible_lines(str(traceback))
            lines += [_styled(_INDENT + line, colour, dim=True) for line in frames]
    return head + "\n".join(lines) + "\n"


def _told(entry: LogEntry, payload: Any) -> str:
    text = sentence(payload)
    return text if entry.type in PLAIN_TYPES else f"{visible(entry.type)}: {text}"


def _styled(text: str, colour: bool, **style: Any) -> str:
    return click.style(text, **style) if colour else text
