import pytest

from benchmarks.figures import Extent, Figure, Spread, p50, p99, short, side_by_side


def test_a_ratio_is_formed_within_each_block():
    # A block in which the machine was ten times slower for both says the same as the others.
    figure = Figure("trigger", "floor", "us", [20.0, 300.0, 40.0], [10.0, 100.0, 10.0])
    assert figure.ratio == Spread(2.5, 3.0, 3.5)


def test_the_spread_of_one_block_is_its_value():
    assert Figure("trigger", "floor", "us", [20.0], [10.0]).ratio == Spread(2.0, 2.0, 2.0)


@pytest.mark.parametrize("floor", [[], [10.0, 0.0]], ids=["none", "nothing"])
def test_beside_no_floor_there_is_no_ratio(floor):
    figure = Figure("processor time", "nothing", "%", [20.0, 30.0], floor)
    assert figure.ratio is None
    assert figure.to_json()["ratio"] is None


def test_blocks_that_have_no_counterpart_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        _ = Figure("trigger", "floor", "us", [20.0, 30.0], [10.0]).ratio


def test_json_has_the_value_of_each_block_and_who_it_is_of():
    found = Figure("trigger", "floor", "us", [20.0, 30.0], [10.0, 10.0], who="Pebble 5").to_json()
    assert found["values"] == [20.0, 30.0]
    assert found["blocks"] == 2
    assert (found["who"], found["ratio"]["median"]) == ("Pebble 5", 2.5)


def test_percentiles():
    values = list(range(101))
    assert (p50(values), p99(values)) == (50, 99)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.034, "0.03"), (2.5, "2.50"), (28.94, "28.9"), (172.4, "172"), (53123.0, "53,123")],
)
def test_a_value_is_shown_with_three_digits(value, text):
    assert short(value) == text


def test_each_extent_has_its_own():
    assert [extent.of(15, 4, 1) for extent in Extent] == [15, 4, 1]


def test_figures_of_one_thing_beside_one_floor_stand_together_and_in_order():
    def figure(what, beside, who):
        return Figure(what, beside, "us", [1.0], [1.0], who=who)

    made = [
        figure("late", "floor", "a"),
        figure("cost", "floor", "a"),
        figure("late", "floor", "b"),
    ]
    assert [(f.what, f.who) for f in side_by_side(made)] == [
        ("late", "a"),
        ("late", "b"),
        ("cost", "a"),
    ]
