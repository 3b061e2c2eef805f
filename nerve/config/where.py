"""`where`: a condition on a signal, as a reflex in nerve.yaml writes it.

Parent; pure. The text is read once (`where_parser`) into a tree of small immutable
nodes (`where_nodes`); nothing of it is ever run as code. From loose to tight:

    or        condition "or" condition
    and       condition "and" condition
    not       "not" condition
    compare   value ("==" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "in") value
    ??        field "??" value
    value     (...)  [1, "a"]  5  "text"  true  false  null  sense  field
    field     load  disk.free  disks[0].free  labels["a-b"]  payload  payload["sense"]

Comparisons are not chained: `a < b < c` means one thing in Python and another in C.
A missing field has its default behind `??`, which takes no name that a field could have.
"""

from dataclasses import dataclass, field
from typing import Any

from nerve.config.where_nodes import Node, Scope, WhereFailed
from nerve.config.where_parser import MAX_CHARS, MAX_DEPTH, MAX_LIST_ITEMS, MAX_NODES, parse
from nerve.config.where_tokens import WhereInvalid

__all__ = [
    "MAX_CHARS",
    "MAX_DEPTH",
    "MAX_LIST_ITEMS",
    "MAX_NODES",
    "Where",
    "WhereFailed",
    "WhereInvalid",
    "parse_where",
]


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on signals; two of the same text are the same.

    Attributes:
        text: as written.
    """

    text: str
    _tree: Node = field(repr=False, compare=False)

    def matches(self, payload: Any, sense: str) -> bool:
        """Tell whether the condition holds for a signal.

        Args:
            payload: what the sense returned, a JSON value.
            sense: the name of the sense that gave the signal.

        Raises:
            WhereFailed: it has no answer, e.g. for want of a field.
        """
        return self._tree.holds(Scope(payload, sense))

    def __str__(self) -> str:
        return self.text


def parse_where(text: str) -> Where:
    """Read an expression; raises WhereInvalid with the column of what is wrong."""
    return Where(text, parse(text))
