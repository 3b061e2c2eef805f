"""Sizes of memory as people write them, in integer bytes.

Every process; pure. KB, MB and GB are powers of 1024, as in the settings of systemd, Docker and
PostgreSQL, and as machines have memory; KiB, MiB and GiB say the same and may be written, too.
"""

import re

BYTES_PER_UNIT = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
MAX_SIZE_BYTES = 1024 * BYTES_PER_UNIT["GB"]
"""More than this is a slip of the pen."""

PATTERN = r"[0-9]+(K|M|G)i?B"
_WHOLE = re.compile(PATTERN)
_FORMS = "64MB, 512MB or 2GB"
_MAX_CHARS = 40


def parse_size(text: object) -> int:
    """Turn `512KB`, `512MB`, `1GB`, `1GiB` into integer bytes, always whole kilobytes.

    There are no fractions and no signs: 1.5 GB is `1536MB`. Raises ValueError with a sentence that
    says what is wrong.
    """
    if not isinstance(text, str):
        raise ValueError(f"a size needs a unit: write {_FORMS}, not {text!r}")  # noqa: TRY004  pydantic turns ValueErrors into its own
    # The length test comes first: int() of a million digits would take seconds.
    if len(text) > _MAX_CHARS or not _WHOLE.fullmatch(text):
        raise ValueError(f"not a size: {text!r}; write {_FORMS}")
    digits = text.rstrip("KMGiB")
    total_bytes = int(digits) * BYTES_PER_UNIT[f"{text[len(digits)]}B"]
    if total_bytes > MAX_SIZE_BYTES:
        raise ValueError(f"larger than {show_size(MAX_SIZE_BYTES)}: {text!r}")
    return total_bytes


def format_size(size_bytes: int) -> str:
    """Write whole kilobytes the way `parse_size` reads them, nothing lost; 0 is `0KB`."""
    exact = [unit for unit, factor in BYTES_PER_UNIT.items() if size_bytes % factor == 0]
    unit = exact[-1] if size_bytes and exact else "KB"
    return f"{size_bytes // BYTES_PER_UNIT[unit]}{unit}"


def show_size(size_bytes: int) -> str:
    """Write a size that was measured, for people: `1.2 GB`, `48 MB`, `0 KB`."""
    # What would round to 1,024 of a unit is one of the next.
    fitting = [
        unit for unit, factor in BYTES_PER_UNIT.items() if size_bytes >= factor - factor // 2048
    ]
    unit = fitting[-1] if fitting else "KB"
    number = size_bytes / BYTES_PER_UNIT[unit]
    digits = 1 if number < 10 and unit != "KB" else 0  # noqa: PLR2004  1.2 GB, and 12 GB
    return f"{number:,.{digits}f}".removesuffix(".0") + f" {unit}"
