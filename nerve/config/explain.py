"""pydantic's errors in the words of nerve.yaml.

Every process; pure: a worker that checks a sense's options explains what is wrong with
them by the same `wording` as the parent. pydantic says where in terms of the
models (with the tag of a union on the way, and list items where one name was
written) and what in its own jargon; here both become what the operator wrote.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from nerve.config.faults import Problem
from nerve.config.models import (
    Config,
    DropWorkflow,
    GroupConfig,
    JournalConfig,
    QueueWorkflow,
    RetentionConfig,
    SenseConfig,
    SenseReflex,
    WorkflowReflex,
)
from nerve.config.tree import TreePath
from nerve.config.values import (
    ENV_PATTERN,
    MAX_NAME_CHARS,
    NAME_PATTERN,
    USE_PATTERN,
    FieldMisfit,
    likely_name,
)

PydanticError = Mapping[str, Any]
MISSING = "is missing"
UNKNOWN_KEY = "unknown key"
_WHOLE = "must be a whole number"
_MERGE_KEY = "<<"
_UNIONS: dict[str, dict[str, type[BaseModel]]] = {
    "reflexes": {"sense": SenseReflex, "workflow": WorkflowReflex},
    "workflows": {"queue": QueueWorkflow, "drop": DropWorkflow},
}
_SECTIONS: dict[str, type[BaseModel]] = {
    "senses": SenseConfig,
    "groups": GroupConfig,
    "retention": RetentionConfig,
    "journal": JournalConfig,
}
_DISCRIMINATORS = {"reflexes": "kind", "workflows": "overflow"}
_TAG_DEPTH = 2  # reflexes, index, tag
_KEY_MARK = "[key]"
_NAME_RULE = (
    f"a name has lower-case letters, digits and hyphens, starts with a letter, and is at most "
    f"{MAX_NAME_CHARS} characters long"
)
_PATTERN_RULES = {
    f"^{NAME_PATTERN}$": _NAME_RULE,
    f"^{USE_PATTERN}$": "must be the dotted path of a module, such as my_package.my_sense",
    f"^{ENV_PATTERN}$": "must be the name of an environment variable",
}
_FIXED_WORDINGS = {
    "dict_type": "must be a mapping, with a key and a value on each line",
    "model_type": "must be a mapping, with a key and a value on each line",
    "model_attributes_type": "must be a mapping, with a key and a value on each line",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_type": "must be text",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "missing": MISSING,
    "extra_forbidden": UNKNOWN_KEY,
}
_QUOTING = ("value_error", "string_pattern_mismatch")
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_WORDINGS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_pattern_mismatch": lambda context: _PATTERN_RULES.get(
        context["pattern"], f"must match {context['pattern']}"
    ),
    "too_short": lambda context: (
        f"must hold at least {context['min_length']}"
        if context["min_length"] > 1
        else "must not be empty"
    ),
    "too_long": lambda context: f"must hold at most {context['max_length']:,}",
    "string_too_short": lambda context: (
        f"is shorter than {context['min_length']:,} characters"
        if context["min_length"] > 1
        else "must not be empty"
    ),
    "string_too_long": lambda context: f"is longer than {context['max_length']:,} characters",
    "literal_error": lambda context: f"must be {context['expected']}".replace("'", ""),
    "enum": lambda context: f"must be {context['expected']}".replace("'", ""),
    "union_tag_invalid": lambda context: f"must be {_either(context['expected_tags'])}",
    "value_error": lambda context: str(context["error"]),
    "assertion_error": lambda context: str(context["error"]) or "is not valid",
}


def wording(error: PydanticError) -> str:
    """Say what one pydantic error means; quotes what was written only in nerve's own checks."""
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind in _FIXED_WORDINGS:
        return _FIXED_WORDINGS[kind]
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        limit = context[key]
        return (
            f"must be {words} {limit:,}" if isinstance(limit, int) else f"must be {words} {limit}"
        )
    word = _WORDINGS.get(kind)
    # A type of an author's own options that has no words of ours.
    return word(context) if word else _plainer(str(error["msg"]))


def _plainer(message: str) -> str:
    return re.sub(r"^\w+ is\b", "is", re.sub(r"^\w+ should\b", "must", message))


def setting_problem(
    sense: str, field: tuple[str | int, ...], message: str, hint: str = ""
) -> Problem:
    """Place what a worker found wrong below `senses.<sense>`, in the words of `wording`."""
    path = ("senses", sense, *field)
    if message == MISSING:  # the key has no place, so the message has to name it
        return Problem(path[:-1], f"the key `{path[-1]}` is missing", hint)
    return Problem(path, message, hint, at_key=message == UNKNOWN_KEY)


def explain(errors: Sequence[PydanticError]) -> Iterator[Problem]:
    """Turn what `Config` refused into problems, in terms of nerve.yaml."""
    for error in errors:
        path = _path(error["loc"])
        explainer = _merge_key if path[-1:] == (_MERGE_KEY,) else _EXPLAINERS.get(error["type"])
        problem = (explainer or _value)(error, path)
        yield replace(problem, quotes_value=error["type"] in _QUOTING)


def _path(loc: tuple[str | int, ...]) -> TreePath:
    steps = loc[:-1] if loc and loc[-1] == _KEY_MARK else loc
    if steps and steps[0] in _UNIONS:
        return steps[:_TAG_DEPTH] + steps[_TAG_DEPTH + 1 :]
    return steps


def _value(error: PydanticError, path: TreePath) -> Problem:
    cause = error.get("ctx", {}).get("error")
    return Problem((*path, cause.field) if isinstance(cause, FieldMisfit) else path, wording(error))


def _merge_key(_error: PydanticError, path: TreePath) -> Problem:
    hint = "write the keys out, or let an alias stand for a whole value"
    return Problem(path, "merge keys are not part of YAML 1.2", hint, at_key=True)


def _name(error: PydanticError, path: TreePath) -> Problem:
    at_key = error["loc"][-1] == _KEY_MARK
    is_name = error["ctx"].get("pattern") == f"^{NAME_PATTERN}$"
    likely = likely_name(str(error["input"])) if is_name else ""
    hint = f'did you mean "{likely}"?' if likely else ""
    return Problem(path, wording(error), hint, at_key=at_key)


def _text(error: PydanticError, path: TreePath) -> Problem:
    hint = "put it in quotes" if isinstance(error["input"], int | float) else ""
    return Problem(path, wording(error), hint)


def _missing(_error: PydanticError, path: TreePath) -> Problem:
    return Problem(path[:-1], f"the key `{path[-1]}` is missing")


def _tag_missing(_error: PydanticError, path: TreePath) -> Problem:
    section = str(path[0])
    tags = " or ".join(_UNIONS[section])
    return Problem(path, f"the key `{_DISCRIMINATORS[section]}` is missing; it is {tags}")


def _tag_invalid(error: PydanticError, path: TreePath) -> Problem:
    section = str(path[0])
    word, tags = str(error["ctx"]["tag"]), _UNIONS[section]
    full = (*path, _DISCRIMINATORS[section])
    return Problem(full, wording(error), word=word, candidates=tags)


def _literal(error: PydanticError, path: TreePath) -> Problem:
    allowed = re.findall(r"'(\w+)'", error["ctx"]["expected"])
    return Problem(path, wording(error), word=str(error["input"]), candidates=allowed)


def _unknown(error: PydanticError, path: TreePath) -> Problem:
    model = _model_at(error["loc"])
    if model is DropWorkflow and path[-1] == "max_queue":
        rule = "overflow: drop has no queue, so there is no max_queue"
        return Problem(path, rule, "remove it, or write overflow: queue", at_key=True)
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return Problem(path, wording(error), at_key=True, word=str(path[-1]), candidates=keys)


def _model_at(loc: tuple[str | int, ...]) -> type[BaseModel]:
    if loc[0] in _UNIONS and len(loc) > _TAG_DEPTH:
        return _UNIONS[str(loc[0])][str(loc[_TAG_DEPTH])]
    return _SECTIONS.get(str(loc[0]), Config) if len(loc) > 1 else Config


def _either(tags: str) -> str:
    return " or ".join(re.findall(r"'([^']*)'", tags))


_EXPLAINERS: dict[str, Callable[[PydanticError, TreePath], Problem]] = {
    "string_pattern_mismatch": _name,
    "string_too_long": _name,
    "string_type": _text,
    "missing": _missing,
    "union_tag_not_found": _tag_missing,
    "union_tag_invalid": _tag_invalid,
    "literal_error": _literal,
    "extra_forbidden": _unknown,
}
