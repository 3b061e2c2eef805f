"""nerve.yaml as a JSON Schema, for editors.

The command line; pure. The models know durations as milliseconds and names after
interpolation; the file holds `30s` and perhaps `${TIMEOUT}`. So here defaults are
written as in the file, and any text may hold a `${...}` instead of what it should.
"""

from typing import Any

from nerve.config.durations import PATTERN, format_duration
from nerve.config.models import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANNOTATIONS = ("title", "description", "default", "examples")
_INTERPOLATED = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> dict[str, Any]:
    """Return the schema of nerve.yaml, in its spelling, each key with a description."""
    schema = _as_written(Config.model_json_schema(by_alias=True))
    # A sense with nothing under its name has all defaults.
    senses = schema["properties"]["senses"]["patternProperties"]
    for pattern, sense in senses.items():
        senses[pattern] = {"anyOf": [sense, {"type": "null"}]}
    return {"$schema": DIALECT, **schema, "title": "nerve.yaml"}


def _as_written(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_as_written(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _as_written(value) for key, value in schema.items()}
    if _is_duration(schema) and isinstance(schema.get("default"), int):
        inner["default"] = format_duration(schema["default"])
    if schema.get("type") in ("integer", "boolean") or "pattern" in schema:
        return _or_interpolated(inner)
    return inner


def _is_duration(schema: dict[str, Any]) -> bool:
    return bool(schema.get("pattern") == f"^{PATTERN}$")


def _or_interpolated(schema: dict[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    rule = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    return {**said, "anyOf": [rule, _INTERPOLATED]}
