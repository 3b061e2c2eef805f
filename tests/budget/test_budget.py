"""What a compute costs is what was agreed on: beside budget.json, which `make budget` writes."""

import pytest

from tests.budget import budget, counting, instructions
from tests.budget.comparing import differences, verdict
from tests.budget.tracing import Refused

PATIENCE_S = 240
pytestmark = pytest.mark.timeout(300)
"""Some ten seconds each; on a machine where ten others work as well, a few minutes."""


@pytest.fixture
def build():
    """This build, where instructions can be counted and there is a budget for them."""
    try:
        instructions.require()
    except Refused as error:
        pytest.skip(str(error))
    build = instructions.build()
    if build not in budget.load()[budget.INSTRUCTIONS]:
        pytest.skip(f"no instructions are budgeted for {build}; `make budget` adds them")
    return build


def of(process, figures):
    """The part of the figures that is about a process of this name."""
    return {
        kind: {name: n for name, n in processes.items() if name.startswith(process)}
        for kind, processes in figures.items()
    }


def test_a_compute_makes_no_more_calls_statements_and_bytes_than_its_budget(tmp_path):
    try:
        figures = counting.count_in(tmp_path, PATIENCE_S)
    except Refused as error:
        pytest.skip(str(error))
    said = differences(budget.load()[budget.COUNTED], figures)
    assert not said, verdict(said)


def test_a_compute_takes_the_parent_no_more_instructions_than_its_budget(tmp_path, build):
    kept = of("parent", budget.load()[budget.INSTRUCTIONS][build])
    said = differences(kept, instructions.of_the_parent(tmp_path))
    assert not said, verdict(said)


def test_a_compute_takes_the_worker_no_more_instructions_than_its_budget(tmp_path, build):
    kept = of("worker", budget.load()[budget.INSTRUCTIONS][build])
    said = differences(kept, instructions.of_the_worker(tmp_path))
    assert not said, verdict(said)
