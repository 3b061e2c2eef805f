from hypothesis import given
from hypothesis import strategies as st

from nerve.supervisor.timekeeping import Reading, compare

US = 1_000_000
START = Reading(100.0, 500.0, 1_790_000_000 * US)


def later(awake_s, asleep_s=0.0, step_s=0.0):
    passed_s = awake_s + asleep_s
    wall_us = START.wall_us + int((passed_s + step_s) * US)
    return Reading(START.monotonic + awake_s, START.boottime + passed_s, wall_us)


def types(*arguments):
    return [found.type for found in compare(START, later(*arguments), 5.0)]


def test_nothing_is_told_of_time_that_just_passes():
    """SIG-4"""
    assert types(5.0) == []
    assert types(6.5, 0.5, -0.5) == []


def test_a_suspend_is_told_with_its_length():
    """SIG-4, LOG-1"""
    (found,) = compare(START, later(5.0, 3_600.0), 5.0)
    assert found.type == "clock.suspended"
    assert "3600 s" in found.payload["message"]


def test_a_step_of_the_clock_is_told_with_its_direction():
    """SIG-4, LOG-1"""
    (back,) = compare(START, later(5.0, 0.0, -90.0), 5.0)
    (forward,) = compare(START, later(5.0, 0.0, 90.0), 5.0)
    assert (back.type, forward.type) == ("clock.stepped", "clock.stepped")
    assert "back by 90.0 s" in back.payload["message"]
    assert "forward by 90.0 s" in forward.payload["message"]


def test_a_parent_that_stood_still_says_so():
    """SIG-4, LOG-1"""
    assert types(15.0) == ["nerve.held_up"]


@given(st.floats(2, 1e5), st.floats(2, 1e5), st.floats(2, 1e5))
def test_all_three_at_once_are_told_apart(late_s, asleep_s, step_s):
    """SIG-4"""
    assert types(5.1 + late_s, asleep_s, step_s) == [
        "clock.suspended",
        "clock.stepped",
        "nerve.held_up",
    ]
