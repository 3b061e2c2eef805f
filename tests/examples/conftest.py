"""The examples' senses are put on the same bench as the batteries."""

from tests.batteries.conftest import make_bench

__all__ = ["make_bench"]
