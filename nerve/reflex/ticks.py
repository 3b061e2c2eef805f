"""The first or the last of many times, without walking over all of them.

Parent; pure. `following` gives the first time strictly after another, in UTC microseconds,
or None where there is none.
"""

from collections.abc import Callable, Iterator
from itertools import islice

Following = Callable[[int], int | None]


def first_ticks(following: Following, after_us: int, until_us: int, limit: int) -> tuple[int, ...]:
    """The first `limit` times after one, up to and including another, in order."""
    return tuple(islice(_walk(following, after_us, until_us), limit))


def last_ticks(following: Following, after_us: int, until_us: int, limit: int) -> tuple[int, ...]:
    """The last `limit` times after one, up to and including another, in order.

    What lies before them is halved again and again, some forty times in a year, and each
    time `limit` times are walked over, however many there are.
    """
    found = first_ticks(following, after_us, until_us, limit + 1)
    if len(found) <= limit:
        return found
    many_us, few_us = after_us, until_us  # more than `limit` come after the one, fewer after this
    while len(found) != limit:
        middle_us = (many_us + few_us) // 2
        found = first_ticks(following, middle_us, until_us, limit + 1)
        if len(found) > limit:
            many_us = middle_us
        else:
            few_us = middle_us
    return found


def _walk(following: Following, after_us: int, until_us: int) -> Iterator[int]:
    at_us = following(after_us)
    while at_us is not None and at_us <= until_us:
        yield at_us
        at_us = following(at_us)
