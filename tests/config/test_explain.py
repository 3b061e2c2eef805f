"""Options are an author's own model: its faults get the same words."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nerve.config.explain import setting_problem, wording


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


def _sound(zone):
    raise AssertionError("zones have names")


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    share: Annotated[float, Field(gt=0, le=1.5)] = 1.0
    count: Annotated[int, Field(ge=1_000)] = 1_000
    since: Annotated[date, Field(ge=date(2026, 1, 1))] = date(2026, 1, 1)
    hosts: Annotated[list[str], Field(min_length=2)] = ["a", "b"]
    mode: Literal["fast", "slow"] = "fast"
    code: Annotated[str, Field(pattern="^x$", min_length=1, max_length=3)] = "x"
    flag: bool = False
    level: Level = Level.LOW
    zone: Annotated[object, AfterValidator(_sound)] = None
    nested: dict[str, int] = {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 0}, "must be more than 0.0"),
        ({"share": 2}, "must be at most 1.5"),
        ({"count": 1}, "must be at least 1,000"),
        ({"since": "2025-01-01"}, "must be at least 2026-01-01"),
        ({"hosts": ["a"]}, "must hold at least 2"),
        ({"hosts": "a"}, "must be a list"),
        ({"mode": "x"}, "must be fast or slow"),
        ({"code": "y"}, "must match ^x$"),
        ({"nested": 1}, "must be a mapping, with a key and a value on each line"),
        ({"count": None}, "must be a whole number"),
        ({"count": "many"}, "must be a whole number"),
        ({"count": 1_000.5}, "must be a whole number"),
        ({"share": "x"}, "must be a number"),
        ({"flag": "maybe"}, "must be true or false"),
        ({"code": ""}, "must not be empty"),
        ({"level": "x"}, "must be low or high"),
        ({"zone": 7}, "zones have names"),
        ({"other": 1}, "unknown key"),
    ],
)
def test_an_error_of_a_model_is_said_without_jargon(given, said):
    """CFG-1"""
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(given)
    [error] = caught.value.errors()
    assert wording(error) == said


def test_an_option_is_placed_at_its_value_and_an_unknown_one_at_its_key():
    """CFG-1"""
    wrong = setting_problem("disk", ("options", "limits", 0), "must be a number")
    assert (wrong.path, wrong.at_key) == (("senses", "disk", "options", "limits", 0), False)
    unknown = setting_problem("disk", ("options", "limts"), "unknown key", 'did you mean "limits"?')
    assert (unknown.at_key, unknown.hint) == (True, 'did you mean "limits"?')
    missing = setting_problem("disk", ("options", "limits"), "is missing")
    assert missing.path == ("senses", "disk", "options")
    assert missing.message == "the key `limits` is missing"
