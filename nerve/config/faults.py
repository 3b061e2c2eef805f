"""What is wrong with a configuration: each fault with its place, all of them at once.

The parent, and pure. A `Problem` is what a check found, in terms of the tree; a
`Fault` is the same for the operator, with a file and a line. Checks raise neither:
they collect, and `nerve.config.load` raises `ConfigFaults` once, at the end.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nerve.config.names import closest
from nerve.config.tree import Node, Place, TreePath, find, format_path
from nerve.errors import ConfigurationInvalid

MAX_FAULTS = 100
"""Faults shown; after so many, one mistake has been made everywhere."""
MAX_MESSAGE_CHARS = 400
"""A message may quote a value, and a value may be a megabyte."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, or one warning.

    Attributes:
        source: name of the file, or the `--set` argument without its value.
        line: from 1; None for `--set` and where the file as a whole is meant.
        column: from 1, in characters; None where `line` is.
        field: path of the field, e.g. `reflexes[2].on`; empty for the whole file.
        message: what is wrong.
        hint: what to do about it; may be empty.
    """

    source: str
    line: int | None
    column: int | None
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = Place(self.source, self.line, self.column)
        said = f"{self.message}; {self.hint}" if self.hint else self.message
        is_field_said = not self.field or self.source.endswith(f" {self.field}")  # --set a.b.c
        return f"{place}: {said}" if is_field_said else f"{place}: {self.field}: {said}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a check found, before its place is looked up.

    Attributes:
        path: the value in question, in nerve.yaml's spelling.
        message: what is wrong.
        hint: what to do about it; may be empty.
        at_key: the fault is the key and not its value.
        word: what was written; with `candidates`, a "did you mean" is looked for.
        candidates: what could have been written. Compared only once the fault is
            shown, because comparing all with all takes minutes in a hostile file.
        quotes_value: message or hint may quote what was written, so that they are
            withheld where that is secret.
    """

    path: TreePath
    message: str
    hint: str = ""
    at_key: bool = False
    word: str = ""
    candidates: Collection[str] = ()
    quotes_value: bool = True


class ConfigFaults(ConfigurationInvalid):
    """The configuration cannot be used.

    Attributes:
        faults: at most MAX_FAULTS of them, in the order of their places.
        omitted: how many more there are.
    """

    def __init__(self, faults: Sequence[Fault], *, omitted: int = 0) -> None:
        ordered = by_place(faults)
        self.faults = tuple(ordered[:MAX_FAULTS])
        self.omitted = omitted + len(ordered) - len(self.faults)
        lines = [str(fault) for fault in self.faults]
        if self.omitted:
            lines.append(f"... and {self.omitted:,} more faults")
        super().__init__("\n".join(lines))


def fault_at(place: Place, path: TreePath, message: str, hint: str = "") -> Fault:
    """Make a fault of a place that is already known; a very long message is cut."""
    if len(message) > MAX_MESSAGE_CHARS:
        message = f"{message[:MAX_MESSAGE_CHARS]}..."
    return Fault(place.source, place.line, place.column, format_path(path), message, hint)


def one_fault(place: Place, message: str, hint: str = "") -> ConfigFaults:
    """Make the error for a fault that ends the reading; it concerns no field."""
    return ConfigFaults([fault_at(place, (), message, hint)])


def locate(tree: Node, problem: Problem) -> Fault:
    """Look up where a problem stands; where its path ends early, the innermost part counts."""
    node, path = find(tree, problem.path)
    rest = problem.path[len(path) :]
    if isinstance(node.value, dict) and all(isinstance(step, str) for step in rest):
        path = problem.path  # what is not written yet is named all the same
    place = node.key_place if problem.at_key and node.key_place else node.place
    return fault_at(place, path, problem.message, problem.hint or _did_you_mean(problem))


def _did_you_mean(problem: Problem) -> str:
    meant = closest(problem.word, problem.candidates) if problem.word else None
    return f'did you mean "{meant}"?' if meant else ""


def by_place(faults: Iterable[Fault]) -> list[Fault]:
    """Sort faults by source, line and column; the file comes before the command line."""
    return sorted(faults, key=_order)


def _order(fault: Fault) -> tuple[bool, str, int, int]:
    return (fault.line is None, fault.source, fault.line or 0, fault.column or 0)
