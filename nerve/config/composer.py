"""From the events of a YAML parser to a tree, within limits.

The parent; pure. Nothing here recurses, and nothing is copied: an alias is the node
it refers to, once more. Nesting and size are counted as they would be after
the expansion of aliases, because whoever walks the tree walks it expanded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from nerve.config.faults import one_fault
from nerve.config.scalars import resolve_scalar
from nerve.config.tree import Node, Place, Scalar, keyed

MAX_NESTING = 64
"""Mappings and lists within each other."""
MAX_NODES = 100_000
"""Keys and values, aliases expanded: room for 10,000 senses, which are read in a second; so many
that are all wrong, in two."""
MAX_EXPANDED_CHARS = 2_000_000
"""Their text, aliases expanded; counted apart, since few aliases can repeat one long text."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTE_STAR = "put a value that starts with * in quotes"


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


class Composer:
    """Takes the parser's events one by one; `top` is the finished document, if there is one."""

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
        """Add what an event says; raises ConfigFaults with one fault."""
        taker = self._takers.get(type(event))
        if taker:
            taker(event)

    def _place(self, event: Any) -> Place:
        return Place(self._source, event.start_mark.line + 1, event.start_mark.column + 1)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise one_fault(
                self._place(event), "a second document starts here; there may be only one"
            )

    def _scalar(self, event: Any) -> None:
        place = self._place(event)
        _refuse_tag(event, place)
        if _SURROGATE.search(event.value):
            raise one_fault(place, "holds half a surrogate pair, which is no character")
        node = Node(_value(event, place), place)
        size = _Size(1, len(event.value))
        self._count(size, place)
        if event.anchor:
            self._anchors[event.anchor] = (node, size, 0)
        self._add(node, 0)

    def _alias(self, event: Any) -> None:
        place = self._place(event)
        if any(collection.anchor == event.anchor for collection in self._open):
            raise one_fault(place, f"*{event.anchor} stands inside of what it refers to")
        if event.anchor not in self._anchors:
            raise one_fault(
                place, f"there is no &{event.anchor} above *{event.anchor}", _QUOTE_STAR
            )
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
            raise one_fault(place, f"more than {MAX_NODES:,} keys and values, aliases expanded")
        if self._size.chars > MAX_EXPANDED_CHARS:
            raise one_fault(place, f"more than {MAX_EXPANDED_CHARS:,} characters, aliases expanded")

    def _check_nesting(self, height: int, place: Place) -> None:
        if len(self._open) + height > MAX_NESTING:
            raise one_fault(place, f"nested deeper than {MAX_NESTING} levels")


def _put(mapping: Any, key: Node, node: Node) -> None:
    if not isinstance(key.value, str):
        raise one_fault(key.place, "a key must be text", "put it in quotes")
    if key.value in mapping:
        first = mapping[key.value].key_place.line
        message = f"the key {key.value[:80]!r} stands here twice, first in line {first}"
        raise one_fault(key.place, message)
    mapping[key.value] = keyed(node, key.place)


def _refuse_tag(event: Any, place: Place) -> None:
    if event.tag is not None:
        raise one_fault(place, f"tags are not supported: {event.tag[:80]!r}", "put text in quotes")


def _value(event: Any, place: Place) -> Scalar:
    if not event.implicit[0]:  # quoted, or a block
        return str(event.value)
    try:
        return resolve_scalar(event.value)
    except ValueError as error:
        raise one_fault(place, str(error), "put text in quotes") from error
