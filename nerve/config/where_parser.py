"""From the text of a `where` expression to its tree, by recursive descent.

Parent; pure. The grammar stands in `nerve.config.where`. Every expression has limits, so
that neither reading it nor asking it can take long: its tree is asked in the parent, for
each signal that its reflex hears.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from nerve.config.where_nodes import (
    ORDERINGS,
    AllOf,
    AnyOf,
    Comparison,
    Default,
    Field,
    Literal,
    Membership,
    Node,
    Not,
    SenseName,
    has_order,
    kind_of,
)
from nerve.config.where_tokens import (
    COMPARISONS,
    KEYWORDS,
    Kind,
    Token,
    WhereInvalid,
    meant,
    number_of,
    slip,
    text_of,
    tokens_of,
)

MAX_CHARS = 4_000
"""Of an expression; a longer decision belongs into a sense."""
MAX_DEPTH = 30
"""Parentheses, lists and `not` within each other; each takes up to ten frames of Python."""
MAX_NODES = 300
"""Parts of an expression; each may have to go through the whole payload."""
MAX_LIST_ITEMS = 200
"""Of one list."""
_CONSTANTS = {"true": True, "false": False, "null": None}
_N = TypeVar("_N", bound=Node)


def parse(text: str) -> Node:
    """Read a whole expression; raises WhereInvalid."""
    if len(text) > MAX_CHARS:
        raise WhereInvalid(f"longer than {MAX_CHARS:,} characters, cut off", MAX_CHARS)
    return _Parser(text).whole()


class _Parser:
    """Reads one expression from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._last: Token | None = None
        self._next = next(self._tokens)
        self._depth = 0
        self._nodes = 0

    def whole(self) -> Node:
        start = self._next.start
        tree = self._either()
        if self._next.kind != "end":
            raise self._expected("'and', 'or' or the end")
        return _condition(tree, start)

    def _either(self) -> Node:
        return self._joined("or", self._all, AnyOf)

    def _all(self) -> Node:
        return self._joined("and", self._not, AllOf)

    def _joined(self, word: str, part: Callable[[], Node], whole: type[AnyOf | AllOf]) -> Node:
        start = self._next.start
        first = part()
        if not self._next_is(word):
            return first
        conditions = [_condition(first, start)]
        while self._next_is(word):
            self._take()
            begin = self._next.start
            conditions.append(_condition(part(), begin))
        return self._made(whole(tuple(conditions)))

    def _not(self) -> Node:
        if not self._next_is("not"):
            return self._comparison()
        token = self._take()
        self._enter(token)
        begin = self._next.start
        condition = _condition(self._not(), begin)
        self._depth -= 1
        return self._made(Not(condition))

    def _comparison(self) -> Node:
        left = self._value()
        if self._next.text in COMPARISONS:
            node = self._compared(left)
        elif self._next_is("in") or self._next_is("not"):
            node = self._contained(left)
        else:
            return left
        if self._next.text in COMPARISONS or self._next_is("in"):
            hint = "write: a < b and b < c"
            raise WhereInvalid("comparisons are not chained", self._next.start, hint=hint)
        return node

    def _compared(self, left: Node) -> Node:
        sign = self._take()
        right = self._value()
        for side in (left, right):
            if sign.text in ORDERINGS and isinstance(side, Literal) and not has_order(side.fixed):
                rule = f"{sign} compares numbers or texts, and {side} is neither"
                raise WhereInvalid(rule, sign.start)
        return self._made(Comparison(left, sign.text, right))

    def _contained(self, left: Node) -> Node:
        is_negated = self._next_is("not")
        if is_negated:
            self._take()
        sign = self._take_sign("in")
        whole = self._value()
        if isinstance(whole, Literal) and not isinstance(whole.fixed, list | str):
            raise WhereInvalid(f"{whole} is no list and no text to be in", sign.start)
        node = self._made(Membership(left, whole))
        return self._made(Not(node)) if is_negated else node

    def _value(self) -> Node:
        fields, last = list[Field](), self._single()
        while self._next_is("??"):
            if not isinstance(last, Field):
                raise WhereInvalid("'??' stands after a field", self._next.start)
            self._take()
            fields.append(last)
            last = self._single()
        return self._made(Default(tuple(fields), last)) if fields else last

    def _single(self) -> Node:
        token = self._next
        if self._next_is("("):
            return self._in_parentheses()
        if self._next_is("["):
            return self._list()
        if self._next_is("sense"):
            return self._sense()
        if _is_literal(token):
            return self._literal()
        if token.kind == "word" and (token.text not in KEYWORDS or token.text == "payload"):
            return self._field()
        raise self._expected("a value")

    def _in_parentheses(self) -> Node:
        self._enter(self._take())
        node = self._either()
        self._take_sign(")")
        self._depth -= 1
        return node

    def _list(self) -> Literal:
        start = self._take()
        self._enter(start)
        items: list[Any] = []
        while items or not self._next_is("]"):
            items.append(self._item())
            if len(items) > MAX_LIST_ITEMS:
                raise WhereInvalid(f"a list of more than {MAX_LIST_ITEMS} items", start.start)
            if self._next_is("]"):
                break
            self._take_sign(",")
        self._take_sign("]")
        self._depth -= 1
        return self._made(Literal(items, self._since(start)))

    def _item(self) -> Any:
        if self._next_is("["):
            return self._list().fixed
        if _is_literal(self._next):
            return self._literal().fixed
        raise self._expected("a number, a text, true, false or null")

    def _literal(self) -> Literal:
        token = self._take()
        match token.kind:
            case "number":
                fixed: Any = number_of(token)
            case "text":
                fixed = text_of(token)
            case _:
                fixed = _CONSTANTS[token.text]
        return self._made(Literal(fixed, token.text))

    def _sense(self) -> Node:
        self._take()
        if self._next_is(".") or self._next_is("["):
            hint = "a field of that name is payload.sense"
            raise WhereInvalid("the name of a sense has no fields", self._next.start, hint=hint)
        return self._made(SenseName())

    def _field(self) -> Field:
        first = self._take()
        if meant(first):
            raise slip(first)
        steps = () if first.text == "payload" else (first.text,)
        return self._made(Field((*steps, *self._steps())))

    def _steps(self) -> Iterator[str | int]:
        while self._next_is(".") or self._next_is("["):
            if self._take().text == ".":
                yield self._take_kind("word", "the name of a field").text
            else:
                yield self._key()
                self._take_sign("]")

    def _key(self) -> str | int:
        if self._next.kind == "text":
            return text_of(self._take())
        token = self._take_kind("number", "a whole number or a text in quotes")
        number = number_of(token)
        if isinstance(number, int):
            return number
        raise WhereInvalid(f"the number of an item is whole; {token} is not", token.start)

    def _made(self, node: _N) -> _N:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise WhereInvalid(f"more than {MAX_NODES} parts", self._next.start)
        return node

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WhereInvalid(f"nested deeper than {MAX_DEPTH}", token.start)

    def _since(self, first: Token) -> str:
        return self._text[first.start : self._last.end if self._last else first.end]

    def _next_is(self, text: str) -> bool:
        return self._next.kind in ("word", "sign") and self._next.text == text

    def _take(self) -> Token:
        self._last = token = self._next
        self._next = next(self._tokens)
        return token

    def _take_sign(self, text: str) -> Token:
        if not self._next_is(text):
            raise self._expected(f"'{text}'")
        return self._take()

    def _take_kind(self, kind: Kind, what: str) -> Token:
        if self._next.kind != kind:
            raise self._expected(what)
        return self._take()

    def _expected(self, what: str) -> WhereInvalid:
        token = self._next
        if meant(token):
            return slip(token)
        after = f" after {self._last}" if self._last else ""
        found = f", found {token}" if token.kind != "end" else ""
        is_call = token.text == "(" and self._last is not None and self._last.kind == "word"
        hint = "there are no functions; a default is written: load ?? 0" if is_call else ""
        return WhereInvalid(f"expected {what}{after}{found}", token.start, hint=hint)


def _condition(node: Node, start: int) -> Node:
    # What can be known without a payload only.
    if isinstance(node, Literal) and not isinstance(node.fixed, bool):
        raise WhereInvalid(f"{node} is {kind_of(node.fixed)}, so it is no condition,", start)
    return node


def _is_literal(token: Token) -> bool:
    return token.kind in ("number", "text") or (token.kind == "word" and token.text in _CONSTANTS)
