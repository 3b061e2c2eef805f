"""Which timers are due.

Parent; pure. An `interval` counts from a fixed start on the monotonic clock, so it
does not drift and does not jump when the clock is set. `align` and `cron` follow
the wall clock; because that can be set, their waits are cut into pieces of at
most RECHECK_S, after each of which the clock is read anew.

A tick that comes late runs once: the ticks it swallowed are counted, never made
up for in a burst; with `missed: all` they run one after another. A clock that is set
back names times again that have had their tick: they get no second one, unless it
was set back by more than REPEATS_AFTER_US.
"""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from nerve.clock import MS_PER_S, US_PER_MS, US_PER_S
from nerve.reflex.missed import elapsed
from nerve.reflex.timers import Timer, next_wall_us

RECHECK_S = 10.0
"""The longest wait for a time on the wall clock before it is looked at again."""
MIN_WAIT_S = 0.001
"""So that a timer is never due again in the moment in which it was."""
REPEATS_AFTER_US = 3 * 3600 * US_PER_S
"""A clock set back by more is taken to have been wrong before, and its times come anew. The limit
that cron(8) of Debian has."""
NEVER = float("inf")

Positions = Mapping[tuple[str, str], int]
"""(sense, source of the timer) to the last tick whose outcome is recorded."""


class Tick(NamedTuple):
    """A timer that is due.

    Attributes:
        runs: the times that it answers, UTC microseconds, oldest first: one; more where each
            that was swallowed is made up for; none where all are older than `catchup`.
        late_ms: how much after its time, or after the first that it swallowed.
        missed: how many were swallowed of which nothing comes.
    """

    timer: Timer
    runs: tuple[int, ...]
    late_ms: int
    missed: int = 0


@dataclass(slots=True)
class _Entry:
    """A timer in the heap.

    Attributes:
        start: from which an interval counts, seconds on the monotonic clock.
        wall_us: the next tick of one by the wall clock, and when that was worked out.
        last_us: its last tick.
    """

    timer: Timer
    start: float
    wall_us: int | None = None
    asked_us: int = 0
    last_us: int = 0


class Schedule:
    """A heap of timers."""

    def __init__(
        self, timers: list[Timer], *, now: float, now_us: int, positions: Positions | None = None
    ) -> None:
        """Start every timer.

        An interval without `align` ticks at once, then at its pace; where its position
        is kept it goes on from there instead.
        """
        self._heap: list[tuple[float, int, _Entry]] = []
        known = positions or {}
        for order, timer in enumerate(timers):
            last_us = known.get((timer.sense, timer.source)) if timer.keeps_position else None
            entry = _Entry(timer, now, last_us=last_us or 0)
            if timer.is_by_wall_clock:
                self._put_wall(order, entry, now, now_us)
            else:
                entry.start += _wait_s(timer, last_us, now_us)
                heapq.heappush(self._heap, (entry.start, order, entry))

    def adopt(self, timers: list[Timer], *, now: float, now_us: int) -> dict[Timer, int]:
        """Have these timers from now on; return the last tick of each that stays, 0 without one.

        What stays ticks when it would have ticked, though something else be made of what it misses.
        An interval of another length counts from now. One that is added ticks at once, as at a
        start.
        """
        waiting: dict[Timer, list[tuple[float, _Entry]]] = {}
        for due, _, entry in self._heap:
            waiting.setdefault(_times_of(entry.timer), []).append((due, entry))
        self._heap, new, stays = [], list[tuple[int, Timer]](), dict[Timer, int]()
        for order, timer in enumerate(timers):
            if same := waiting.get(_times_of(timer)):
                due, entry = same.pop()
                entry.timer, stays[timer] = timer, entry.last_us
                self._heap.append((due, order, entry))
            else:
                new.append((order, timer))
        heapq.heapify(self._heap)
        changed = {entry.timer.sense for left in waiting.values() for _, entry in left}
        for order, timer in new:
            self._begin(order, timer, now, now_us, at_once=timer.sense not in changed)
        return stays

    def _begin(self, order: int, timer: Timer, now: float, now_us: int, *, at_once: bool) -> None:
        entry = _Entry(timer, now)
        if timer.is_by_wall_clock:
            self._put_wall(order, entry, now, now_us)
        elif at_once:
            entry.start += _wait_s(timer, None, now_us)
            heapq.heappush(self._heap, (entry.start, order, entry))
        else:
            self._put_interval(order, entry, now)

    def next_due(self) -> float:
        """When to look again, seconds on the monotonic clock; NEVER without timers."""
        return self._heap[0][0] if self._heap else NEVER

    def upcoming(self, senses: Collection[str], now: float, now_us: int) -> dict[str, int]:
        """The next tick of each of these senses that has one, UTC microseconds."""
        found: dict[str, int] = {}
        for due, _, entry in self._heap:
            sense = entry.timer.sense
            if sense in senses:
                at_us = entry.wall_us or now_us + int((due - now) * US_PER_S)
                found[sense] = min(at_us, found.get(sense, at_us))
        return found

    def pop_due(self, now: float, now_us: int) -> list[Tick]:
        """Take out all that is due, in order of time, and set each for its next tick."""
        ticks = []
        while self._heap and self._heap[0][0] <= now:
            due, order, entry = heapq.heappop(self._heap)
            if entry.timer.is_by_wall_clock:
                if entry.wall_us is not None and now_us >= entry.wall_us:
                    ticks.append(_tick(entry, entry.wall_us, now_us))
                    entry.wall_us = None
                self._put_wall(order, entry, now, now_us)
            else:
                # What was due when the machine was fast is due now: the wall clock is only told.
                ticks.append(_tick(entry, now_us - int((now - due) * US_PER_S), now_us))
                self._put_interval(order, entry, now)
        return ticks

    def _put_interval(self, order: int, entry: _Entry, now: float) -> None:
        interval_s = entry.timer.interval_ms / MS_PER_S
        # From the start and not from the last tick: small latenesses must not add up.
        due = entry.start + (int((now - entry.start) / interval_s) + 1) * interval_s
        if due <= now:  # rounding at a border
            due += interval_s
        heapq.heappush(self._heap, (due, order, entry))

    def _put_wall(self, order: int, entry: _Entry, now: float, now_us: int) -> None:
        # Only a clock that was set back names an earlier time than the one that was worked out.
        if entry.wall_us is None or now_us < entry.asked_us:
            if entry.last_us - now_us > REPEATS_AFTER_US:
                entry.last_us = 0
            entry.wall_us = next_wall_us(entry.timer, max(now_us, entry.last_us))
        entry.asked_us = now_us
        if entry.wall_us is not None:
            wait = max(MIN_WAIT_S, min((entry.wall_us - now_us) / US_PER_S, RECHECK_S))
            heapq.heappush(self._heap, (now + wait, order, entry))


def _times_of(timer: Timer) -> Timer:
    """A timer without what is made of the ticks that it misses."""
    return replace(timer, missed="skip", catchup_us=None)


def _wait_s(timer: Timer, last_us: int | None, now_us: int) -> float:
    """How long an interval waits for its first tick."""
    if last_us is None:
        return timer.phase_ms / MS_PER_S
    interval_us = timer.interval_ms * US_PER_MS
    ago_us = now_us - last_us
    if ago_us < -interval_us:  # the clock was wrong then, or is now
        return timer.phase_ms / MS_PER_S
    return (interval_us - (ago_us % interval_us if ago_us > 0 else ago_us)) / US_PER_S


def _tick(entry: _Entry, first_us: int, now_us: int) -> Tick:
    """Make one tick of all that are due by now, the first of which was at `first_us`."""
    timer = entry.timer
    before_us = first_us - (1 if timer.is_by_wall_clock else timer.interval_ms * US_PER_MS)
    total, newest = elapsed(timer, before_us, now_us)
    oldest_us = first_us if timer.catchup_us is None else now_us - timer.catchup_us
    runs = newest if timer.missed == "all" else newest[-1:]
    runs = tuple(due_us for due_us in runs if due_us >= oldest_us)
    entry.last_us = max(entry.last_us, newest[-1])
    late_ms = (now_us - first_us) // US_PER_MS
    return Tick(timer, runs, late_ms, total - len(runs))
