"""docs/configuration.md, from the models of nerve.yaml."""

import inspect
import re
import types
from types import NoneType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from nerve.config import values
from nerve.config.durations import format_duration
from nerve.config.effects import EFFECTS, Takes
from nerve.config.models import Config, Section
from nerve.config.sizes import format_size
from tests.docs.markdown import anchor, table

KINDS = [
    (values.Name, "name"),
    (values.Names, "name, or list of names"),
    (values.RetentionMs, f"duration, {format_duration(values.MIN_RETENTION_MS)} at least"),
    (values.PositiveMs, "duration, longer than 0s"),
    (values.DurationMs, "duration"),
    (
        values.MemoryBytes,
        f"size, {format_size(values.MIN_MEMORY_BYTES)} to {format_size(values.MAX_MEMORY_BYTES)}",
    ),
    (values.Zone, "time zone"),
    (values.Cron, "cron expression"),
    (values.WhereExpression, "condition"),
    (values.Directory, "path"),
    (values.Flag, "`true` or `false`"),
    (str, "text"),
    (Any, "anything"),
]
"""Annotations of fields, and how what they take is called in a table."""
SAID_DEFAULT = re.compile(r" ?Default (\S+?)\.$")


def made():
    """Return the part of the page that is made."""
    return "\n\n".join(_section(*part) for part in sections()) + "\n"


def sections():
    """Return (heading, model, path) of all parts of nerve.yaml, in its own order."""
    return [("The whole file", Config, ""), *_below(Config, "")]


def _below(model, path):
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        for part in _parts(hints[name], f"{path}{field.alias or name}"):
            yield part
            yield from _below(part[1], f"{part[2]}.")


def _parts(hint, path, also=""):
    """Return (heading, model, path) of each model that a value may be, or has in it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Section):
        return [(f"`{path}`{also}", hint, path)]
    if origin is dict:
        return _parts(arguments[1], f"{path}.NAME")
    if origin is tuple:
        return _parts(arguments[0], f"{path}[N]")
    if origin is Annotated and (key := getattr(hint.__metadata__[0], "discriminator", None)):
        return [
            part
            for variant in get_args(arguments[0])
            for part in _parts(variant, path, f" with `{key}: {_constant(variant, key)}`")
        ]
    return []


def _constant(model, key):
    return get_args(model.model_fields[key].annotation)[0]


def _section(title, model, path):
    hints = get_type_hints(model, include_extras=True)
    rows = [
        (*_row(field.alias or name, field, hints[name], path), _effect(model, field.alias or name))
        for name, field in model.model_fields.items()
    ]
    columns = ("key", "value", "default", "what it does", "a change takes effect")
    return f"## {title}\n\n{inspect.getdoc(model)}\n\n{table(columns, rows)}"


def _row(key, field, hint, path):
    default = _default(field, hint)
    told = SAID_DEFAULT.search(field.description)
    if told and told[1] != default.strip("`"):
        raise ValueError(f"{key}: its description says {told[0].strip()} It is {default or None}")
    takes = _takes(hint, f"{path}.{key}" if path else key)
    return f"`{key}`", takes, default, SAID_DEFAULT.sub("", field.description)


def _effect(model, key):
    takes = EFFECTS[f"{model.__name__}.{key}"]
    return "" if takes is Takes.PARTS else str(takes)


def _default(field, hint):
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value in (None, (), {}) or isinstance(value, Section):
        return ""
    written = TypeAdapter(hint).dump_python(value, mode="json")
    return f"`{str(written).lower() if isinstance(written, bool) else written}`"


def _takes(hint, path):
    """Say what a key takes, in a few words; parts of the file are linked."""
    known = next((words for kind, words in KINDS if kind == hint), None)
    if known:
        return known
    if parts := _parts(hint, path):
        linked = " or ".join(f"[{title}](#{anchor(title)})" for title, _, _ in parts)
        return {dict: "names, each with ", tuple: "list of "}.get(get_origin(hint), "") + linked
    return _composed(hint, path)


def _composed(hint, path):
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_takes(inner, path) for inner in arguments if inner is not NoneType)
    if origin is dict:
        return f"names, each with {_takes(arguments[1], path)}"
    if origin is tuple:
        return f"list of {_takes(arguments[0], path)}"
    if origin is Annotated and arguments[0] is int:
        rule = TypeAdapter(hint).json_schema()
        return f"{rule['minimum']:,} to {rule['maximum']:,}"
    if origin is Annotated:
        return _takes(arguments[0], path)
    raise TypeError(f"tests/docs/configuration.py has no words for {hint}")
