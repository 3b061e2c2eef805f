"""Durations as people write them, in integer milliseconds.

Every process; pure.
"""

import re

MS_PER_UNIT = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX_DURATION_MS = 10 * 366 * MS_PER_UNIT["d"]
"""Ten years. Longer is a slip of the pen, and far below what a C `timespec` holds."""

PATTERN = r"([0-9]+(d|h|ms|m|s))+"
_WHOLE = re.compile(PATTERN)
_PART = re.compile(r"([0-9]+)(d|h|ms|m|s)")
_ORDER = ("d", "h", "m", "s", "ms")
_FORMS = "500ms, 5s, 10m, 1h30m or 1d"


def parse_duration(text: object) -> int:
    """Turn `500ms`, `5s`, `10m`, `1h30m`, `1d` into integer milliseconds.

    Units go from large to small, each at most once; there are no fractions and no
    signs. Raises ValueError with a sentence that says what is wrong.
    """
    if not isinstance(text, str):
        raise ValueError(f"a duration needs a unit: write {_FORMS}, not {text!r}")  # noqa: TRY004  pydantic turns ValueErrors into its own
    # The length test comes first: int() of a million digits would take seconds.
    if len(text) > 40 or not _WHOLE.fullmatch(text):  # noqa: PLR2004
        raise ValueError(f"not a duration: {text!r}; write {_FORMS}")
    parts = _PART.findall(text)
    ranks = [_ORDER.index(unit) for _, unit in parts]
    if ranks != sorted(set(ranks)):
        raise ValueError(f"units go from large to small, each once: {text!r}")
    total_ms = sum(int(number) * MS_PER_UNIT[unit] for number, unit in parts)
    if total_ms > MAX_DURATION_MS:
        raise ValueError(f"longer than ten years: {text!r}")
    return total_ms


def format_duration(ms: int) -> str:
    """Write milliseconds the way `parse_duration` reads them; 0 is `0s`."""
    parts = []
    for unit in _ORDER:
        number, ms = divmod(ms, MS_PER_UNIT[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
