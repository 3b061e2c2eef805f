"""What was left blank counts as not given.

The parent; pure; after interpolation, so that an empty variable leaves a default in
place. Under nerve's own keys blank strings and nulls go. A name with nothing
under it is kept, as an empty mapping: `senses: {disk: }` configures disk. In a
sense's options blank strings go, and null stays: what it means is the sense's. So does
null in a list, where a dash with nothing after it is a slip that the models refuse.
"""

from dataclasses import replace

from nerve.config.tree import Node, TreePath

_NAMED = ("senses", "groups", "workflows")
_OPTIONS_DEPTH = 3  # senses, name, options


def without_blanks(node: Node, path: TreePath = ()) -> Node:
    """Return the tree without what was left blank."""
    if isinstance(node.value, dict):
        entries = {key: _child(child, (*path, key)) for key, child in node.value.items()}
        return replace(node, value={key: child for key, child in entries.items() if child})
    if isinstance(node.value, list):
        items = [child for child in node.value if not _is_blank_text(child)]
        inner = [without_blanks(child, (*path, index)) for index, child in enumerate(items)]
        return replace(node, value=inner)
    return node


def _child(node: Node, path: TreePath) -> Node | None:
    if not _is_blank(node, path):
        return without_blanks(node, path)
    is_name = len(path) == len(("senses", "name")) and path[0] in _NAMED
    return replace(node, value={}) if is_name else None


def _is_blank(node: Node, path: TreePath) -> bool:
    return _is_blank_text(node) or (node.value is None and not _in_options(path))


def _is_blank_text(node: Node) -> bool:
    return isinstance(node.value, str) and not node.value.strip()


def _in_options(path: TreePath) -> bool:
    return len(path) > _OPTIONS_DEPTH and path[0] == "senses" and path[2] == "options"
