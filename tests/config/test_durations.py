import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.config.durations import MAX_DURATION_MS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500ms", 500),
        ("5s", 5_000),
        ("10m", 600_000),
        ("1h", 3_600_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("0s", 0),
        ("1d2h3m4s5ms", 93_784_005),
    ],
)
def test_a_duration_is_integer_milliseconds(text, ms):
    """CFG-2"""
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "5x",
        "-5s",
        "+5s",
        "1.5s",
        "5 s",
        "",
        "s",
        "5S",
        "1m1h",
        "1s1s",
        "3661d",
        "9" * 39 + "d",
        "9" * 10**6 + "s",
        "\u0665s",
        5,
        5.0,
        True,
        None,
        ["5s"],
    ],
)
def test_a_bad_unit_a_negative_or_an_overflowing_duration_is_refused(text):
    """CFG-2"""
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.integers(0, MAX_DURATION_MS))
def test_a_written_duration_reads_back(ms):
    """CFG-2"""
    assert parse_duration(format_duration(ms)) == ms
