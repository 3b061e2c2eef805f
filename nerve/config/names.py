"""Names: how a sense's name becomes a module's, and which name was probably meant.

Every process; pure.
"""

import difflib
from collections.abc import Iterable

MAX_CANDIDATES = 200
"""Names compared for one suggestion; the comparison is slow, and a hint is only a hint."""
_MAX_LENGTH_DIFFERENCE = 3

DEFAULT_GROUP = "default"
"""Of a sense that names none."""


def module_name(sense: str) -> str:
    """Name of the folder and module of a sense: `cpu-usage` is `cpu_usage`."""
    return sense.replace("-", "_")


def sense_name(module: str) -> str:
    """Name of the sense in a folder: `cpu_usage` is `cpu-usage`."""
    return module.replace("_", "-")


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `word` is probably a slip of, or None if none is near."""
    near = [name for name in candidates if abs(len(name) - len(word)) <= _MAX_LENGTH_DIFFERENCE]
    found = difflib.get_close_matches(word, near[:MAX_CANDIDATES], n=1)
    return found[0] if found else None
