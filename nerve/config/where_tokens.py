"""The words and signs of a `where` expression, and what is said of one that is not.

Parent; pure. Signs and words of other languages are known too, so that a slip is
answered with what was meant.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nerve.config.scalars import resolve_scalar

MAX_SHOWN_CHARS = 60
"""Of the expression, where a message quotes it."""
KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false", "null", "payload", "sense"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_SIGNS = COMPARISONS | {"??", "(", ")", "[", "]", ",", "."}
_MEANT_SIGNS = {
    "=": "==", "===": "==", "!==": "!=", "<>": "!=", "=<": "<=", "=>": ">=",
    "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "?": "??",
}  # fmt: skip
_MEANT_WORDS = {"none": "null", "nil": "null", "is": "=="}
_PATTERN = re.compile(
    r"""
      (?P<blank>  \s+ )
    | (?P<number> -?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\w* )
    | (?P<word>   [^\W\d]\w* )
    | (?P<text>   "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<sign>   [=!<>&|?]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "/": "/"}

Kind = Literal["number", "word", "text", "sign", "end"]


class WhereInvalid(ValueError):
    """A text is no `where` expression.

    Attributes:
        column: where in the text, from 1, in characters.
    """

    def __init__(self, message: str, start: int, *, hint: str = "") -> None:
        self.column = start + 1
        more = f"; {hint}" if hint else ""
        super().__init__(f"{message} at column {self.column}{more}")


@dataclass(frozen=True, slots=True)
class Token:
    """One word, sign, number or text in quotes, as written; `start` counts from 0."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where in the expression the next one may begin."""
        return self.start + len(self.text)

    def __str__(self) -> str:
        shown = shortened(self.text)
        return shown if self.kind == "text" else f"'{shown}'"


def shortened(text: str) -> str:
    """Return a part of an expression as a message may show it."""
    cut = text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of an expression and the end; raises WhereInvalid."""
    for match in _PATTERN.finditer(text):
        word, start = match.group(), match.start()
        match match.lastgroup:
            case "number" | "word" | "text" as kind:
                yield Token(kind, word, start)
            case "sign" if word in _SIGNS:
                yield Token("sign", word, start)
            case "sign":
                raise _unknown_sign(word, start)
    yield Token("end", "", len(text))


def meant(token: Token) -> str:
    """Return the word or sign of this language that a word of another probably stands for."""
    lower = token.text.lower()
    if token.kind != "word" or token.text in KEYWORDS:
        return ""
    return lower if lower in KEYWORDS else _MEANT_WORDS.get(lower, "")


def slip(token: Token) -> WhereInvalid:
    """Make the error for a word that `meant` knows."""
    return WhereInvalid(
        f"unknown word {token}", token.start, hint=f"did you mean '{meant(token)}'?"
    )


def number_of(token: Token) -> int | float:
    """Return what a number comes to; raises WhereInvalid for one that is none or too large."""
    try:
        number = resolve_scalar(token.text)
    except ValueError as error:
        raise WhereInvalid(str(error), token.start) from error
    if isinstance(number, int | float):
        return number
    raise WhereInvalid(f"{token} is no number", token.start)


def text_of(token: Token) -> str:
    """Return what stands between the quotes; raises WhereInvalid for an unknown escape."""

    def character(escape: re.Match[str]) -> str:
        code, letter = escape.groups()
        if code is None and letter not in _ESCAPED:
            start = token.start + 1 + escape.start()
            hint = "a backslash is written twice"
            raise WhereInvalid(f"unknown escape '{shortened(escape.group())}'", start, hint=hint)
        return chr(int(code, 16)) if code else _ESCAPED[letter]

    return _ESCAPE.sub(character, token.text[1:-1])


def _unknown_sign(sign: str, start: int) -> WhereInvalid:
    if sign in ('"', "'"):
        return WhereInvalid(f"the text that begins with {sign} has no end; it begins", start)
    hint = ""
    if sign in _MEANT_SIGNS:
        hint = f"did you mean '{_MEANT_SIGNS[sign]}'?"
    elif sign in "+-*/%":
        hint = 'there is no arithmetic, and a name with a hyphen is written payload["a-b"]'
    return WhereInvalid(f"unknown sign '{shortened(sign)}'", start, hint=hint)
