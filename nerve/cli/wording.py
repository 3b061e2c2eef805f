"""Payloads and messages as text that is safe to show.

Pure. What a sense returned, printed or raised may hold anything, and a terminal
obeys escape sequences; so whatever is not nerve's own text passes `visible` or
`json_text`. Widths are in terminal cells, where a Chinese character takes two.
"""

import json
import re
import unicodedata
from datetime import tzinfo
from typing import Any

from nerve.clock import to_datetime

ELLIPSIS = "…"
# Control characters, what turns the direction of writing, line separators, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_TELLING_KEYS = ("summary", "message", "text")
_WIDE = frozenset("WF")


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


def cells(text: str) -> int:
    """Return how many cells of a terminal a visible text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def cut(text: str, width: int) -> str:
    """Shorten a visible text to `width` cells, with an ellipsis where that took something."""
    if cells(text) <= width:
        return text
    taken, used = 0, 1  # the ellipsis
    for character in text:
        used += _cells_of(character)
        if used > width:
            break
        taken += 1
    return text[:taken] + ELLIPSIS


def padded(text: str, width: int) -> str:
    """Fill a visible text with blanks up to `width` cells."""
    return text + " " * (width - cells(text))


def counted(number: int, noun: str) -> str:
    """Write `1 sense`, `2 senses`, `0 reflexes`."""
    plural = f"{noun}es" if noun.endswith("x") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _compact(value: Any) -> str:
    return visible(value) if isinstance(value, str) and value else json_text(value)


def _cells_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
