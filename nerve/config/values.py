"""The kinds of values that nerve.yaml is made of: names, durations, sizes, zones, cron, flags.

Every process; pure. Each is a type for a field of a model, with its check, in words that
an operator may see, and what editors are told about it. pydantic would be more
obliging than YAML 1.2 and the design allow (`on` for true, 3.0 or true for a number);
the checks here come first.
"""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from nerve.config.crontab import calendar_of
from nerve.config.durations import MS_PER_UNIT, PATTERN, format_duration, parse_duration
from nerve.config.sizes import MAX_SIZE_BYTES, format_size, parse_size, show_size
from nerve.config.sizes import PATTERN as SIZE_PATTERN
from nerve.config.where import MAX_CHARS as MAX_WHERE_CHARS
from nerve.config.where import Where, parse_where

NAME_PATTERN = r"[a-z][a-z0-9-]*"
"""Names are safe in paths, module names, templates and on a command line."""
USE_PATTERN = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
ENV_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
MAX_NAME_CHARS = 64
MAX_CONCURRENCY = 1_000
MAX_QUEUE = 100_000
MIN_MEMORY_BYTES = 64 * 2**20
"""Of a worker: one that has done nothing yet has 52 MB of it in use."""
MAX_MEMORY_BYTES = MAX_SIZE_BYTES
MIN_OPEN_FILES = 64
"""Of a worker: one with a single sense has 14 open, and each further one takes 3."""
MAX_OPEN_FILES = 1_048_576
"""What Linux allows a process unless told otherwise (fs.nr_open)."""
MAX_PROCESSES = 32_768
"""Process ids that a machine has unless told otherwise (kernel.pid_max)."""
MAX_NICE = 19
"""The least priority that Linux knows."""
MAX_OUTPUT_LINES_PER_SECOND = 5_000
"""Each line is a row of the log."""
MIN_RETENTION_MS = MS_PER_UNIT["d"]
"""The archive has a file for each day, and takes whole days."""
_BOOLEAN_ONCE = frozenset({"yes", "no", "on", "off", "y", "n"})
"""What YAML 1.1 took for true or false."""


class FieldMisfit(ValueError):
    """A field is wrong beside the others, which only the check of the whole section sees.

    Attributes:
        field: its key in nerve.yaml.
    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


def _positive(ms: int) -> int:
    if ms <= 0:
        raise ValueError("must be longer than nothing")
    return ms


def _retention(ms: int) -> int:
    if ms < MIN_RETENTION_MS:
        raise ValueError(f"must be at least {format_duration(MIN_RETENTION_MS)}")
    return ms


def _worker_memory(size_bytes: int) -> int:
    if size_bytes < MIN_MEMORY_BYTES:
        least = show_size(MIN_MEMORY_BYTES)
        raise ValueError(f"must be at least {least}: a worker needs most of that itself")
    return size_bytes


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"unknown time zone {name!r}; write one like Europe/Berlin") from error
    return name


def _cron(expression: str) -> str:
    calendar_of(expression)
    return expression


def _where(expression: object) -> Where:
    if isinstance(expression, Where):
        return expression
    if not isinstance(expression, str):
        raise ValueError("must be a condition such as load > 5")  # noqa: TRY004  pydantic turns ValueErrors into its own
    return parse_where(expression)


def _whole_number(value: object) -> object:
    # pydantic would take true for 1 and 3.0 for 3. Text is what ${VAR} gives.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:  # noqa: PLR2004  digits of 2**63
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")  # noqa: TRY004  pydantic turns ValueErrors into its own
    return value


def _true_or_false(value: object) -> object:
    # pydantic would take `on`, `y` and 1 too, which YAML 1.2 does not.
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    is_yaml_1_1 = isinstance(value, str) and value.lower() in _BOOLEAN_ONCE
    more = f"; in YAML 1.2 {value} is text" if is_yaml_1_1 else ""
    raise ValueError(f"must be true or false{more}")


def _directory(path: str) -> str:
    if path.startswith("~"):
        raise ValueError("~ is not expanded here; write ${HOME} instead")
    if "\0" in path:
        raise ValueError("a path holds no NUL character")
    return path


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _no_repeats(names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"{name!r} stands here twice")
    return names


def likely_name(written: str) -> str:
    """Return the name that was probably meant, such as cpu-usage for CPU_Usage; "" for none."""
    likely = re.sub(r"[^a-z0-9]+", "-", written[:MAX_NAME_CHARS].lower()).strip("-")
    return likely if re.fullmatch(NAME_PATTERN, likely) else ""


Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", max_length=MAX_NAME_CHARS)]
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_one_or_many),
    AfterValidator(_no_repeats),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{NAME_PATTERN}$"},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "pattern": f"^{NAME_PATTERN}$"},
                },
            ]
        }
    ),
]
DurationMs = Annotated[
    int,
    BeforeValidator(parse_duration),
    # Dumped as JSON by alias, a section can be read by its model again, as workers do.
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{PATTERN}$", "examples": ["500ms", "1h30m"]}),
]
PositiveMs = Annotated[DurationMs, AfterValidator(_positive)]
RetentionMs = Annotated[DurationMs, AfterValidator(_retention)]
MemoryBytes = Annotated[
    int,
    BeforeValidator(parse_size),
    AfterValidator(_worker_memory),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{SIZE_PATTERN}$", "examples": ["512MB", "2GB"]}
    ),
]
Zone = Annotated[str, AfterValidator(_zone)]
Cron = Annotated[str, AfterValidator(_cron)]
WhereExpression = Annotated[
    Where,
    PlainValidator(_where),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_WHERE_CHARS,
            "examples": ["load > 5", 'busy_percent > 90 and sense == "cpu-usage"'],
        }
    ),
]
Directory = Annotated[str, AfterValidator(_directory)]
Flag = Annotated[bool, BeforeValidator(_true_or_false)]
Concurrency = Annotated[int, Field(ge=1, le=MAX_CONCURRENCY), BeforeValidator(_whole_number)]
QueueLimit = Annotated[int, Field(ge=1, le=MAX_QUEUE), BeforeValidator(_whole_number)]
OpenFiles = Annotated[
    int, Field(ge=MIN_OPEN_FILES, le=MAX_OPEN_FILES), BeforeValidator(_whole_number)
]
Processes = Annotated[int, Field(ge=0, le=MAX_PROCESSES), BeforeValidator(_whole_number)]
Nice = Annotated[int, Field(ge=0, le=MAX_NICE), BeforeValidator(_whole_number)]
LinesPerSecond = Annotated[
    int, Field(ge=1, le=MAX_OUTPUT_LINES_PER_SECOND), BeforeValidator(_whole_number)
]
