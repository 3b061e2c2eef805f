import pytest
import yaml

from nerve.config import ConfigFaults, yaml12
from nerve.config.composer import MAX_NESTING
from nerve.config.tree import find, plain
from nerve.config.yaml12 import parse_file, parse_text


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def _loader(request, monkeypatch):
    """Both parsers: some builds of PyYAML come without the one in C."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml12, "_LOADER", getattr(yaml, request.param))


def value_of(text):
    return plain(parse_file(f"a: {text}\n".encode(), "nerve.yaml"))["a"]


def fault_of(content):
    with pytest.raises(ConfigFaults) as caught:
        parse_file(content if isinstance(content, bytes) else content.encode(), "nerve.yaml")
    [fault] = caught.value.faults
    return str(fault)


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "no",
        "y",
        "1:30",
        "2026-10-01",
        "0b1",
        "1_000",
        "0o8",
        "=",
        ".",
        "0x",
        "1e",
        "<<",
        "+x",
    ],
)
def test_what_yaml_1_1_would_convert_stays_text(text):
    assert value_of(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("", None), ("Null", None), ("true", True), ("FALSE", False), ("010", 10),
        ("-7", -7), ("+7", 7), ("0o17", 15), ("0xfF", 255), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("'1'", "1"), ('"true"', "true"), ("9223372036854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_plain_scalars_have_the_types_of_the_core_schema(text, value):
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_on_is_a_key_like_any_other():
    assert plain(parse_file(b"on: [a]", "f")) == {"on": ["a"]}


def test_an_alias_is_the_value_once_more():
    assert plain(parse_file(b"a: &x {b: [1]}\nc: *x\nd: *x", "f")) == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": {"b": [1]},
    }


def test_a_merge_key_is_a_key_like_any_other():
    assert plain(parse_file(b"a: &x {b: 1}\nc: {<<: *x}", "f"))["c"] == {"<<": {"b": 1}}


def test_a_byte_order_mark_is_passed_over():
    tree = parse_file(b"\xef\xbb\xbfa: 1", "f")
    assert plain(tree) == {"a": 1}
    assert find(tree, ("a",))[0].key_place.column == 1


def test_values_and_keys_know_their_places():
    tree = parse_file(b"a:\n  - x\n  -   {k: v}\n", "f")
    node, _ = find(tree, ("a", 1, "k"))
    assert (str(node.key_place), str(node.place)) == ("f:3:8", "f:3:11")


@pytest.mark.parametrize(
    ("content", "start"),
    [
        ("a: 1\nb:\n  a: 1\n  a: 2", "nerve.yaml:4:3: the key 'a' stands here twice, first in line 3"),
        ("a:\n\tb: 1", "nerve.yaml:2:1: a tab stands where YAML wants spaces; indent with spaces"),
        ("a:\n  - b\n\t- c", "nerve.yaml:3:1: a tab stands where"),
        (b"a: 1\nb: \xff", "nerve.yaml:2:1: not UTF-8: byte 9 of the file, in line 2"),
        ("a: !!str 1", "nerve.yaml:1:4: tags are not supported: 'tag:yaml.org,2002:str'"),
        ("a: !!python/object:os.system {}", "nerve.yaml:1:4: tags are not supported"),
        ("a: ! 1", "nerve.yaml:1:4: tags are not supported"),
        ("a: 1\n---\nb: 1", "nerve.yaml:2:1: a second document starts here"),
        ("- a", "nerve.yaml:1:1: must be a mapping at the top"),
        ("a", "nerve.yaml:1:1: must be a mapping at the top"),
        ("", "nerve.yaml: the file is empty"),
        ("# nothing\n", "nerve.yaml: the file is empty"),
        ("1: a", "nerve.yaml:1:1: a key must be text; put it in quotes"),
        ("true: a", "nerve.yaml:1:1: a key must be text"),
        ("[a]: b", "nerve.yaml:1:1: a key must be text"),
        ("a: .inf", "nerve.yaml:1:4: a number must be finite"),
        ("a: -.INF", "nerve.yaml:1:4: a number must be finite"),
        ("a: .nan", "nerve.yaml:1:4: a number must be finite"),
        ("a: 1e999", "nerve.yaml:1:4: a number this large cannot be held"),
        ("a: 9223372036854775808", "nerve.yaml:1:4: a number this large cannot be held"),
        ("a: " + "9" * 100_000, "nerve.yaml:1:4: a number this large cannot be held"),
        ("a: &x [*x]", "nerve.yaml:1:8: *x stands inside of what it refers to"),
        ("a: *x", "nerve.yaml:1:4: there is no &x above *x; put a value that starts with *"),
        ("a: \x07", "nerve.yaml:1:4: character U+0007 is not allowed here"),
        ("a: b: c", "nerve.yaml:1:5: not valid YAML: mapping values are not allowed"),
        ("a: {b: ${C}}", "nerve.yaml:1:"),
        ('a: "\\ud800"', "nerve.yaml:1:"),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_with_line_and_column(content, start):
    """CFG-7"""
    assert fault_of(content).startswith(start)


def test_nesting_is_limited_aliases_expanded():
    """CFG-7"""
    deep = "a: " + "[" * (MAX_NESTING - 1) + "]" * (MAX_NESTING - 1)
    assert plain(parse_file(deep.encode(), "f"))
    assert "nested deeper than 64 levels" in fault_of(deep.replace("[]", "[[]]"))
    stacked = "a: &x " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*x" + "]" * 40
    assert fault_of(stacked).startswith("nerve.yaml:2:44: nested deeper than 64 levels")


def test_a_text_without_a_document_is_nothing():
    assert parse_text("", "--set a") is None
