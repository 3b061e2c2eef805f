import os

import pytest


def options(load, text, **environ):
    loaded = load(f"senses: {{disk: {{options: {{x: {text}}}}}}}", **environ)
    return loaded.config.senses["disk"].options.get("x", "absent")


def fault(faults, text, **environ):
    [line] = faults(f"senses: {{disk: {{options: {{x: {text}}}}}}}", **environ)
    return line.partition("options.x: ")[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"${A}"', "one"), ('"<${A}-${A}>"', "<one-one>"), ('"${B:-two}"', "two"), ('"${EMPTY:-two}"', "two"), ('"${A:-two}"', "one"), ('"${A:?needed}"', "one"),
        ('"$${A}"', "${A}"), ('"$$$${A}"', "$${A}"), ('"cost $5 ^a$"', "cost $5 ^a$"), ('"${B:-a:-b:?c}"', "a:-b:?c"), ('"${EMPTY}"', "absent"), ('"${B:-}"', "absent"), ('" "', "absent"), ("null", None),
    ],
)  # fmt: skip
def test_references_in_strings_are_replaced(load, text, value):
    assert options(load, text, A="one", EMPTY="") == value


@pytest.mark.parametrize(
    "value", ["5", "true", "[a, b]", "{a: 1}", "a: b", "null", "${OTHER}", "$$", "# x", "*x"]
)
def test_what_comes_in_stays_text_and_is_not_looked_through_again(load, value):
    assert options(load, '"${A}"', A=value, OTHER="other") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"${NOPE}"', "the environment variable NOPE is not set; set it, or write ${NOPE:-default}"),
        ('"${NOPE:?no disk without it}"', "NOPE: no disk without it"),
        ('"${NOPE:?}"', "NOPE: is not set or empty"),
        ('"${A"', "${ without a closing }; write $$ for a plain dollar sign"),
        ('"${}"', "${} is not understood"),
        ('"${1A}"', "${1A} is not understood"),
        ('"${A:+x}"', "${A:+x} is not understood"),
        ('"${A:-${B}}"', "${A:-${B} is not understood"),
        ('"${BAD}"', "the environment variable BAD is not UTF-8"),
    ],
)  # fmt: skip
def test_a_reference_without_value_is_a_fault_that_names_it(faults, text, said):
    """CFG-1"""
    assert fault(faults, text, A="one", BAD="\udcff").startswith(said)


def test_keys_are_left_alone(load):
    assert load('senses: {disk: {options: {"${A}": 1}}}', A="b").config.senses["disk"].options == {
        "${A}": 1
    }


def test_a_variable_can_be_a_duration_a_number_or_a_flag(load):
    config = load(
        """
        senses: {disk: {timeout: "${T}"}}
        reflexes: [{kind: sense, sense: disk, interval: 5s, align: "${F}"}]
        workflows: {w: {overflow: queue, max_queue: "${N}"}}
        """,
        T="7s", F="true", N="12",
    ).config  # fmt: skip
    assert config.senses["disk"].timeout_ms == 7_000
    assert config.reflexes[0].align is True
    assert config.workflows["w"].max_queue == 12


def test_a_file_is_read_beside_nerve_yaml_and_loses_its_last_line_ends(load, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    assert options(load, '"${file:token}"') == "s3cret"
    assert options(load, f'"${{file:{tmp_path}/token}}"') == "s3cret"


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing", "cannot be read: No such file"), (".", "cannot be read: Is a directory"), ("pipe", "is not a regular file"), ("large", "is over the limit of 65,536 bytes"), ("binary", "is not UTF-8"), ("a\\0b", "is no path")],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_a_fault(faults, tmp_path, name, said):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 65_537)
    (tmp_path / "binary").write_bytes(b"\xff")
    assert said in fault(faults, f'"${{file:{name}}}"')


def test_a_value_that_failed_is_one_fault_and_not_two(faults):
    text = (
        'timezone: "${NOPE}"\nsenses: {disk: {timeout: "${NOPE}"}}\nreflexes: [{kind: "${NOPE}"}]'
    )
    assert [line.rpartition(": ")[2][:29] for line in faults(text)] == [
        "the environment variable NOPE"
    ] * 3
