import pytest

from benchmarks.figures import Lacking
from benchmarks.placement import VARIABLE, Placement


@pytest.mark.parametrize(
    ("placement", "caller", "workers"),
    [
        (Placement.APART, {2}, {3}),
        (Placement.TOGETHER, {2}, {2}),
        (Placement.FREE, {2, 3, 7}, {2, 3, 7}),
    ],
)
def test_caller_and_worker_are_where_they_are_told_to_be(placement, caller, workers):
    assert placement.processors({7, 3, 2}) == (caller, workers)


def test_on_one_processor_nobody_is_apart():
    with pytest.raises(Lacking, match="two processors"):
        Placement.APART.processors({0})


@pytest.mark.parametrize(("allowed", "chosen"), [({0, 1}, "apart"), ({0}, "together")])
def test_they_are_apart_where_that_is_possible_unless_it_is_said_otherwise(
    monkeypatch, allowed, chosen
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: allowed)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Placement.chosen() is Placement(chosen)
    monkeypatch.setenv(VARIABLE, "free")
    assert Placement.chosen() is Placement.FREE
