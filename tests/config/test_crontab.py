import string
from contextlib import suppress
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.config.crontab import MAX_CRON_CHARS, NICKNAMES, NeverDue, calendar_of

REFUSED = [
    ("99 * * * *", "'99' is no minute; write 0 to 59"),
    ("* 24 * * *", "'24' is no hour; write 0 to 23"),
    ("* * 0 * *", "'0' is no day of month; write 1 to 31"),
    ("* * * 13 *", "'13' is no month; write 1 to 12 or JAN to DEC"),
    ("* * * * 8", "'8' is no day of week; write 0 to 7"),
    ("* * * * MO", "'MO' is no day of week"),
    ("* 22-2 * * *", "ranges that go up"),
    ("1,,2 * * * *", "'1,,2' is no minute"),
    ("*/0 * * * *", "'*/0' is no minute"),
    ("*/90 * * * *", "the step of */90 is longer than any minute; for every so often write `interval`"),
    ("0 */24 * * *", "the step of */24 is longer than any hour"),
    ("0 0 * */13 *", "the step of */13 is longer than any month"),
    ("*/" + "9" * 300 + " * * * *", "is longer than any minute"),
    ("0 0 L/2 * *", "L is a single day of month and has no step"),
    ("0 0 1,lw/3 * *", "LW is a single day of month and has no step"),
    ("1,5-5/2 * * * *", "5-5 is a single minute and has no step: '1,5-5/2'"),
    ("0 0 * * 5L/2", "'5L/2' is no day of week"),
    ("0 0 * * 5#6", "'5#6' is no day of week"),
    ("* * * *", "a cron expression has five fields"),
    ("* * * * * *", "has 6; there are no seconds: for those write `interval`"),
    ("", "has 0"),
    ("0 0 * * fr\u0131", "ASCII characters only"),
    ("0," * MAX_CRON_CHARS + "0 * * * *", "at most 400 characters"),
    ("@reboot", "there is no @reboot: an `interval` runs at the start of nerve"),
    ("@every 5m", "write `interval: 5m` instead of cron"),
    ("@Daily", "there is no '@Daily'; write @hourly, @daily"),
    ("@", "there is no '@'"),
]  # fmt: skip
TAKEN = [
    "* * * * *", "0,30 8-17 * * 1-5", "*/59 */23 */31 */12 */7", "5/20 1/2 * * *",
    "0 0 L * *", "0 0 LW * *", "0 0 1,15,L * *", "0 0 * * 5L", "0 0 * * 5#2,MON#1",
    "0 0 * jan-mar sun-tue", "0 0 29 2 *", "  0\t0 * *  * ", *NICKNAMES,
]  # fmt: skip


@pytest.mark.parametrize(("expression", "said"), REFUSED)
def test_what_is_wrong_with_an_expression_is_said(expression, said):
    with pytest.raises(ValueError) as error:
        calendar_of(expression)
    assert said in str(error.value)


@pytest.mark.parametrize("expression", TAKEN)
def test_an_expression_is_taken(expression):
    assert calendar_of(expression).minutes


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 30,31 feb *"])
def test_a_day_that_no_such_month_has_is_refused_as_such(expression):
    with pytest.raises(NeverDue, match="never comes: no such month has a day 3"):
        calendar_of(expression)


@pytest.mark.parametrize("nickname", NICKNAMES)
def test_a_nickname_is_its_five_fields(nickname):
    short, long = calendar_of(nickname), calendar_of(NICKNAMES[nickname])
    assert short.parts == long.parts


def test_all_minutes_written_out_are_no_more_than_is_taken():
    assert calendar_of(",".join(map(str, range(60))) + " * * * *").minutes == set(range(60))


@given(st.text(string.digits + " */,-#LW@LMONJAFR\u0131\0", max_size=40))
def test_an_expression_is_taken_or_refused_and_nothing_else(text):
    with suppress(ValueError):
        assert next(copy(calendar_of(text)))
