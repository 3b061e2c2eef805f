"""What nerve.yaml said before it had a meaning: values, each knowing where it stands.

The parent; pure. Reading, `--set`, interpolation and the removal of blanks each
turn one tree into another; the last one is validated by the models, and kept, so
that whatever is found wrong later still has its line. Nodes are immutable and
may be shared (a YAML alias is the same node twice). The tree's height is
limited by those who build it, so functions here may recurse.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

TreePath = tuple[str | int, ...]
"""Keys and list indices from the top, in nerve.yaml's spelling."""
Scalar = str | int | float | bool | None
MAX_KEY_CHARS = 80
"""A longer key is cut where a fault shows it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file with line and column from 1, or a `--set` argument."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(p) for p in (self.source, self.line, self.column) if p is not None)


@dataclass(frozen=True, slots=True)
class Origin:
    """How interpolation made a string.

    Attributes:
        variables: names of the environment variables whose values went in.
        inserted: what was put in, piece by piece.
        secret: something put in is secret, wherever it stands.
        failed: it could not be made; the node still holds the text as written.
    """

    variables: frozenset[str] = frozenset()
    inserted: tuple[str, ...] = field(default=(), repr=False)
    secret: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place; `key_place` is that of the key it stands under, if any."""

    value: "Scalar | dict[str, Node] | list[Node]" = field(repr=False)
    place: Place
    key_place: Place | None = None
    origin: Origin | None = None


def keyed(node: Node, key_place: Place) -> Node:
    """Return the node as it stands under a key."""
    return Node(node.value, node.place, key_place, node.origin)


def children(node: Node) -> Iterator[tuple[str | int, Node]]:
    """Yield what a mapping or list holds, with its key or index; nothing for a scalar."""
    if isinstance(node.value, dict):
        yield from node.value.items()
    elif isinstance(node.value, list):
        yield from enumerate(node.value)


def scalars(node: Node, path: TreePath = ()) -> Iterator[tuple[TreePath, Node]]:
    """Yield every scalar of the tree with its path, in the order of the file."""
    if not isinstance(node.value, dict | list):
        yield path, node
    for step, child in children(node):
        yield from scalars(child, (*path, step))


def plain(node: Node) -> Any:
    """Return the tree as dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def find(node: Node, path: TreePath) -> tuple[Node, TreePath]:
    """Follow a path as far as the tree goes; return the last node and the path to it."""
    for depth, step in enumerate(path):
        inner = _child(node, step)
        if inner is None:
            return node, path[:depth]
        node = inner
    return node, path


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict):
        return node.value.get(str(step))
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def format_path(path: TreePath) -> str:
    """Write a path as `senses.cpu-usage.timeout` or `reflexes[2].on`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in path]
    return "".join(steps).removeprefix(".")


def _shown(key: str) -> str:
    cut = key if len(key) <= MAX_KEY_CHARS else f"{key[:MAX_KEY_CHARS]}..."
    # A key may hold an escape sequence meant for the operator's terminal.
    return cut if cut.isprintable() and cut and "." not in key else json.dumps(cut)
