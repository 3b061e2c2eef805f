"""The types of plain scalars in YAML 1.2: the core schema, finite numbers only.

Every process; pure. What is no null, boolean or number is text: `on`, `yes` and
`1:30` are text, `010` is ten. After https://yaml.org/spec/1.2.2/#1032-tag-resolution
"""

import math
import re

from nerve.config.tree import Scalar

MAX_INTEGER = 2**63 - 1
"""What SQLite and most readers of JSON hold."""
MAX_NUMBER_CHARS = 400
"""int() of a million digits would take seconds; no finite double needs more than this."""

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def resolve_scalar(text: str) -> Scalar:
    """Give a plain scalar its type; raises ValueError for a number that cannot be held."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("a number must be finite")
    if not any(pattern.fullmatch(text) for pattern in (_DECIMAL, _PREFIXED, _FLOAT)):
        return text
    number = _number(text) if len(text) <= MAX_NUMBER_CHARS else math.inf
    if math.isinf(number) or (isinstance(number, int) and abs(number) > MAX_INTEGER):
        raise ValueError("a number this large cannot be held")
    return number


def _number(text: str) -> int | float:
    if _DECIMAL.fullmatch(text):
        return int(text)
    return int(text, 0) if _PREFIXED.fullmatch(text) else float(text)
