from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nerve.clock import US_PER_S
from nerve.supervisor.conduct import (
    FORGIVEN_AFTER_US,
    LOAD_REST_S,
    MAX_STRIKES,
    QUARANTINE_FIRST_S,
    QUARANTINE_GROWTH,
    QUARANTINE_MAX_S,
    RESTS_S,
    Conduct,
    absolved,
    struck,
)

BEGIN_US = 1_700_000_000 * US_PER_S
LONGEST_S = max(QUARANTINE_MAX_S, LOAD_REST_S, *(1.2 * rest for rest in RESTS_S))


def rest_s(held, now_us):
    return (held.rests_until_us - now_us) / US_PER_S


def strike(held, now_us, *, loading=False):
    return struck(held, now_us, loading=loading, reason="it died")


def strike_out(held, now_us, times=MAX_STRIKES):
    for _ in range(times):
        held = strike(held, now_us)
    return held


events = st.lists(
    st.tuples(st.sampled_from(["strike", "load", "absolve"]), st.integers(0, 10**12)), max_size=40
)


@given(events)
def test_whatever_happens_a_rest_is_positive_and_ends(events):
    """RUN-9"""
    held, now_us = Conduct(), BEGIN_US
    for event, step_us in events:
        now_us += step_us
        if event == "absolve":
            held = absolved(held)
            assert (held.strikes, held.is_quarantined) == (0, False)
            continue
        before, held = held, strike(held, now_us, loading=event == "load")
        assert held.strikes >= 1
        assert 0 <= before.quarantines <= held.quarantines or held.quarantines == 1
        assert 0 < rest_s(held, now_us) <= LONGEST_S
        assert held.is_quarantined == (held.strikes >= MAX_STRIKES)


def test_the_first_strikes_cost_a_short_rest_and_the_third_a_quarantine():
    """RUN-9"""
    first = strike(Conduct(), BEGIN_US)
    second = strike(first, BEGIN_US)
    third = strike(second, BEGIN_US)
    for held, rest in zip((first, second), RESTS_S, strict=True):
        assert not held.is_quarantined
        assert 0.8 * rest <= rest_s(held, BEGIN_US) <= 1.2 * rest
    assert (third.is_quarantined, rest_s(third, BEGIN_US)) == (True, QUARANTINE_FIRST_S)


def test_senses_that_struck_together_do_not_come_back_together():
    assert len({strike(Conduct(), BEGIN_US).rests_until_us for _ in range(20)}) > 1


def test_a_sense_that_was_being_loaded_rests_longer():
    assert rest_s(strike(Conduct(), BEGIN_US, loading=True), BEGIN_US) == LOAD_REST_S


def test_quarantines_grow_up_to_a_limit():
    """RUN-9"""
    held, lengths = strike_out(Conduct(), BEGIN_US), []
    for _ in range(12):
        now_us = held.rests_until_us
        held = strike(held, now_us)  # tried once, and it did it again
        lengths.append(rest_s(held, now_us))
    assert lengths[0] == QUARANTINE_FIRST_S * QUARANTINE_GROWTH
    assert all(
        after == min(QUARANTINE_GROWTH * before, QUARANTINE_MAX_S)
        for before, after in pairwise(lengths)
    )
    assert lengths[-1] == QUARANTINE_MAX_S


def test_strikes_are_forgotten_at_once_and_quarantines_after_a_time():
    """RUN-9"""
    held = absolved(strike_out(Conduct(), BEGIN_US))
    assert (held.strikes, held.quarantines) == (0, 1)
    soon_us = held.rests_until_us + FORGIVEN_AFTER_US
    assert rest_s(strike_out(held, soon_us), soon_us) == QUARANTINE_FIRST_S * QUARANTINE_GROWTH
    later_us = soon_us + 1
    assert (
        rest_s(strike_out(held, later_us, MAX_STRIKES), later_us)
        <= QUARANTINE_FIRST_S * QUARANTINE_GROWTH
    )


def test_a_quarantine_of_long_ago_does_not_lengthen_the_next():
    """RUN-9"""
    stored = Conduct(MAX_STRIKES, 5, BEGIN_US, BEGIN_US, "long ago")
    now_us = BEGIN_US + FORGIVEN_AFTER_US + 1
    held = strike(stored, now_us)
    assert (held.quarantines, rest_s(held, now_us)) == (1, QUARANTINE_FIRST_S)


def test_a_quarantine_a_month_after_the_last_is_as_short_as_the_first():
    """RUN-9"""
    conduct_now, now_us = Conduct(), BEGIN_US
    for _ in range(4):
        for _ in range(MAX_STRIKES):
            conduct_now = strike(conduct_now, now_us)
            now_us = conduct_now.rests_until_us + 1
        assert conduct_now.quarantines == 1
        conduct_now = absolved(conduct_now)
        now_us += 30 * 24 * FORGIVEN_AFTER_US
