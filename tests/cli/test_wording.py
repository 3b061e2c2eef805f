import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.cli.output import emit_table
from nerve.cli.wording import (
    cells,
    counted,
    cut,
    hanging,
    json_text,
    local_times,
    padded,
    sentence,
    visible,
    wrapped,
)

DANGEROUS = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xD800)]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(DANGEROUS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text() | st.lists(st.sampled_from(DANGEROUS)).map("".join))
def test_what_is_shown_holds_no_character_that_a_terminal_obeys(text):
    """CTL-3"""
    assert not set(DANGEROUS).intersection(visible(text))


@given(ANYTHING)
def test_json_lines_are_one_harmless_line_and_mean_the_same(value):
    """CTL-3"""
    text = json_text(value)
    assert not set(DANGEROUS).intersection(text)
    assert json.loads(text) == value


@given(ANYTHING)
def test_every_payload_can_be_said_in_one_line(value):
    assert "\n" not in sentence(value)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"])), st.integers(1, 40))
def test_a_cut_text_fits_and_a_text_that_fits_is_not_cut(text, width):
    short = cut(text, width)
    assert cells(short) <= width
    assert (short == text) == (cells(text) <= width)


@given(st.text(), st.integers(2, 50))
def test_a_wrapped_text_fits_and_loses_nothing_but_blanks(text, width):
    text = visible(text)
    lines = wrapped(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_text_breaks_between_words_and_a_long_word_where_it_must():
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("x" * 10 + " y", 4) == ["xxxx", "xxxx", "xx y"]
    assert wrapped("日本語", 4) == ["日本", "語"]
    assert wrapped("", 4) == [""]


def test_a_text_hangs_beside_its_head_or_below_where_that_is_too_narrow():
    text = "a text of some words for this"
    assert hanging("head  ", text, 22) == ["head  a text of some", "      words for this"]
    assert hanging("head  ", text, 21) == ["head", "    a text of some", "    words for this"]
    assert hanging("head  ", text, None) == ["head  " + text]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"summary": "22 % used", "used": 22}, "22 % used"),
        ({"message": "gone", "kind": "error"}, "gone"),
        ({"text": "hello\nthere"}, "hello\\nthere"),
        ({"pid": 7, "how": "exited with 0", "empty": ""}, 'pid=7 how=exited with 0 empty=""'),
        ({"summary": 7}, "summary=7"),
        ([1, "a"], '[1, "a"]'),
        ("word", '"word"'),
    ],
)
def test_a_payload_is_said_by_its_summary_or_by_its_keys(payload, said):
    assert sentence(payload) == said


def test_a_wide_character_takes_two_cells_and_a_combining_one_none():
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert padded("日", 4) == "日  "
    assert cut("日本語", 5) == "日本…"


def test_columns_are_aligned_by_cells(capsys):
    emit_table(("a", "b"), [("日本", "x"), ("y", "\x1b[1m")])
    assert capsys.readouterr().out == "a     b\n日本  x\ny     \\x1b[1m\n"


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "sense", "1 sense"),
        (0, "reflex", "0 reflexes"),
        (1200, "row", "1,200 rows"),
        (3, "entry", "3 entries"),
        (4, "process", "4 processes"),
    ],
)
def test_nouns_are_counted(number, noun, said):
    assert counted(number, noun) == said


def test_recorded_times_in_a_sentence_are_told_in_the_zone_of_the_reader():
    told = "until 2026-11-26T19:49:23.585790Z, not 2026-99-26T19:49:23Z"
    expected = "until 2026-11-26 20:49:23, not 2026-99-26T19:49:23Z"
    assert local_times(told, ZoneInfo("Europe/Berlin")) == expected
