"""Some thousand frames in each run of the tests; `make fuzz` is the long one."""

import pytest

from tests.fuzz.__main__ import SIDES

SEED = 11
FRAMES = 5_000
"""One or two seconds for each side."""


@pytest.mark.parametrize("side", SIDES)
def test_nonsense_ends_nobody_holds_nobody_up_and_leaves_nothing_in_memory(side, tmp_path):
    """MSG-2, CTL-1"""
    figures = SIDES[side](tmp_path / side, SEED, FRAMES)
    assert figures.faults == []
    assert figures.frames == FRAMES
