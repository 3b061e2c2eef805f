"""A short storm in each run of the tests; `make storm` is the long one."""

from tests.storm.plan import blows
from tests.storm.storm import rage

SEED = 5
"""Of its twelve blows one falls on the parent and one on the fork server."""
HANDS = 5


def test_a_short_storm_of_kills_loses_and_doubles_nothing(tmp_path):
    """SIG-2, RUN-10, BOOT-4"""
    outcome = rage(tmp_path / "project", blows(SEED, 12))
    assert outcome.disagreements == []
    assert outcome.kills.keys() == {"worker", "parent", "fork server"}


def test_a_short_storm_with_operators_in_it_keeps_what_they_were_answered(tmp_path):
    """SIG-2, CTL-1, CTL-4"""
    outcome = rage(tmp_path / "project", blows(SEED, 12), HANDS)
    assert outcome.disagreements == []
    # Which of them come to their end between two blows depends on the machine.
    assert any(answer.endswith(": done") for answer in outcome.answers)
