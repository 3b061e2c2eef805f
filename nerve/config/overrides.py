"""`--set a.b.c=value`: values from the command line, laid over the tree.

The parent; pure. The value is read by the rules of the file (`[a, b]` is a list,
`5s` text), a path's numbers (`reflexes.0.on` or, as faults write it, `reflexes[0].on`)
index lists that are there already, and mappings on the way are made where they are
missing. Names in nerve.yaml hold no dots, so the path needs no quoting; an option whose
key holds one cannot be set here.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from nerve.config.composer import MAX_NESTING
from nerve.config.faults import ConfigFaults, Fault, one_fault
from nerve.config.tree import Node, Place, keyed
from nerve.config.yaml12 import MAX_FILE_BYTES, parse_text

_INDEX = re.compile(r"\[([0-9]+)\]")
_FORM = "write --set senses.cpu-usage.timeout=5s"


class _Misfit(ValueError):
    """The path does not fit the tree."""


def apply_overrides(tree: Node, overrides: Sequence[str]) -> tuple[Node, list[Fault]]:
    """Lay each `path=value` over the tree, in order; faulty ones are left out and reported."""
    faults: list[Fault] = []
    for override in overrides:
        try:
            tree = _apply(tree, override)
        except ConfigFaults as error:
            faults.extend(error.faults)
    return tree, faults


def _apply(tree: Node, override: str) -> Node:
    path, equals, text = override.partition("=")
    place = Place(f"--set {path}"[:200])
    steps = _INDEX.sub(r".\1", path).split(".")
    if not equals or not all(steps) or len(steps) > MAX_NESTING:
        raise one_fault(place, "not of the form path=value", _FORM)
    try:
        return _put(tree, steps, _read(text, place))
    except _Misfit as error:
        raise one_fault(place, str(error)) from error


def _read(text: str, place: Place) -> Node:
    try:
        # Arguments that are not UTF-8 arrive as lone surrogates.
        too_long = len(text.encode()) > MAX_FILE_BYTES
    except UnicodeEncodeError as error:
        raise _Misfit("the value is not UTF-8") from error
    if too_long:
        raise _Misfit(f"the value is over the limit of {MAX_FILE_BYTES:,} bytes")
    try:
        node = parse_text(text, place.source)
    except ConfigFaults as error:
        # Lines and columns within an argument would only be taken for those of the file.
        fault = error.faults[0]
        raise one_fault(place, fault.message, fault.hint) from error
    return _placed(node or Node(None, place), place)


def _placed(node: Node, place: Place) -> Node:
    if isinstance(node.value, dict):
        inner = {key: _placed(child, place) for key, child in node.value.items()}
        return Node(inner, place, place)
    if isinstance(node.value, list):
        return Node([_placed(child, place) for child in node.value], place, place)
    return Node(node.value, place, place)


def _put(node: Node, steps: list[str], new: Node) -> Node:
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(node.value, list):
        index = _index(step, len(node.value))
        items = [*node.value]
        items[index] = _put(items[index], rest, new)
        return replace(node, value=items)
    if node.value is not None and not isinstance(node.value, dict):
        raise _Misfit(f"there is no {step!r} in what is neither a mapping nor a list")
    entries = node.value or {}
    missing = Node(None, new.place, new.place)
    put = _put(entries.get(step, missing), rest, new)
    key_place = put.key_place if step not in entries else entries[step].key_place
    return replace(node, value={**entries, step: keyed(put, key_place or new.place)})


def _index(step: str, length: int) -> int:
    # isdecimal() alone would let int() see digits of other scripts.
    if not (step.isascii() and step.isdecimal()) or len(step) > len(str(length)):
        raise _Misfit(f"{step[:40]!r} is no index of a list of {length:,}")
    if int(step) >= length:
        raise _Misfit(f"there is no [{step}] in a list of {length:,}")
    return int(step)
