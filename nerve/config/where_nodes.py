"""A `where` expression as a tree, and what it comes to for one signal.

Parent; pure. Nodes are immutable and hold no signal, so one tree serves all. Kinds are
strict: only true and false are conditions, a number is never equal to true or to a text,
and only two numbers or two texts have an order. What cannot be answered raises
`WhereFailed` rather than being guessed. The tree's height is limited by the parser, so
nodes may recurse; payloads may be deeper, so over them nothing does.
"""

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from nerve.config.tree import TreePath, format_path
from nerve.config.where_tokens import shortened

MAX_COMPARED = 50_000
"""Values compared for equality for one signal: some 20 ms, in which the parent waits."""
ORDERINGS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class WhereFailed(Exception):
    """An expression has no answer for a signal; the message says which field, and why."""


class FieldMissing(WhereFailed):
    """A field is not in the payload."""


@dataclass(slots=True)
class Scope:
    """What an expression can see: one signal's payload, a JSON value, and its sense.

    Attributes:
        left: values that may still be compared for equality.
    """

    payload: Any
    sense: str
    left: int = MAX_COMPARED

    def spend(self) -> None:
        """Count one comparison; raises WhereFailed for one too many."""
        self.left -= 1
        if self.left < 0:
            raise WhereFailed(f"it would compare more than {MAX_COMPARED:,} values")


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """A part of an expression."""

    @abstractmethod
    def value(self, scope: Scope) -> Any:
        """Return what this comes to, a JSON value; raises WhereFailed."""

    def holds(self, scope: Scope) -> bool:
        """Return what this comes to as a condition; raises WhereFailed."""
        value = self.value(scope)
        if isinstance(value, bool):
            return value
        raise WhereFailed(f"{self.said(value)} is no condition; compare it")

    def said(self, value: Any) -> str:
        """Name this part with the kind of its value: `'load' (a number)`.

        What stands in the expression itself has no name, because it may be a secret of the
        configuration: `a text`.
        """
        return f"'{self.name}' ({kind_of(value)})" if self.name else kind_of(value)

    @property
    def name(self) -> str:
        """The field that this is; empty for what is none."""
        return ""


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value that stands in the expression; `text` is how."""

    fixed: Any
    text: str

    def value(self, _scope: Scope) -> Any:
        """Return it."""
        return self.fixed

    def __str__(self) -> str:
        return shortened(self.text)


@dataclass(frozen=True, slots=True)
class SenseName(Node):
    """The name of the sense that gave the signal."""

    @property
    def name(self) -> str:
        """As an expression writes it."""
        return "sense"

    def value(self, scope: Scope) -> Any:
        """Return it."""
        return scope.sense


@dataclass(frozen=True, slots=True)
class Field(Node):
    """A field of the payload, or all of it where there are no `steps`."""

    steps: TreePath

    @property
    def name(self) -> str:
        """Its path."""
        return format_path(self.steps) or "payload"

    def value(self, scope: Scope) -> Any:
        """Look it up; raises FieldMissing."""
        found = scope.payload
        for position, step in enumerate(self.steps):
            is_there = step in found if isinstance(found, dict) else _is_index(step, found)
            if not is_there:
                raise FieldMissing(_missing(self.steps, position, found))
            found = found[step]
        return found


@dataclass(frozen=True, slots=True)
class Default(Node):
    """The first of some fields that is there and not null, or else another value."""

    fields: tuple[Field, ...]
    other: Node

    @property
    def name(self) -> str:
        """That of the first field."""
        return f"{self.fields[0].name} ?? ..."

    def value(self, scope: Scope) -> Any:
        """Try them in turn."""
        for field in self.fields:
            try:
                found = field.value(scope)
            except FieldMissing:
                continue
            if found is not None:
                return found
        return self.other.value(scope)


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """Two values compared by one of COMPARISONS."""

    left: Node
    sign: str
    right: Node

    def value(self, scope: Scope) -> bool:
        """Compare; raises WhereFailed for an order that is none."""
        left, right = self.left.value(scope), self.right.value(scope)
        if self.sign in ("==", "!="):
            return equal(left, right, scope) is (self.sign == "==")
        if not has_order(left) or kind_of(left) != kind_of(right):
            what = f"{self.left.said(left)} with {self.right.said(right)}"
            raise WhereFailed(f"cannot compare {what} by {self.sign}")
        return bool(ORDERINGS[self.sign](left, right))


@dataclass(frozen=True, slots=True)
class Membership(Node):
    """Whether something is an item of a list, a part of a text or a key of an object."""

    item: Node
    whole: Node

    def value(self, scope: Scope) -> bool:
        """Look; raises WhereFailed where that makes no sense."""
        item, whole = self.item.value(scope), self.whole.value(scope)
        if isinstance(whole, list):
            return any(equal(item, other, scope) for other in whole)
        if not isinstance(whole, str | dict):
            raise WhereFailed(f"nothing is in {self.whole.said(whole)}")
        if not isinstance(item, str):
            what = f"{self.item.said(item)} cannot be in {self.whole.said(whole)}"
            raise WhereFailed(f"{what}, only a text can")
        return item in whole


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The opposite of a condition."""

    condition: Node

    def value(self, scope: Scope) -> bool:
        """Turn it round."""
        return not self.condition.holds(scope)


@dataclass(frozen=True, slots=True)
class AllOf(Node):
    """Conditions joined by `and`; after the first that does not hold, none is looked at."""

    conditions: tuple[Node, ...]

    def value(self, scope: Scope) -> bool:
        """Ask them in turn."""
        return all(condition.holds(scope) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class AnyOf(Node):
    """Conditions joined by `or`; after the first that holds, none is looked at."""

    conditions: tuple[Node, ...]

    def value(self, scope: Scope) -> bool:
        """Ask them in turn."""
        return any(condition.holds(scope) for condition in self.conditions)


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def has_order(value: Any) -> bool:
    """Whether a value can be less or more than another of its kind."""
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def equal(left: Any, right: Any, scope: Scope) -> bool:
    """Whether two JSON values are the same, of whatever depth; those of two kinds never are."""
    pairs = [(left, right)]
    while pairs:
        scope.spend()
        one, other = pairs.pop()
        if kind_of(one) != kind_of(other):
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            pairs += [(inner, other[key]) for key, inner in one.items()]
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


def _is_index(step: str | int, found: Any) -> bool:
    return isinstance(found, list) and isinstance(step, int) and -len(found) <= step < len(found)


def _missing(steps: TreePath, position: int, found: Any) -> str:
    message = f"no such field '{format_path(steps[: position + 1])}'"
    if isinstance(found, dict):
        return message
    whole = f"'{format_path(steps[:position])}'" if position else "the payload"
    what = f"a list of {len(found):,}" if isinstance(found, list) else kind_of(found)
    return f"{message}: {whole} is {what}"
