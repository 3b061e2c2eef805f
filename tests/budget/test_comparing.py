from tests.budget.comparing import differences, renewed, verdict

BUDGET = {"signal": {"parent": {"commits": 1, "system calls": 29, "bytes": 1_000.5}}}


def figures(**numbers):
    return {"signal": {"parent": BUDGET["signal"]["parent"] | numbers}}


def test_within_a_tenth_nothing_is_said():
    assert differences(BUDGET, figures(commits=1.04, bytes=1_099)) == []


def test_what_grew_is_named_with_its_process_and_both_numbers():
    (said,) = differences(BUDGET, figures(commits=2))
    assert said == "signal: parent: commits grew from 1 to 2 for each compute"


def test_what_is_new_grew_from_nothing():
    (said,) = differences(BUDGET, figures(fsyncs=0.5))
    assert "fsyncs grew from 0 to 0.5 " in said


def test_a_failure_says_how_a_cost_that_is_meant_is_written_down():
    told = verdict(differences(BUDGET, figures(commits=2, bytes=5_000)))
    assert "commits grew from 1 to 2 " in told
    assert "bytes grew from 1,000.5 to 5,000 " in told
    assert told.endswith(
        "Each compute costs more than its budget. If that is meant: make budget, and say why."
    )


def test_a_gain_is_to_be_written_down_as_well():
    told = verdict(differences(BUDGET, figures(**{"system calls": 20})))
    assert "system calls fell from 29 to 20 " in told
    assert told.endswith(
        "It costs less than its budget, which is good. So that it stays so: make budget"
    )


def test_a_new_budget_differs_from_the_old_one_in_what_has_changed_alone():
    new = renewed(
        BUDGET, figures(commits=1.01, bytes=1_010, fsyncs=2.004, **{"system calls": 31.26})
    )
    assert new == {
        "signal": {"parent": {"commits": 1, "bytes": 1_000.5, "fsyncs": 2, "system calls": 31.26}}
    }


def test_a_new_budget_forgets_what_is_counted_no_longer():
    assert renewed(BUDGET, {"signal": {"parent": {"commits": 1}}}) == {
        "signal": {"parent": {"commits": 1}}
    }


def test_what_few_computes_do_has_its_slack_in_both_directions():
    few = {"signal": {"parent": {"fsyncs": 0.06}}}
    new = renewed({}, few)
    for near in (0.02, 0.1):
        assert differences(new, {"signal": {"parent": {"fsyncs": near}}}) == []
