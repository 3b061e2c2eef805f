import json
import operator
import time
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from nerve.config.values import WhereExpression
from nerve.config.where import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_LIST_ITEMS,
    MAX_NODES,
    WhereFailed,
    WhereInvalid,
    parse_where,
)
from nerve.config.where_nodes import MAX_COMPARED

MAX_SECONDS = 1.0
PAYLOAD = {
    "load": 6.5,
    "host": "web-1",
    "healthy": True,
    "nothing": None,
    "message": "an error at 3",
    "disks": [{"free": 5, "name": "sda"}, {"free": 90, "name": "sdb"}],
    "tags": {"a-b": "x", "env": "prod", "in": 1, "None": 2},
    "sense": "smell",
    "größe": 3,
}


def matches(text, payload=PAYLOAD, sense="cpu-usage"):
    return parse_where(text).matches(payload, sense)


def failure(text, payload=PAYLOAD):
    with pytest.raises(WhereFailed) as caught:
        matches(text, payload)
    return str(caught.value)


def fault(text):
    with pytest.raises(WhereInvalid) as caught:
        parse_where(text)
    assert f"at column {caught.value.column}" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "load > 5",
        'load > 5 and host in ["web-1", "web-2"]',
        "load<1 or not (host == 'web-2')",
        "disks[0].free < 10 and disks[-1].free >= 90",
        'tags["a-b"] == "x"',
        '"error" in message and "warning" not in message',
        '"env" in tags and "load" in payload',
        'tags.env ?? "dev" == "prod"',
        'tags.zone ?? host ?? "dev" == "web-1"',
        "nothing ?? 3 == 3",
        "host.name.x ?? 0 == 0",
        "healthy",
        "healthy == true and nothing == null",
        'sense == "cpu-usage" and payload.sense == "smell"',
        "tags.in == 1",
        'payload["tags"]["None"] == 2',
        "größe == 3",
        "false or true and not false",
        "not healthy == false",
        "load == 65e-1 and 6.5 == load and 0 > -1",
        'disks[0] == disks[0] and disks[0] != disks[1] and disks != [] and [1, ["a"]] == [1, ["a"]]',
        r""" "\u0061\n" == 'a\n' and '\'' == "'" """,
        "load >\n 5",
    ],
)
def test_a_condition_that_holds(text):
    assert matches(text)
    assert not matches(f"not ({text})")


@pytest.mark.parametrize("text", ["true == 1", "1 == '1'", "0 == false", "null == false", "[1] == [true]", "1 in [true, '1']"])  # fmt: skip
def test_values_of_two_kinds_are_never_equal(text):
    assert not matches(text)


def test_numbers_compare_by_value():
    assert matches("a == 1.0 and a < 1.5 and b > 9007199254740992.0", {"a": 1, "b": 2**53 + 1})
    assert matches("x > 1.5 and x > y", {"x": 10**400, "y": 1e308})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("temperature > 5", "no such field 'temperature'"),
        ("tags.zone.x == 1", "no such field 'tags.zone'"),
        ("host.name == 'a'", "no such field 'host.name': 'host' is a text"),
        ("disks[2].free > 1", "no such field 'disks[2]': 'disks' is a list of 2"),
        ("disks[-3].free > 1", "no such field 'disks[-3]': 'disks' is a list of 2"),
        ("disks.free > 1", "no such field 'disks.free': 'disks' is a list of 2"),
        ("host > 5", "cannot compare 'host' (a text) with a number by >"),
        ("load < healthy", "cannot compare 'load' (a number) with 'healthy' (true or false) by <"),
        ("nothing < nothing", "cannot compare 'nothing' (null) with 'nothing' (null) by <"),
        ("load", "'load' (a number) is no condition; compare it"),
        ("not nothing", "'nothing' (null) is no condition; compare it"),
        ("healthy and host", "'host' (a text) is no condition; compare it"),
        ("1 in message", "a number cannot be in 'message' (a text), only a text can"),
        ("load in tags", "'load' (a number) cannot be in 'tags' (an object), only a text can"),
        ("gone ?? load > 'a'", "cannot compare 'gone ?? ...' (a number) with a text by >"),
        ("(load > 5) > sense", "cannot compare true or false with 'sense' (a text) by >"),
        ("payload < 5", "cannot compare 'payload' (an object) with a number by <"),
        ("'a' in load", "nothing is in 'load' (a number)"),
    ],
)
def test_a_question_without_an_answer_fails_with_the_field_and_the_reason(text, said):
    assert failure(text) == said


@pytest.mark.parametrize("text", ["load > 'S3CRET'", "'S3CRET' in load", "gone ?? 'S3CRET'", "gone ?? 'S3CRET' > 5", "load in 'S3CRET'"])  # fmt: skip
def test_a_failure_quotes_nothing_that_stands_in_the_expression(text):
    """CFG-8"""
    assert "S3C" not in failure(text)


def test_a_payload_may_be_any_value():
    assert matches("payload > 3", 5)
    assert failure("load > 3", 5) == "no such field 'load': the payload is a number"
    assert matches("payload[0] == 1", [1])


def test_what_is_decided_already_is_not_looked_at():
    assert not matches("false and gone > 1")
    assert matches("true or gone > 1")
    assert failure("gone > 1 or true") == "no such field 'gone'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("load > 5 and", "expected a value after 'and' at column 13"),
        ("", "expected a value at column 1"),
        ("load = 5", "unknown sign '=' at column 6; did you mean '=='?"),
        ("a && b", "unknown sign '&&' at column 3; did you mean 'and'?"),
        ("a || b", "unknown sign '||' at column 3; did you mean 'or'?"),
        ("!a", "unknown sign '!' at column 1; did you mean 'not'?"),
        ("a AND b", "unknown word 'AND' at column 3; did you mean 'and'?"),
        ("a == True", "unknown word 'True' at column 6; did you mean 'true'?"),
        ("a == None", "unknown word 'None' at column 6; did you mean 'null'?"),
        ("a is null", "unknown word 'is' at column 3; did you mean '=='?"),
        ("(a", "expected ')' after 'a' at column 3"),
        ("a)", "expected 'and', 'or' or the end after 'a', found ')' at column 2"),
        ("a not 5", "expected 'in' after 'not', found '5' at column 7"),
        ("a == not b", "expected a value after '==', found 'not' at column 6"),
        ("a < b < c", "comparisons are not chained at column 7; write: a < b and b < c"),
        ("a in b in c", "comparisons are not chained at column 8; write: a < b and b < c"),
        ("get(a, 0) > 1", "expected 'and', 'or' or the end after 'get', found '(' at column 4; there are no functions; a default is written: load ?? 0"),
        ("a-b > 1", "unknown sign '-' at column 2; there is no arithmetic, and a name with a hyphen is written payload[\"a-b\"]"),
        ("5", "5 is a number, so it is no condition, at column 1"),
        ("a and  'x'", "'x' is a text, so it is no condition, at column 8"),
        ("a > null", "'>' compares numbers or texts, and null is neither at column 3"),
        ("a in 5", "5 is no list and no text to be in at column 3"),
        ("5 ?? 3 == 5", "'??' stands after a field at column 3"),
        ("[1, a] == b", "expected a number, a text, true, false or null after ',', found 'a' at column 5"),
        ("a in [1,]", "expected a number, a text, true, false or null after ',', found ']' at column 9"),
        ('"abc', 'the text that begins with " has no end; it begins at column 1'),
        (r'a == "\d"', r"unknown escape '\d' at column 7; a backslash is written twice"),
        ("5x > a", "'5x' is no number at column 1"),
        ("a > 1e999", "a number this large cannot be held at column 5"),
        ("a[1.5]", "the number of an item is whole; '1.5' is not at column 3"),
        ("a.", "expected the name of a field after '.' at column 3"),
        ("sense.a", "the name of a sense has no fields at column 6; a field of that name is payload.sense"),
        ("a == \x1b", r"unknown sign '\x1b' at column 6"),
    ],
)  # fmt: skip
def test_a_fault_says_where_and_what_to_write(text, said):
    assert fault(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" * (MAX_CHARS + 1), f"longer than {MAX_CHARS:,} characters"),
        ("(" * 10_000, f"longer than {MAX_CHARS:,} characters"),
        ("(" * MAX_CHARS, f"nested deeper than {MAX_DEPTH}"),
        ("not " * 900 + "a", f"nested deeper than {MAX_DEPTH}"),
        ("a in " + "[" * 900, f"nested deeper than {MAX_DEPTH}"),
        ("a" + " or a" * MAX_NODES, f"more than {MAX_NODES} parts"),
        ("a in [" + "1, " * MAX_LIST_ITEMS + "1]", f"a list of more than {MAX_LIST_ITEMS} items"),
        ("a > " + "9" * 3_000, "a number this large cannot be held"),
        ('"' + "\\" * 3_001, "has no end"),
        ("a" + ".a" * 1_900 + "=", "unknown sign '='"),
    ],
)
def test_a_hostile_expression_is_refused_at_once(text, said):
    started = time.process_time()
    assert said in fault(text)
    assert time.process_time() - started < MAX_SECONDS


def test_each_limit_may_be_reached():
    nested = "(" * MAX_DEPTH + "healthy" + ")" * MAX_DEPTH
    assert matches(nested)
    assert matches("healthy" + " and healthy" * (MAX_NODES - 2))
    assert matches("load in [" + "1, " * (MAX_LIST_ITEMS - 1) + "6.5]")
    assert matches("healthy".ljust(MAX_CHARS))


def test_a_payload_however_deep_or_long_is_answered_in_bounded_time():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    long = [1] * (MAX_COMPARED + 1)
    started = time.process_time()
    assert "compare more than" in failure("payload == payload", deep)
    assert "compare more than" in failure("2 in payload", long)
    assert not matches("payload in [1, [2]]", deep)
    assert matches("not ('b' in payload)" + " and not ('b' in payload)" * 70, "a" * 2**20)
    assert time.process_time() - started < MAX_SECONDS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
WORDS = ["and", "or", "not", "in", "a", "b.c", "[", "]", "(", ")", ",", "??", "==", "<", "5", "-1.5e3", "'x'", '"', "\\", "sense", "payload", "null", "true", ".", "=", " "]  # fmt: skip


def outcome(text, payload):
    """The answer, the column of a fault, or why there is no answer."""
    try:
        return parse_where(text).matches(payload, "cpu-usage")
    except WhereInvalid as error:
        return error.column
    except WhereFailed as error:
        return str(error)


@given(st.text(max_size=30) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), JSON)
@example("\ud800 == '\ud800'", {})
@example("a[99999999999999999999]", [])
def test_nothing_is_ever_raised_but_the_two_errors(text, payload):
    result = outcome(text, payload)
    assert isinstance(result, bool | str) or 1 <= result <= len(text) + 1


# An independent reading of the same language: trees of tuples, written out and evaluated.

SMALL = st.sampled_from([None, True, False, 0, 1, 2.0, -1.5, "", "a", "ab"])
PATHS = st.sampled_from([("a",), ("b",), ("a", "b"), ("a", 0), ("c", -1), ()])
VALUES = st.one_of(
    SMALL.map(lambda value: ("literal", value)),
    st.lists(SMALL, max_size=3).map(lambda items: ("literal", items)),
    PATHS.map(lambda path: ("field", path)),
    st.tuples(PATHS, SMALL).map(lambda pair: ("default", *pair)),
)
COMPARED = st.one_of(
    st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"]), VALUES, VALUES),
    PATHS.map(lambda path: ("field", path)),
)
TREES = st.recursive(
    COMPARED,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=6,
)
PAYLOADS = st.dictionaries(
    st.sampled_from("abc"),
    SMALL | st.lists(SMALL, max_size=2) | st.dictionaries(st.sampled_from("ab"), SMALL),
)
LEVEL = {"or": 0, "and": 1, "not": 2}
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class NoAnswer(Exception):
    pass


def written(tree, level=0):
    kind, *parts = tree
    if kind == "literal":
        return json.dumps(parts[0])
    if kind in ("field", "default"):
        path = "payload" + "".join(f"[{json.dumps(step)}]" for step in parts[0])
        return path if kind == "field" else f"{path} ?? {json.dumps(parts[1])}"
    if kind == "not":
        text = f"not {written(parts[0], 2)}"
    elif kind in LEVEL:
        text = f"{written(parts[0], LEVEL[kind])} {kind} {written(parts[1], LEVEL[kind] + 1)}"
    else:
        return f"{written(parts[0])} {kind} {written(parts[1])}"
    return f"({text})" if LEVEL[kind] < level else text


def tagged(value):
    """A value that Python's own == tells from every one of another kind."""
    if isinstance(value, list):
        return ["list", *map(tagged, value)]
    if isinstance(value, dict):
        return {key: tagged(inner) for key, inner in value.items()}
    return ("number", value) if type(value) in (int, float) else (type(value), value)


def found(path, payload):
    try:
        for step in path:
            if isinstance(payload, str) or isinstance(payload, dict) is isinstance(step, int):
                raise NoAnswer
            payload = payload[step]
    except (LookupError, TypeError) as error:
        raise NoAnswer from error
    return payload


def value_of(tree, payload):
    kind, *parts = tree
    if kind == "literal":
        return parts[0]
    if kind == "field":
        return found(parts[0], payload)
    if kind == "default":
        try:
            value = found(parts[0], payload)
        except NoAnswer:
            return parts[1]
        return parts[1] if value is None else value
    return answer(tree, payload)


def answer(tree, payload):
    kind, *parts = tree
    if kind == "not":
        return not answer(parts[0], payload)
    if kind in ("and", "or"):
        first = answer(parts[0], payload)
        return first if first is (kind == "or") else answer(parts[1], payload)
    if kind in ("field", "default"):
        value = value_of(tree, payload)
        if not isinstance(value, bool):
            raise NoAnswer
        return value
    left, right = (value_of(part, payload) for part in parts)
    if kind in ("==", "!="):
        return (tagged(left) == tagged(right)) is (kind == "==")
    if kind in ORDER:
        if {type(left), type(right)} not in ({int}, {float}, {int, float}, {str}):
            raise NoAnswer
        return ORDER[kind](left, right)
    return is_in(left, right) is (kind == "in")


def is_in(item, whole):
    if isinstance(whole, list):
        return tagged(item) in [tagged(other) for other in whole]
    if not isinstance(item, str) or not isinstance(whole, str | dict):
        raise NoAnswer
    return item in whole


@given(TREES, PAYLOADS)
def test_an_expression_means_what_another_reading_of_it_means(tree, payload):
    try:
        where = parse_where(written(tree))
    except WhereInvalid as error:
        # What can never have an answer is refused when it is read.
        assume("neither" not in str(error) and "no list" not in str(error))
        raise
    try:
        expected = answer(tree, payload)
    except NoAnswer:
        with pytest.raises(WhereFailed):
            where.matches(payload, "s")
    else:
        assert where.matches(payload, "s") is expected


class Section(BaseModel):
    model_config = ConfigDict(frozen=True)
    where: WhereExpression | None = None


def test_a_field_of_the_configuration_keeps_the_text():
    section = Section.model_validate({"where": "load > 5"})
    assert section.where.matches({"load": 6}, "s")
    assert section.model_dump(mode="json") == section.model_dump() == {"where": "load > 5"}
    assert Section.model_validate(section.model_dump()) == section
    assert Section(where=section.where) == section
    assert {section, section} == {section}


def test_a_field_of_the_configuration_is_checked_with_it():
    for wrong, said in [("load =", "column 6; did you mean"), (5, "a condition such as load > 5")]:
        with pytest.raises(ValidationError, match=said):
            Section.model_validate({"where": wrong})


def test_editors_are_told_that_it_is_text():
    schema = TypeAdapter(WhereExpression).json_schema()
    assert (schema["type"], schema["maxLength"]) == ("string", MAX_CHARS)
    assert all(parse_where(example) for example in schema["examples"])


PAGE = Path(__file__).parents[2] / "docs" / "where.md"


def test_each_example_of_the_page_is_an_expression():
    examples = PAGE.read_text().partition("## Examples")[2].split("```")[1].strip().splitlines()
    assert len(examples) > 3
    assert all(parse_where(example) for example in examples)


def test_the_page_says_the_limits():
    limits = PAGE.read_text().partition("## Limits")[2]
    for limit in (MAX_CHARS, MAX_NODES, MAX_LIST_ITEMS, MAX_DEPTH, MAX_COMPARED):
        assert f" {limit:,} " in limits.replace("\n", " ")
