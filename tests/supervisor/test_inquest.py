import signal

import pytest

from nerve.process.slate import Line, Phase
from nerve.supervisor.inquest import Death, Exit, Killing, Reason, is_overdue, judge

NOW = 1_000.0
SEGFAULT, KILLED = Exit(-signal.SIGSEGV), Exit(-signal.SIGKILL)


def line(phase, sense="disk", ago_s=0.1):
    return Line(phase, sense, 7, NOW - ago_s)


def death(ended=SEGFAULT, **more):
    known = {"was_ready": True, "dispatched": "disk", "trigger_id": 7, **more}
    return Death(exit=ended, now=NOW, allowance_s=2.0, **known)


def killed_for(reason, told="was killed", **more):
    return death(KILLED, killing=Killing(reason, told), **more)


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.MIGRATING, Phase.COMPUTING])
def test_the_sense_that_runs_or_is_loaded_answers_for_the_death(phase):
    """RUN-9"""
    verdict = judge(death(line=line(phase)))
    assert (verdict.running, verdict.guilty) == ("disk", "disk")
    assert verdict.loading == (phase is not Phase.COMPUTING)
    assert not verdict.counts


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (Exit(3), "the worker exited with 3 while disk ran"),
        (Exit(0), "the worker exited with 0 while disk ran"),
        (SEGFAULT, "the worker was ended by signal 11 (SIGSEGV) while disk ran"),
        (Exit(-63), "the worker was ended by signal 63 (no name) while disk ran"),
        (Exit(None), "the worker ended in an unknown way while disk ran"),
    ],
)
def test_the_message_says_how_it_ended_and_what_ran(ended, told):
    """RUN-7"""
    assert judge(death(ended, line=line(Phase.COMPUTING))).message == told


def test_a_death_between_computes_is_nobodys_and_says_who_ran_last():
    """RUN-8"""
    verdict = judge(death(line=line(Phase.IDLE, ago_s=0.25)))
    assert (verdict.running, verdict.guilty, verdict.counts) == (None, None, True)
    assert "250 ms after disk ran" in verdict.message
    assert judge(death(line=line(Phase.IDLE, ""))).message.endswith("between computes")


def test_where_the_slate_is_scribbled_over_the_parents_own_knowledge_holds():
    """RUN-5"""
    assert judge(death(line=None, dispatched="disk")).guilty == "disk"
    nobody = judge(death(line=None, dispatched=None))
    assert (nobody.guilty, nobody.counts) == (None, True)
    assert (
        "before it was ready" in judge(death(line=None, dispatched=None, was_ready=False)).message
    )


def test_who_went_with_the_fork_server_or_at_a_hurried_stop_is_not_guilty():
    """RUN-7"""
    for verdict in (
        judge(death(Exit(None, 99), line=line(Phase.COMPUTING))),
        judge(killed_for(Reason.HURRY, line=line(Phase.COMPUTING))),
    ):
        assert (verdict.running, verdict.guilty, verdict.counts) == ("disk", None, False)
    idle = judge(death(Exit(None, 99), line=line(Phase.IDLE)))
    assert (idle.guilty, idle.counts) == (None, False)


def test_a_compute_that_ended_while_it_was_being_killed_for_its_lateness_answers_for_it():
    """RUN-9"""
    killing = Killing(Reason.HARD_TIMEOUT, "was killed: disk was late", "disk")
    verdict = judge(Death(exit=Exit(-9), line=line(Phase.IDLE), killing=killing, was_ready=True))
    assert (verdict.guilty, verdict.counts) == ("disk", False)


def test_a_worker_that_hangs_between_computes_counts_against_its_group():
    """RUN-8"""
    verdict = judge(killed_for(Reason.HARD_TIMEOUT, line=line(Phase.IDLE)))
    assert (verdict.guilty, verdict.counts) == (None, True)


@pytest.mark.parametrize("reason", [Reason.MEMORY, Reason.PROCESSES, Reason.NONSENSE, Reason.DEAF])
def test_a_kill_by_the_parent_is_told_with_its_reason(reason):
    """RUN-6, RUN-7"""
    verdict = judge(killed_for(reason, "was killed, as it did this,", line=line(Phase.COMPUTING)))
    assert verdict.message == "the worker was killed, as it did this, while disk ran"
    assert verdict.guilty == "disk"


@pytest.mark.parametrize(
    ("changed", "overdue"),
    [
        ({}, True),
        ({"ended": SEGFAULT}, False),
        ({"killing": Killing(Reason.MEMORY, "was killed")}, False),
        ({"line": line(Phase.COMPUTING, ago_s=1.9)}, False),
        ({"line": line(Phase.LOADING, ago_s=9.0)}, False),
        ({"line": None}, False),
    ],
)
def test_the_last_resort_is_told_from_other_ends_by_the_time_that_has_passed(changed, overdue):
    """RUN-3"""
    found = death(**{"ended": KILLED, "line": line(Phase.COMPUTING, ago_s=2.1), **changed})
    assert is_overdue(found) == overdue
    assert ("ended itself" in judge(found).message) == overdue


@pytest.mark.parametrize(
    "then", [{"dispatched": None, "trigger_id": 0}, {"dispatched": "disk", "trigger_id": 8}]
)
def test_who_has_answered_already_is_not_blamed_for_what_comes_then(then):
    """RUN-9: the outcome is told before the slate says that it is over."""
    verdict = judge(death(line=line(Phase.COMPUTING), **then))
    assert (verdict.running, verdict.guilty, verdict.counts) == (None, None, True)


def test_processes_that_were_there_before_are_not_the_running_senses():
    """RUN-6"""
    killing = Killing(Reason.PROCESSES, "was killed, as it has many", is_old=True)
    verdict = judge(death(KILLED, line=line(Phase.COMPUTING), killing=killing))
    assert (verdict.guilty, verdict.counts) == (None, True)
    assert "began before disk ran" in verdict.message
