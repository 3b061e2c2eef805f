"""nerve.yaml as a JSON Schema, for editors.

The command line; pure. The models know durations as milliseconds, sizes as bytes and names
after interpolation; the file holds `30s` and perhaps `${TIMEOUT}`. So here defaults are
written as in the file, and any text may hold a `${...}` instead of what it should.
"""

from collections.abc import Callable
from typing import Any

from nerve.config.durations import PATTERN, format_duration
from nerve.config.models import Config
from nerve.config.sizes import PATTERN as SIZE_PATTERN
from nerve.config.sizes import format_size

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANNOTATIONS = ("title", "description", "default", "examples")
_FORMATS: dict[str, Callable[[int], str]] = {
    f"^{PATTERN}$": format_duration,
    f"^{SIZE_PATTERN}$": format_size,
}
_INTERPOLATED = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> dict[str, Any]:
    """Return the schema of nerve.yaml, in its spelling, each key with a description."""
    schema = _as_written(Config.model_json_schema(by_alias=True))
    for section in ("senses", "groups"):
        _may_be_blank(schema["properties"][section]["patternProperties"])
    return {"$schema": DIALECT, **schema, "title": "nerve.yaml"}


def _as_written(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_as_written(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _as_written(value) for key, value in schema.items()}
    written = _FORMATS.get(str(schema.get("pattern")))
    if written and isinstance(schema.get("default"), int):
        inner["default"] = written(schema["default"])
    if schema.get("type") in ("integer", "boolean") or "pattern" in schema:
        return _or_interpolated(inner)
    return inner


def _may_be_blank(named: dict[str, Any]) -> None:
    # With nothing under its name, a sense or a group has all defaults.
    for pattern, section in named.items():
        named[pattern] = {"anyOf": [section, {"type": "null"}]}


def _or_interpolated(schema: dict[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    rule = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    return {**said, "anyOf": [rule, _INTERPOLATED]}
