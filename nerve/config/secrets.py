"""Which values are secret, and how they are kept out of whatever nerve writes.

Every process; pure. Secret are: what came from `${file:}`, what came from an
environment variable whose name looks secret, every text or number at any depth
below a key that looks secret, everything under `senses.*.secrets`, and the variables whose
names look secret and that a sense asks for under `env`. Workers redact what senses print
with the same `Redactor`. Masking is by content: a secret that a sense has encoded or cut
in two is beyond it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Any

from nerve.config.tree import Node, TreePath, scalars

MASK = "********"
MIN_SECRET_CHARS = 4
"""Shorter secrets are not searched for: masking every `1` or `on` would leave no text readable."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_WORDS = frozenset(
    {"auth", "oauth", "authn", "authorization", "authorisation", "authentication"}
    | {"bearer", "jwt", "pat", "pwd"}
)
_ENDINGS = (
    *("token", "password", "passwd", "passphrase", "secret", "credential"),
    *("apikey", "privatekey", "secretkey", "accesskey"),
)
_KEYS = frozenset({"api", "private", "secret", "access", "signing", "encryption"})
_NAMED = ("senses", "workflows")


def looks_secret(key: str) -> bool:
    """Tell whether a key or variable, by its name, holds a secret.

    `api_key`, `apiKey`, `DB_PASSWORD`, `authtoken` do; `author`, `tokenizer`, `keyboard` do not.
    """
    words = [word.lower().removesuffix("s") for word in _WORD.findall(key)]
    if any(word in _WORDS or word.endswith(_ENDINGS) for word in words):
        return True
    return any(first in _KEYS and second == "key" for first, second in pairwise(words))


def is_secret_path(path: TreePath) -> bool:
    """Tell whether a value is secret by where it stands; a sense may be called `auth-log`."""
    keys = path[:1] + path[2:] if path[:1] and path[0] in _NAMED else path
    return any(looks_secret(step) for step in keys if isinstance(step, str))


def secret_scalars(tree: Node) -> Iterator[tuple[TreePath, Node]]:
    """Yield each secret text or number of a tree with its path."""
    for path, node in scalars(tree):
        by_origin = node.origin is not None and node.origin.secret
        if (by_origin or is_secret_path(path)) and not isinstance(node.value, bool | None):
            yield path, node


class Redactor:
    """Masks a set of secrets in text and in JSON values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.become(secrets)

    def become(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, and no others, for all who hold this redactor."""
        forms = {form for secret in set(secrets) for form in _forms(secret)}
        # Longest first: a secret that holds a shorter one has to go as a whole.
        self._secrets = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    @property
    def values(self) -> tuple[str, ...]:
        """What is masked; for a `Redactor` in another process."""
        return self._secrets

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def json(self, value: Any) -> Any:
        """Return a JSON value with every secret masked, in keys too, at any depth."""
        return self._json(value) if self._secrets else value

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._json(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._json(inner) for inner in value]
        # A number is secret as a whole or not at all; bool is an int, and never secret.
        is_secret = isinstance(value, int | float) and str(value) in self._secrets
        return MASK if is_secret and not isinstance(value, bool) else value


def _forms(secret: str) -> Iterator[str]:
    # A key of many lines is printed line by line, and in a traceback with its line ends escaped.
    candidates = (secret, json.dumps(secret)[1:-1], *(line.strip() for line in secret.splitlines()))
    return (form for form in candidates if len(form) >= MIN_SECRET_CHARS)


def mask_tree(value: Any, secret_paths: Collection[TreePath], path: TreePath = ()) -> Any:
    """Return plain values with what stands at or below the given paths masked."""
    if path in secret_paths:
        return MASK
    if isinstance(value, dict):
        return {k: mask_tree(inner, secret_paths, (*path, k)) for k, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mask_tree(inner, secret_paths, (*path, i)) for i, inner in enumerate(value)]
    return value
