"""Which timers are due.

Parent; pure. An `interval` counts from a fixed start on the monotonic clock, so it
does not drift and does not jump when the clock is set. `align` and `cron` follow
the wall clock; because that can be set, their waits are cut into pieces of at
most RECHECK_S, after each of which the clock is read anew.

A tick that comes late runs once: the ticks it swallowed are counted, never made
up for in a burst.
"""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from nerve.clock import MS_PER_S, US_PER_MS, US_PER_S
from nerve.config.models import Config, SenseReflex
from nerve.reflex.aligned import next_aligned_us
from nerve.reflex.cron import next_us
from nerve.sense import TriggerKind

RECHECK_S = 10.0
"""The longest wait for a time on the wall clock before it is looked at again."""
MIN_WAIT_S = 0.001
"""So that a timer is never due again in the moment in which it was."""
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Timer:
    """One sense to be run by time.

    Attributes:
        kind: INTERVAL or CRON.
        phase_ms: how much later than the others, for `jitter`.
        cron: the expression, for CRON.
        timezone: of cron, and of the midnight from which `align` counts.
    """

    sense: str
    kind: TriggerKind
    interval_ms: int = 0
    phase_ms: int = 0
    align: bool = False
    cron: str = ""
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer that is due.

    Attributes:
        late_ms: how much after its time.
        missed: ticks before this one that were swallowed.
    """

    timer: Timer
    late_ms: int
    missed: int


def timers_of(config: Config) -> list[Timer]:
    """All timers that the reflexes declare."""
    return [timer for reflex in config.reflexes for timer in _timers(reflex, config.timezone)]


def _timers(reflex: object, timezone: str) -> Iterator[Timer]:
    if not isinstance(reflex, SenseReflex):
        return
    timezone = reflex.timezone or timezone
    for sense in reflex.sense:
        if reflex.interval_ms is not None:
            phase = phase_ms(sense, reflex.jitter_ms or 0)
            yield Timer(
                sense,
                TriggerKind.INTERVAL,
                reflex.interval_ms,
                phase,
                reflex.align,
                timezone=timezone,
            )
        elif reflex.cron is not None:
            yield Timer(sense, TriggerKind.CRON, cron=reflex.cron, timezone=timezone)


def phase_ms(sense: str, jitter_ms: int) -> int:
    """A delay from 0 up to `jitter_ms`, spread over names, the same at every start."""
    if jitter_ms == 0:
        return 0
    digest = hashlib.sha256(sense.encode()).digest()
    return int.from_bytes(digest[:8], "big") % jitter_ms


class Schedule:
    """A heap of timers."""

    def __init__(self, timers: list[Timer], *, now: float, now_us: int) -> None:
        """Start every timer; an interval without `align` ticks at once, then at its pace."""
        self._start = now
        self._heap: list[tuple[float, int, Timer, int | None]] = []
        for order, timer in enumerate(timers):
            self._put(order, timer, now, now_us, first=True)

    def next_due(self) -> float:
        """When to look again, seconds on the monotonic clock; NEVER without timers."""
        return self._heap[0][0] if self._heap else NEVER

    def pop_due(self, now: float, now_us: int) -> list[Tick]:
        """Take out all that is due, in order of time, and set each for its next tick."""
        ticks = []
        while self._heap and self._heap[0][0] <= now:
            due, order, timer, wall_us = heapq.heappop(self._heap)
            if wall_us is None:
                missed = int((now - due) * MS_PER_S) // timer.interval_ms
                ticks.append(Tick(timer, int((now - due) * MS_PER_S), missed))
            elif now_us >= wall_us:
                ticks.append(Tick(timer, (now_us - wall_us) // US_PER_MS, 0))
            self._put(order, timer, now, now_us, first=False)
        return ticks

    def _put(self, order: int, timer: Timer, now: float, now_us: int, *, first: bool) -> None:
        if timer.kind is TriggerKind.CRON or timer.align:
            self._put_wall(order, timer, now, now_us)
            return
        interval_s = timer.interval_ms / MS_PER_S
        begin = self._start + timer.phase_ms / MS_PER_S
        # From the start and not from the last tick: small latenesses must not add up.
        count = 0 if first else int((now - begin) / interval_s) + 1
        due = begin + count * interval_s
        if not first and due <= now:  # rounding at a border
            due += interval_s
        heapq.heappush(self._heap, (due, order, timer, None))

    def _put_wall(self, order: int, timer: Timer, now: float, now_us: int) -> None:
        if timer.align:
            wall_us: int | None = next_aligned_us(
                timer.interval_ms, timer.phase_ms, timer.timezone, now_us
            )
        else:
            wall_us = next_us(timer.cron, timer.timezone, now_us)
        if wall_us is not None:
            wait = max(MIN_WAIT_S, min((wall_us - now_us) / US_PER_S, RECHECK_S))
            heapq.heappush(self._heap, (now + wait, order, timer, wall_us))
