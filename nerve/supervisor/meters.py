"""How late each sense begins and how long it takes, counted in a few fixed buckets.

Parent, on the loop. What `nerve.reflex.timing` has measured is sorted here: two additions for each
compute, and some 700 bytes for each sense that has computed; nothing is kept of single ones. `nerve
metrics` asks for it (`nerve.wire.measures`), so whoever looks costs the parent a bounded answer and
no more.
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nerve.clock import Clock
from nerve.supervisor.answers import Answer, done
from nerve.supervisor.group import Group
from nerve.version import VERSION
from nerve.wire.control import MeasuresRequest
from nerve.wire.measures import GroupMeasures, MeasuresPage, SenseMeasures, Spread

DURATION_BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The default timeout is 30 s."""
LATENESS_BOUNDS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0)
"""A tick that is 10 s late has a row in the log."""
PAGE_SENSES = 100
"""A page of so many holds the loop for a millisecond; others have their turn between two."""


class Histogram:
    """Counts of values by bucket, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum_s")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = array("Q", bytes(8 * (len(bounds) + 1)))
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_s += seconds

    def spread(self) -> Spread:
        """Say it."""
        return Spread(counts=tuple(self._counts), sum_s=self._sum_s)


@dataclass(slots=True)
class _Meter:
    durations: Histogram = field(default_factory=lambda: Histogram(DURATION_BOUNDS_S))
    lateness: Histogram = field(default_factory=lambda: Histogram(LATENESS_BOUNDS_S))


class Meters:
    """Those of all senses."""

    def __init__(self, clock: Clock, groups: Mapping[str, Group], boot: str) -> None:
        """`groups` are looked at when somebody asks."""
        self._groups = groups
        self._boot = boot
        self._started_us = clock.now_us()
        self._meters: dict[str, _Meter] = {}

    def late(self, sense: str, seconds: float) -> None:
        """A worker is told to compute, so late."""
        meter = self._meters.get(sense)
        if meter is None:
            meter = self._meters[sense] = _Meter()
        meter.lateness.add(seconds)

    def took(self, sense: str, seconds: float | None) -> None:
        """The outcome of a compute is known; None of one that was not started."""
        meter = self._meters.get(sense)
        if meter is not None and seconds is not None:
            meter.durations.add(seconds)

    def forget(self, senses: Iterable[str]) -> None:
        """These are gone from the configuration."""
        for sense in senses:
            self._meters.pop(sense, None)

    def answer(self, request: MeasuresRequest, answer: Answer) -> None:
        """Answer `measures`."""
        page = self.page(request.after)
        done(answer, f"measures of {len(page.senses)} senses", **page.model_dump(mode="json"))

    def page(self, after: str) -> MeasuresPage:
        """Say what was measured of the senses behind one, by name."""
        following = (name for name in self._meters if name > after)
        names = heapq.nsmallest(PAGE_SENSES + 1, following)
        return MeasuresPage(
            version=VERSION,
            boot=self._boot,
            started_us=self._started_us,
            duration_bounds_s=DURATION_BOUNDS_S,
            lateness_bounds_s=LATENESS_BOUNDS_S,
            groups=() if after else tuple(map(_measured, self._groups.values())),
            senses=tuple(self._measures(name) for name in names[:PAGE_SENSES]),
            more=len(names) > PAGE_SENSES,
        )

    def _measures(self, name: str) -> SenseMeasures:
        meter = self._meters[name]
        return SenseMeasures(
            name=name, durations=meter.durations.spread(), lateness=meter.lateness.spread()
        )


def _measured(group: Group) -> GroupMeasures:
    return GroupMeasures(
        name=group.name, state=group.state, starts=group.generation, waiting=len(group.queue)
    )
