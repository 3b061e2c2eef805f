import json
import re

import pytest

from nerve.config.schema import json_schema


def test_the_schema_says_what_it_is_and_is_json():
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["title"] == "nerve.yaml"
    assert json.loads(json.dumps(schema)) == schema


def test_the_schema_has_the_spelling_of_the_file():
    sense = json_schema()["$defs"]["SenseConfig"]["properties"]
    assert "timeout" in sense
    assert "timeout_ms" not in sense
    assert sense["timeout"]["default"] == "30s"


def test_a_duration_is_text_of_a_pattern_or_holds_a_reference():
    patterns = [
        rule["pattern"]
        for rule in json_schema()["$defs"]["SenseConfig"]["properties"]["timeout"]["anyOf"]
    ]
    matches = [
        any(re.search(pattern, text) for pattern in patterns) for text in ("1h30m", "${T}", "5x")
    ]
    assert matches == [True, True, False]


def test_a_number_has_its_limits_and_a_list_of_names_its_items():
    schema = json_schema()
    number, _ = schema["$defs"]["QueueWorkflow"]["properties"]["max_queue"]["anyOf"]
    assert number == {"type": "integer", "minimum": 1, "maximum": 100_000}


def test_a_size_is_written_as_in_the_file():
    memory = json_schema()["$defs"]["GroupConfig"]["properties"]["memory"]
    patterns = [rule["pattern"] for rule in memory["anyOf"]]
    assert memory["default"] == "1GB"
    assert [
        any(re.search(p, text) for p in patterns) for text in ("512MB", "2GiB", "${M}", "512")
    ] == [True, True, True, False]


@pytest.mark.parametrize("section", ["senses", "groups"])
def test_a_sense_or_a_group_may_have_nothing_under_its_name(section):
    [named] = json_schema()["properties"][section]["patternProperties"].values()
    assert {"type": "null"} in named["anyOf"]


def test_unknown_keys_are_refused_everywhere():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert all(model["additionalProperties"] is False for model in schema["$defs"].values())
