"""YAML 1.2 (core schema) to a tree of nodes, safe against any input.

The parent; pure. PyYAML's parser gives the events, and what it would do with them
is done here instead: its resolver speaks YAML 1.1 (`on` is true, `010` is 8, `1:30`
is 90), its composer recurses, and its constructor lets the last of two equal
keys win. Here

* only plain, untagged scalars have a type (`nerve.config.scalars`);
* a fault ends the reading and is the only one reported, with its line and column;
* nesting and size are limited as they are after the expansion of aliases. An alias
  is the same node again and is never copied, so a bomb of them costs nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import yaml

from nerve.config.faults import ConfigFaults, fault_at
from nerve.config.scalars import resolve_scalar
from nerve.config.tree import Node, Place, Scalar, keyed

MAX_FILE_BYTES = 1_000_000
MAX_NESTING = 64
"""Mappings and lists within each other."""
MAX_NODES = 100_000
"""Keys and values, aliases expanded."""
MAX_EXPANDED_CHARS = 2_000_000
"""Their text, aliases expanded; counted apart, since few aliases can repeat one long text."""

# The C parser is thirty times as fast; some builds of PyYAML come without it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HINTS = {
    "mapping values are not allowed": "put a value that holds ': ' in quotes, "
    "or mend the indentation",
    "cannot start any token": "put a value that starts with @ or a backtick in quotes",
    "could not find expected ':'": "after a key comes a colon and a space",
    "alias": "put a value that starts with * in quotes",
}


def parse_file(content: bytes, source: str) -> Node:
    """Read a whole file, whose top has to be a mapping.

    Raises:
        ConfigFaults: with exactly one fault.
    """
    # utf-8-sig: editors on Windows put a byte order mark first.
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte {error.start + 1:,} of the file, in line {line:,}"
        _fail(Place(source, line, 1), message, "save the file as UTF-8")
    top = parse_text(text, source)
    if top is None:
        _fail(Place(source), "the file is empty", "start with `senses:`")
    if not isinstance(top.value, dict):
        _fail(top.place, "must be a mapping at the top", "start with `senses:`")
    return top


def parse_text(text: str, source: str) -> Node | None:
    """Read one document, whatever it is; None where there is none.

    Raises:
        ConfigFaults: with exactly one fault.
    """
    odd = _UNPRINTABLE.search(text)
    if odd:
        message = f"character U+{ord(odd.group()):04X} is not allowed here"
        _fail(_place_of(text, odd.start(), source), message)
    builder = _TreeBuilder(source)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        _fail_as_parser(text, source, error)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The parser in Python lets chr() fail over an escape such as "\\UFFFFFFFF".
        _fail(Place(source), f"not valid YAML: {error}")
    return builder.top


class _Size(NamedTuple):
    """Of a subtree with its aliases expanded, or of all that was read so far."""

    nodes: int
    chars: int

    def plus(self, other: "_Size") -> "_Size":
        return _Size(self.nodes + other.nodes, self.chars + other.chars)

    def minus(self, other: "_Size") -> "_Size":
        return _Size(self.nodes - other.nodes, self.chars - other.chars)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    node: Node
    anchor: str | None
    size_before: _Size
    height: int = 1
    key: Node | None = None


class _TreeBuilder:
    """Takes the parser's events one by one; `top` is the finished document."""

    def __init__(self, source: str) -> None:
        self.top: Node | None = None
        self._source = source
        self._documents = 0
        self._size = _Size(0, 0)
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, _Size, int]] = {}
        self._takers: dict[type, Callable[[Any], None]] = {
            yaml.DocumentStartEvent: self._document,
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: lambda event: self._start(event, {}),
            yaml.SequenceStartEvent: lambda event: self._start(event, []),
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
        }

    def take(self, event: yaml.Event) -> None:
        taker = self._takers.get(type(event))
        if taker:
            taker(event)

    def _place(self, event: Any) -> Place:
        return Place(self._source, event.start_mark.line + 1, event.start_mark.column + 1)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            _fail(self._place(event), "a second document starts here; there may be only one")

    def _scalar(self, event: Any) -> None:
        place = self._place(event)
        _refuse_tag(event, place)
        if _SURROGATE.search(event.value):
            _fail(place, "holds half a surrogate pair, which is no character")
        node = Node(_value(event, place), place)
        size = _Size(1, len(event.value))
        self._count(size, place)
        if event.anchor:
            self._anchors[event.anchor] = (node, size, 0)
        self._add(node, 0)

    def _alias(self, event: Any) -> None:
        place = self._place(event)
        if any(collection.anchor == event.anchor for collection in self._open):
            _fail(place, f"*{event.anchor} stands inside of what it refers to")
        if event.anchor not in self._anchors:
            _fail(place, f"there is no &{event.anchor} above *{event.anchor}", _HINTS["alias"])
        node, size, height = self._anchors[event.anchor]
        self._count(size, place)
        self._check_nesting(height, place)
        self._add(node, height)

    def _start(self, event: Any, value: dict[str, Node] | list[Node]) -> None:
        place = self._place(event)
        _refuse_tag(event, place)
        self._check_nesting(1, place)
        self._open.append(_Open(Node(value, place), event.anchor, self._size))
        self._count(_Size(1, 0), place)

    def _end(self, _event: Any) -> None:
        done = self._open.pop()
        if done.anchor:
            size = self._size.minus(done.size_before)
            self._anchors[done.anchor] = (done.node, size, done.height)
        self._add(done.node, done.height)

    def _add(self, node: Node, height: int) -> None:
        if not self._open:
            self.top = node
            return
        parent = self._open[-1]
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            _put(parent.node.value, parent.key, node)
            parent.key = None

    def _count(self, size: _Size, place: Place) -> None:
        self._size = self._size.plus(size)
        if self._size.nodes > MAX_NODES:
            _fail(place, f"more than {MAX_NODES:,} keys and values, aliases expanded")
        if self._size.chars > MAX_EXPANDED_CHARS:
            _fail(place, f"more than {MAX_EXPANDED_CHARS:,} characters, aliases expanded")

    def _check_nesting(self, height: int, place: Place) -> None:
        if len(self._open) + height > MAX_NESTING:
            _fail(place, f"nested deeper than {MAX_NESTING} levels")


def _put(mapping: Any, key: Node, node: Node) -> None:
    if not isinstance(key.value, str):
        _fail(key.place, "a key must be text", "put it in quotes")
    if key.value in mapping:
        first = mapping[key.value].key_place.line
        _fail(key.place, f"the key {key.value[:80]!r} stands here twice, first in line {first}")
    mapping[key.value] = keyed(node, key.place)


def _refuse_tag(event: Any, place: Place) -> None:
    if event.tag is not None:
        _fail(place, f"tags are not supported: {event.tag[:80]!r}", "put text in quotes")


def _value(event: Any, place: Place) -> Scalar:
    if not event.implicit[0]:  # quoted, or a block
        return str(event.value)
    try:
        return resolve_scalar(event.value)
    except ValueError as error:
        _fail(place, str(error), "put text in quotes")


def _place_of(text: str, offset: int, source: str) -> Place:
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(source, text.count("\n", 0, offset) + 1, offset - line_start + 1)


def _fail_as_parser(text: str, source: str, error: yaml.MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        _fail(Place(source), f"not valid YAML: {error.problem}")
    place = Place(source, mark.line + 1, mark.column + 1)
    line = text.splitlines()[mark.line : mark.line + 1]
    if line and "\t" in line[0][: mark.column + 1]:
        _fail(place, "a tab stands where YAML wants spaces", "indent with spaces")
    problem = f"{error.problem}"
    hint = next((hint for part, hint in _HINTS.items() if part in problem), "")
    _fail(place, f"not valid YAML: {problem}", hint)


def _fail(place: Place, message: str, hint: str = "") -> NoReturn:
    raise ConfigFaults([fault_at(place, (), message, hint)]) from None
