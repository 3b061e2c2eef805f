"""`${...}` in the strings of nerve.yaml, from the environment and from files.

The parent, once per load, after parsing: a value that comes in is text and stays text,
whatever it looks like, and is not looked through for further `${...}`. Keys are
left alone. Each new node remembers what went into it, so that secrets can be
masked and their variables kept from workers.

    ${VAR}            the variable; a fault if it is not set
    ${VAR:-default}   the default if it is not set or empty
    ${VAR:?message}   a fault with that message if it is not set or empty
    ${file:PATH}      a file's text without its last line ends, always secret
    $$                a dollar sign; any other lone one stays as it is
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nerve.config.faults import Fault, fault_at
from nerve.config.files import FileUnfit, read_small_file
from nerve.config.secrets import looks_secret
from nerve.config.tree import Node, Origin, TreePath

MAX_SECRET_FILE_BYTES = 64 * 1024
MAX_INSERTED_CHARS = 8_000_000
"""Put into one configuration altogether; an alias can repeat a `${...}` many thousand times."""

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::([-?])(.*))?", re.DOTALL)
_FILE = "file:"
_PLAIN_DOLLAR = "write $$ for a plain dollar sign"
_FORMS = f"write ${{VAR}}, ${{VAR:-default}}, ${{VAR:?message}} or ${{file:PATH}}; {_PLAIN_DOLLAR}"


class _Unresolved(ValueError):
    """A reference has no value."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    variable: str | None = None
    secret: bool = False
    is_default: bool = False


@dataclass(slots=True)
class Interpolator:
    """Interpolates one tree; `faults` is what could not be resolved.

    Attributes:
        folder: that of nerve.yaml; paths of files are relative to it.
        environ: the environment to read.
    """

    folder: Path
    environ: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)
    _files: dict[str, str] = field(default_factory=dict)
    _inserted_chars: int = 0

    def tree(self, node: Node, path: TreePath = ()) -> Node:
        """Return the tree with every string resolved; where that fails it stays as it was."""
        if isinstance(node.value, dict):
            inner = {key: self.tree(child, (*path, key)) for key, child in node.value.items()}
            return replace(node, value=inner)
        if isinstance(node.value, list):
            items = [self.tree(child, (*path, i)) for i, child in enumerate(node.value)]
            return replace(node, value=items)
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        return self._string(node, node.value, path)

    def _string(self, node: Node, text: str, path: TreePath) -> Node:
        pieces: list[_Piece] = []

        def insert(match: re.Match[str]) -> str:
            pieces.append(self._piece(match))
            return pieces[-1].text

        try:
            value = _REFERENCE.sub(insert, text)
        except _Unresolved as error:
            self.faults.append(fault_at(node.place, path, str(error), error.hint))
            return replace(node, origin=Origin(failed=True))
        return replace(node, value=value, origin=_origin(pieces))

    def _piece(self, match: re.Match[str]) -> _Piece:
        if match.group() == "$$":
            return _Piece("$", is_default=True)
        body, closed = match.groups()
        if not closed:
            raise _Unresolved("${ without a closing }", _PLAIN_DOLLAR)
        piece = self._file(body) if body.startswith(_FILE) else self._variable(body)
        self._inserted_chars += len(piece.text)
        if self._inserted_chars > MAX_INSERTED_CHARS:
            raise _Unresolved(f"more than {MAX_INSERTED_CHARS:,} characters put in altogether")
        return piece

    def _variable(self, body: str) -> _Piece:
        match = _VARIABLE.fullmatch(body)
        if not match or "${" in body:
            raise _Unresolved(f"${{{body[:80]}}} is not understood", _FORMS)
        name, operator, operand = match.groups()
        value = self.environ.get(name)
        if value is None and operator is None:
            raise _Unresolved(
                f"the environment variable {name[:80]} is not set",
                f"set it, or write ${{{name[:80]}:-default}}",
            )
        if value:
            return _Piece(_utf8(name, value), name, secret=looks_secret(name))
        if operator == "?":
            raise _Unresolved(f"{name[:80]}: {operand or 'is not set or empty'}")
        return _Piece(operand or "", is_default=True)

    def _file(self, body: str) -> _Piece:
        name = body.removeprefix(_FILE)
        if name not in self._files:
            self._files[name] = self._read(name)
        return _Piece(self._files[name], secret=True)

    def _read(self, name: str) -> str:
        path = self.folder / name
        try:
            content = read_small_file(path, MAX_SECRET_FILE_BYTES)
            return content.decode().rstrip("\r\n")
        except FileUnfit as error:
            raise _Unresolved(f"the file {str(path)!r} {error}", error.hint) from error
        except UnicodeDecodeError as error:
            raise _Unresolved(f"the file {str(path)!r} is not UTF-8") from error


def _utf8(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Unresolved(f"the environment variable {name[:80]} is not UTF-8") from error
    return value


def _origin(pieces: list[_Piece]) -> Origin:
    return Origin(
        variables=frozenset(piece.variable for piece in pieces if piece.variable),
        inserted=tuple(piece.text for piece in pieces if not piece.is_default),
        secret=any(piece.secret for piece in pieces),
    )
