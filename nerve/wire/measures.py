"""What a running nerve measures about itself, as `measures` over the control socket tells it.

Parent and commands; pure. What has no place in a file: how late computes began and how long they
took since this nerve was started, and how the groups are. It comes as the facts of `done`, a page
of the senses at a time. Counts and sums only ever grow, but for a new start of nerve.
"""

from typing import Annotated

from pydantic import Field

from nerve.wire.model import Count, Message

Counts = Annotated[tuple[Count, ...], Field(strict=False)]
Bounds = Annotated[tuple[float, ...], Field(strict=False)]
Seconds = Annotated[float, Field(ge=0)]


class Spread(Message):
    """How many values fell where: at most the first bound, at most the second, ..., beyond all."""

    counts: Counts
    sum_s: Seconds


class SenseMeasures(Message):
    """One sense that has computed.

    Attributes:
        durations: from the moment a worker was told until the outcome was known.
        lateness: from the moment at which a trigger could have run until a worker was told.
    """

    name: str
    durations: Spread
    lateness: Spread


class GroupMeasures(Message):
    """One group.

    Attributes:
        starts: of its workers.
        waiting: senses in its queue.
    """

    name: str
    state: str
    starts: Count
    waiting: Count


class MeasuresPage(Message):
    """A page.

    Attributes:
        groups: all of them, with the first page alone.
        more: whether senses follow; they are asked for with `after` the last of these.
    """

    version: str
    boot: str
    started_us: Count
    duration_bounds_s: Bounds
    lateness_bounds_s: Bounds
    groups: Annotated[tuple[GroupMeasures, ...], Field(strict=False)] = ()
    senses: Annotated[tuple[SenseMeasures, ...], Field(strict=False)] = ()
    more: bool = False
