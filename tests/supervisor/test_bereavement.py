from hypothesis import given
from hypothesis import strategies as st

from nerve.supervisor.bereavement import REMEMBERED_S, Bereavements
from nerve.supervisor.conduct import MAX_STRIKES


def noted(*ends):
    """What was said after the last of these ends, each (senses, time)."""
    seen = Bereavements()
    answers = [seen.note(set(senses), at).guilty for senses, at in ends]
    assert answers[:-1] == [None] * (len(ends) - 1)
    return answers[-1]


def test_the_only_sense_that_ran_at_each_of_three_ends_answers_for_them():
    """RUN-9"""
    assert noted((["a", "b"], 0.0), (["a"], 1.0), (["a", "c"], 2.0)) == "a"


def test_two_that_always_ran_or_none_are_not_blamed():
    """RUN-9"""
    assert noted(*[(["a", "b"], float(n)) for n in range(MAX_STRIKES)]) is None
    assert noted((["a"], 0.0), (["b"], 1.0), (["a"], 2.0)) is None
    assert noted((["a"], 0.0), ([], 1.0), (["a"], 2.0)) is None


def test_ends_of_long_ago_are_forgotten():
    """RUN-9"""
    assert noted((["a"], 0.0), (["a"], 1.0), (["a"], REMEMBERED_S + 0.5)) is None
    assert noted((["a"], 0.0), (["a"], 1.0), (["a"], REMEMBERED_S)) == "a"


def test_who_was_blamed_is_blamed_again_only_after_three_more():
    """RUN-9"""
    seen = Bereavements()
    answers = [seen.note({"a"}, float(n)).guilty for n in range(2 * MAX_STRIKES)]
    assert answers == [None, None, "a"] * 2


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.floats(0, 400)), max_size=20))
def test_nobody_answers_who_did_not_run_at_each_of_the_last_three(ends):
    """RUN-9"""
    seen, now, ran = Bereavements(), 0.0, []
    for senses, step in ends:
        now += step
        ran.append(senses)
        guilty = seen.note(senses, now).guilty
        assert guilty is None or all(guilty in senses for senses in ran[-MAX_STRIKES:])


def test_two_that_always_ran_are_set_apart_and_the_one_who_does_it_is_soon_alone():
    """RUN-9: `b` kills the fork server whenever it runs."""
    seen, resting, answers = Bereavements(), frozenset(), []
    for n in range(5 * MAX_STRIKES):
        suspicion = seen.note({"a", "b"} - resting, float(n))
        answers.append(suspicion.guilty)
        resting = suspicion.apart or resting
        if "b" in resting:  # peace, until its rest is over
            resting = frozenset()
    assert "b" in answers
    assert "a" not in answers
