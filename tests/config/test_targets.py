import pytest

from nerve.config.models import Config
from nerve.config.targets import UnknownTarget, groups_of, senses_of

CONFIG = Config(
    senses={"disk": {"group": "host"}, "host": {"group": "web"}, "http": {"group": "web"}},
    reflexes=[],
)


def test_a_word_is_a_sense_or_all_senses_of_a_group():
    assert senses_of(CONFIG, ["disk", "web", "disk"]) == ["disk", "host", "http"]


def test_where_both_have_the_name_the_sense_is_meant_unless_the_group_is_said():
    assert senses_of(CONFIG, ["host"]) == ["host"]
    assert senses_of(CONFIG, ["group:host"]) == ["disk"]
    assert groups_of(CONFIG, ["host", "group:web"]) == ["host", "web"]


@pytest.mark.parametrize(
    ("words", "kind", "hint"),
    [
        (["dikk"], "unknown_sense", 'did you mean "disk"?'),
        (["group:wep"], "unknown_group", 'did you mean "web"?'),
        (["zzzzzzzzzz"], "unknown_sense", "`nerve list senses`"),
    ],
)
def test_a_slip_is_told_with_what_may_have_been_meant(words, kind, hint):
    with pytest.raises(UnknownTarget) as unknown:
        senses_of(CONFIG, words)
    assert unknown.value.kind == kind
    assert hint in unknown.value.hint


def test_a_sense_in_the_place_of_a_group_is_told_its_group():
    with pytest.raises(UnknownTarget) as unknown:
        groups_of(CONFIG, ["disk"])
    assert unknown.value.hint == "disk is a sense of the group host"
