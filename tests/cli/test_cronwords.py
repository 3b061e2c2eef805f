import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nerve.cli.cronwords import in_words
from nerve.config.crontab import calendar_of

WORDS = [
    ("* * * * *", "every minute"),
    ("*/15 * * * *", "every 15 minutes"),
    ("0,20,40 * * * *", "every 20 minutes"),
    ("*/25 * * * *", "every hour at :00, :25 and :50"),
    ("5/20 * * * *", "every hour at :05, :25 and :45"),
    ("0-10 * * * *", "every hour at minutes 0 to 10"),
    ("*/10 8-17 * * 1-5", "every 10 minutes from 08:00 to 17:50 on weekdays"),
    ("* 3,5 * * *", "every minute of hours 3 and 5"),
    ("0-10 3 * * *", "at minutes 0 to 10 of hour 3 every day"),
    ("30 6 * * 1-5", "at 06:30 on weekdays"),
    ("30 6 * * *", "at 06:30 every day"),
    ("15,45 6,18 * 5 *", "at 06:15, 06:45, 18:15 and 18:45 every day in May"),
    ("5 */6 * * *", "every 6 hours from 00:05"),
    ("0 9-17 * * *", "every hour from 09:00 to 17:00"),
    ("3 0-6,22,23 * * *", "at :03 of hours 0 to 6, 22 and 23 every day"),
    ("0 3 */2 * *", "at 03:00 on days 1 to 31 in steps of 2 of the month"),
    ("0 3 1 * *", "at 03:00 on day 1 of the month"),
    ("0 0 1,15,L * *", "at 00:00 on days 1 and 15 and the last day of the month"),
    ("0 9 LW */3 *", "at 09:00 on the last weekday of January, April, July and October"),
    ("0 0 29 2 *", "at 00:00 on day 29 of February"),
    ("0 22 * * 6,0", "at 22:00 on Saturday and Sunday"),
    ("0 22 * * 2-7", "at 22:00 on Tuesday to Sunday"),
    ("7 * * 6-8 sun", "every hour at :07 on Sunday in June to August"),
    ("0 0 * * 5L", "at 00:00 on the last Friday of the month"),
    ("0 18 * * TUE#2,7#1", "at 18:00 on the first Sunday and the second Tuesday of the month"),
    ("0 0 13 * 5", "at 00:00 on day 13 of the month and on Friday"),
    ("0 0 13 2 5", "at 00:00 on day 13 of the month and on Friday, in February"),
    ("0 0 1-7 * */7", "at 00:00 on days 1 to 7 of the month, if that is Sunday"),
    ("0 0 13 * */5", "at 00:00 on day 13 of the month, if that is Friday or Sunday"),
    ("0 0 1-31 * 5", "at 00:00 every day"),  # every day of the month, or Friday
    ("@hourly", "every hour at :00"),
    ("@daily", "at 00:00 every day"),
    ("@weekly", "at 00:00 on Sunday"),
    ("@monthly", "at 00:00 on day 1 of the month"),
    ("@yearly", "at 00:00 on day 1 of January"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "words"), WORDS)
def test_an_expression_has_its_words(expression, words):
    assert in_words(expression) == words


def field(low, high, *more):
    numbers = st.integers(low, high)
    step = st.integers(2, high).map(lambda n: f"/{n}")
    term = st.one_of(
        numbers.map(str),
        st.tuples(numbers, numbers).filter(lambda t: t[0] < t[1]).map(lambda t: f"{t[0]}-{t[1]}"),
        st.tuples(st.just("*"), step).map("".join),
        st.tuples(numbers.map(str), step).map("".join),
        *([st.sampled_from(more)] if more else []),
    )
    lists = st.lists(term, min_size=1, max_size=4).map(",".join)
    return st.one_of(st.just("*"), st.just(f"{low}-{high}"), term, lists)


EXPRESSIONS = st.tuples(
    field(0, 59),
    field(0, 23),
    field(1, 31, "L", "LW", "L,LW"),
    field(1, 12, "JAN", "mar-may"),
    field(0, 7, "5L", "0L", "7L", "MON#1", "1#5", "SUN", "mon-fri", "0,6"),
).map(" ".join)


def meaning(expression):
    """The days and times that an expression names, the same however it is written."""
    found = calendar_of(expression)
    days, weekdays = set(found.days), set()
    for day in found.weekdays:
        weekdays.add((day[0] % 7, day[1]) if isinstance(day, tuple) else day % 7)
    days = None if days >= set(range(1, 32)) else frozenset(days)
    weekdays = None if weekdays >= set(range(7)) else frozenset(weekdays)
    rule = None
    if days is None or weekdays is None:
        if not found.day_and:
            days = weekdays = None
    else:
        rule = found.day_and
    times = (frozenset(found.minutes), frozenset(found.hours), frozenset(found.months))
    return (*times, days, weekdays, rule)


SAID = {}


@settings(max_examples=600)
@given(EXPRESSIONS)
def test_the_same_words_have_never_two_meanings(expression):
    try:
        meant = meaning(expression)
    except ValueError:  # the 30th of February
        assume(False)
    words = in_words(expression)
    assert words == words.strip()
    assert "  " not in words
    assert SAID.setdefault(words, (meant, expression))[0] == meant


@pytest.mark.parametrize("place", range(5))
def test_a_change_in_one_field_changes_the_words(place):
    said = {}
    written = [
        "*",
        "*/2",
        "*/3",
        "1",
        "2",
        "1,2",
        "1-2",
        "1-3",
        "1,3",
        "1-5",
        "2-6",
        "1-6/2",
        "5/1",
        "3/2",
    ]
    written += [
        ["*/4", "*/12", "*/30", "0", "0-58"],
        ["0", "0-5", "8-17", "*/4", "0-22"],
        ["L", "LW", "1,L"],
        ["jan"],
        ["0", "6,0", "1L", "1#1", "1#2", "0-6"],
    ][place]
    for others in (
        ["0", "0", "*", "*", "*"],
        ["*", "*", "*", "*", "*"],
        ["*/15", "8-17", "1", "5", "1"],
        ["3,7", "*/2", "*", "5", "1-5"],
        ["1-9", "2,4", "1-7", "*", "*/7"],
    ):
        for text in written:
            fields = [*others]
            fields[place] = text
            expression = " ".join(fields)
            words = in_words(expression)
            assert said.setdefault(words, meaning(expression)) == meaning(expression), expression
