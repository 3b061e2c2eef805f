"""A battery, run in this process by the author's kit, looking at whatever a test puts before it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nerve.testing import Result, SenseInProcess

CHECKOUT = Path(__file__).parents[2]
SENSES = CHECKOUT / "senses"
US_PER_S = 1_000_000


class Bench:
    """One sense with its database."""

    def __init__(self, run: SenseInProcess) -> None:
        self.run = run
        self.module = run.module
        self.clock = run.clock
        self.database = run.database
        self.rows = run.query
        self.write = run.insert

    def result(
        self, *, after_s: float = 0.0, clock_after_s: float | None = None, **more: Any
    ) -> Result:
        """Run once; by default both clocks move alike."""
        passed_s = after_s if clock_after_s is None else clock_after_s
        self.clock.advance(passed_s)
        self.clock.step(after_s - passed_s)
        return self.run(**more)

    def look(
        self,
        *,
        after_s: float = 0.0,
        clock_after_s: float | None = None,
        trigger: Any = None,
        **options: Any,
    ) -> dict[str, Any] | None:
        """Run once with these options; return the payload, which begins with a summary."""
        found = self.result(
            after_s=after_s, clock_after_s=clock_after_s, trigger=trigger, options=options
        )
        assert found.payload is None or next(iter(found.payload)) == "summary"
        return found.payload

    def at_us(self, *, ago_s: float = 0.0) -> int:
        return self.clock.now_us() - round(ago_s * US_PER_S)


@pytest.fixture
def make_bench(sense: Callable[..., SenseInProcess]) -> Callable[..., Bench]:
    """Return make_bench(name, peers={}, project=None)."""

    def make(name: str, peers: Mapping[str, Any] = {}, project: Path | None = None) -> Bench:
        return Bench(sense(name, peers=peers, project=project))

    return make
