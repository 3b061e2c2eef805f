"""Payloads and messages as text that is safe to show.

Pure. What a sense returned, printed or raised may hold anything, and a terminal
obeys escape sequences; so whatever is not nerve's own text passes `visible` or
`json_text`. Widths are in terminal cells, where a Chinese character takes two.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from typing import Any

from nerve.clock import MS_PER_S, US_PER_MS, to_datetime

ELLIPSIS = "…"
MIN_TEXT_CELLS = 16
"""A text beside something else is readable from here on."""
BELOW_INDENT_CELLS = 4
# Control characters, what turns the direction of writing, line separators, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_STAMP = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
"""As `nerve.clock.rfc3339` writes them."""
_TELLING_KEYS = ("summary", "message", "text")
_WIDE = frozenset("WF")
_DAY_HOURS = 24
_TENTHS_BELOW_S = 10


def visible(text: str) -> str:
    r"""Write what a terminal would obey as escapes, e.g. `\x1b`; the result is one line."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_lines(text: str) -> list[str]:
    """Split a text at its newlines and make each line visible; tabs become blanks."""
    return [visible(line) for line in text.expandtabs(4).rstrip().split("\n")]


def json_text(value: Any) -> str:
    """Write JSON on one line, its characters readable and none of them dangerous."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def sentence(payload: Any) -> str:
    """Say a payload in one line: its summary, message or text, or else its keys and values."""
    if not isinstance(payload, dict):
        return json_text(payload)
    for key in _TELLING_KEYS:
        if isinstance(payload.get(key), str):
            return visible(payload[key])
    return " ".join(f"{visible(key)}={_compact(value)}" for key, value in payload.items())


def local_time(at_us: int, zone: tzinfo) -> str:
    """Write recorded microseconds as date and time of a zone, to the second."""
    return to_datetime(at_us).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def local_times(text: str, zone: tzinfo) -> str:
    """Write the recorded times that stand in a sentence of nerve's as `local_time` does."""
    return _STAMP.sub(lambda found: _local(found[0], zone), text)


def _local(stamp: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(stamp).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):  # no such moment
        return stamp


def span(length_us: int) -> str:
    """Write a length of time for a glance: `<1ms`, `80ms`, `3.2s`, `45s`, `12m`, `3h07m`, `5d`."""
    milliseconds = max(0, length_us) // US_PER_MS
    minutes, seconds = divmod(milliseconds // MS_PER_S, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= _DAY_HOURS:
        return f"{hours // _DAY_HOURS}d"
    if hours or minutes:
        return f"{hours}h{minutes:02}m" if hours else f"{minutes}m"
    if seconds:
        return f"{milliseconds / MS_PER_S:.1f}s" if seconds < _TENTHS_BELOW_S else f"{seconds}s"
    return f"{milliseconds}ms" if milliseconds else "<1ms"


def cells(text: str) -> int:
    """Return how many cells of a terminal a visible text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def cut(text: str, width: int) -> str:
    """Shorten a visible text to `width` cells, with an ellipsis where that took something."""
    if cells(text) <= width:
        return text
    room = width - cells(ELLIPSIS)
    first = next(_pieces(text, room))
    return (first if cells(first) <= room else "") + ELLIPSIS


def wrapped(text: str, width: int) -> list[str]:
    """Break a visible text between words into lines of `width` cells; a longer word is broken."""
    lines: list[str] = []
    line: str | None = None
    for word in text.split(" "):
        for piece in _pieces(word, width):
            longer = piece if line is None else f"{line} {piece}"
            if line is not None and cells(longer) > width:
                lines.append(line)
                longer = piece
            line = longer
    return [*lines, line or ""]


def hanging(
    head: str, text: str, width: int | None, style: Callable[[str], str] = str
) -> list[str]:
    """Lay a visible text out beside its head, its further lines below its first.

    Where that would leave less than MIN_TEXT_CELLS for it, all of it stands below the head.

    Args:
        head: what stands before the text.
        text: what may take several lines.
        width: of the terminal, in cells; None for one line, however long.
        style: applied to the text, line by line.
    """
    if width is None:
        return [head + style(text)]
    indent = cells(head)
    if width - indent >= MIN_TEXT_CELLS:
        first, *rest = wrapped(text, width - indent)
        return [head + style(first), *(" " * indent + style(line) for line in rest)]
    below = wrapped(text, max(1, width - BELOW_INDENT_CELLS))
    return [head.rstrip(), *(" " * BELOW_INDENT_CELLS + style(line) for line in below)]


def padded(text: str, width: int) -> str:
    """Fill a visible text with blanks up to `width` cells."""
    return text + " " * (width - cells(text))


def counted(number: int, noun: str) -> str:
    """Write `1 sense`, `2 senses`, `0 reflexes`, `3 entries`, `4 processes`."""
    plural = f"{noun}es" if noun.endswith(("x", "ss")) else f"{noun}s"
    if noun.endswith("ry"):
        plural = f"{noun[:-1]}ies"
    return f"{number:,} {noun if number == 1 else plural}"


def _compact(value: Any) -> str:
    return visible(value) if isinstance(value, str) and value else json_text(value)


def _pieces(word: str, width: int) -> Iterator[str]:
    """Cut a word into pieces of at most `width` cells, each of at least one character."""
    start = used = 0
    for index, character in enumerate(word):
        size = _cells_of(character)
        if used + size > width and index > start:
            yield word[start:index]
            start, used = index, 0
        used += size
    yield word[start:]


def _cells_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
