"""YAML 1.2 (core schema) to a tree of nodes, safe against any input.

The parent; pure. PyYAML's parser gives the events, and what it would do with them
is done here instead: its resolver speaks YAML 1.1 (`on` is true, `010` is 8, `1:30`
is 90), its composer recurses, and its constructor lets the last of two equal
keys win. Here

* only plain, untagged scalars have a type (`nerve.config.scalars`);
* a fault ends the reading and is the only one reported, with its line and column;
* nesting and size are limited (`nerve.config.composer`), aliases expanded.
"""

import re
from typing import Any

import yaml

from nerve.config.composer import Composer
from nerve.config.faults import ConfigFaults, one_fault
from nerve.config.tree import Node, Place

MAX_FILE_BYTES = 1_000_000
# The C parser is thirty times as fast; some builds of PyYAML come without it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INDENT = re.compile(r"[ \t-]*")
_HINTS = {
    "mapping values are not allowed": "put a value that holds ': ' in quotes, "
    "or mend the indentation",
    "cannot start any token": "put a value that starts with @ or a backtick in quotes",
    "did not find expected ',' or": "within [ ] and { } put a value that holds ${...}, a comma or "
    "a bracket in quotes",
    "could not find expected ':'": "after a key comes a colon and a space",
}


def parse_file(content: bytes, source: str) -> Node:
    """Read a whole file, whose top has to be a mapping.

    Raises:
        ConfigFaults: with exactly one fault.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte {error.start + 1:,} of the file, in line {line:,}"
        raise one_fault(Place(source, line, 1), message, "save the file as UTF-8") from error
    # Editors on Windows put a byte order mark first.
    top = parse_text(text.removeprefix("\ufeff"), source)
    if top is None:
        raise one_fault(Place(source), "the file is empty", "start with `senses:`")
    if not isinstance(top.value, dict):
        raise one_fault(top.place, "must be a mapping at the top", "start with `senses:`")
    return top


def parse_text(text: str, source: str) -> Node | None:
    """Read one document, whatever it is; None where there is none.

    Raises:
        ConfigFaults: with exactly one fault.
    """
    odd = _UNPRINTABLE.search(text)
    if odd:
        message = f"character U+{ord(odd.group()):04X} is not allowed here"
        raise one_fault(_place_of(text, odd.start(), source), message)
    composer = Composer(source)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise _parser_fault(text, source, error) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The parser in Python lets chr() fail over an escape such as "\\UFFFFFFFF".
        raise one_fault(Place(source), f"not valid YAML: {error}") from error
    return composer.top


def _place_of(text: str, offset: int, source: str) -> Place:
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(source, text.count("\n", 0, offset) + 1, offset - line_start + 1)


def _parser_fault(text: str, source: str, error: yaml.MarkedYAMLError) -> ConfigFaults:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return one_fault(Place(source), f"not valid YAML: {error.problem}")
    place = Place(source, mark.line + 1, mark.column + 1)
    if _is_tab_in_indent(text, mark.line):
        return one_fault(place, "a tab stands where YAML wants spaces", "indent with spaces")
    hint = next((hint for part, hint in _HINTS.items() if part in str(error.problem)), "")
    return one_fault(place, f"not valid YAML: {error.problem}", hint)


def _is_tab_in_indent(text: str, line: int) -> bool:
    lines = text.splitlines()
    indent = _INDENT.match(lines[line]) if line < len(lines) else None
    return indent is not None and "\t" in indent.group()
