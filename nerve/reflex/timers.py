"""What runs senses by time, as nerve.yaml declares it, and the times that it names.

Parent and commands; pure. A timer whose missed ticks are made up for has a *source*,
a name for its cursor: the last tick whose outcome is recorded moves with that
outcome, in one transaction, just as the cursor of a signal does. No sense is named
like it, because it begins with `@`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from nerve.clock import US_PER_MS
from nerve.config.durations import format_duration
from nerve.config.models import Config, Missed, SenseReflex
from nerve.reflex.aligned import next_aligned_us
from nerve.reflex.cron import next_us
from nerve.sense import TriggerKind

SOURCE_MARK = "@"
"""With which the source of a timer begins, and the name of no sense does."""


@dataclass(frozen=True, slots=True)
class Timer:
    """One sense to be run by time.

    Attributes:
        kind: INTERVAL or CRON.
        phase_ms: how much later than the others, for `jitter`.
        cron: the expression, for CRON.
        timezone: of cron, and of the midnight from which `align` counts.
        missed: what becomes of ticks that nobody could answer in their time.
        catchup_us: how old such a tick may be to be made up for; None for any age.
    """

    sense: str
    kind: TriggerKind
    interval_ms: int = 0
    phase_ms: int = 0
    align: bool = False
    cron: str = ""
    timezone: str = "UTC"
    missed: Missed = "skip"
    catchup_us: int | None = None

    @property
    def is_by_wall_clock(self) -> bool:
        """Whether the time of day decides, and not the time passed since the start."""
        return self.align or self.kind is TriggerKind.CRON

    @property
    def keeps_position(self) -> bool:
        """Whether it is recorded how far it has got."""
        return self.missed != "skip"

    @property
    def source(self) -> str:
        """The name of its cursor, e.g. `@every 10s` or `@cron 0 6 * * * Europe/Berlin`."""
        if self.kind is TriggerKind.CRON:
            return f"{SOURCE_MARK}cron {self.cron} {self.timezone}"
        aligned = f" aligned {self.timezone}" if self.align else ""
        return f"{SOURCE_MARK}every {format_duration(self.interval_ms)}{aligned}"


def timers_of(config: Config) -> list[Timer]:
    """All timers that the reflexes declare."""
    return [timer for reflex in config.reflexes for timer in _timers(reflex, config.timezone)]


def _timers(reflex: object, timezone: str) -> Iterator[Timer]:
    if not isinstance(reflex, SenseReflex) or reflex.on:
        return
    missed = reflex.missed or "skip"
    catchup_us = None if reflex.catchup_ms is None else reflex.catchup_ms * US_PER_MS
    for sense in reflex.sense:
        yield Timer(
            sense,
            TriggerKind.CRON if reflex.cron else TriggerKind.INTERVAL,
            interval_ms=reflex.interval_ms or 0,
            phase_ms=phase_ms(sense, reflex.jitter_ms or 0),
            align=reflex.align,
            cron=reflex.cron or "",
            timezone=reflex.timezone or timezone,
            missed=missed,
            catchup_us=catchup_us,
        )


def phase_ms(sense: str, jitter_ms: int) -> int:
    """A delay from 0 up to `jitter_ms`, spread over names, the same at every start."""
    if jitter_ms == 0:
        return 0
    digest = hashlib.sha256(sense.encode()).digest()
    return int.from_bytes(digest[:8], "big") % jitter_ms


def next_wall_us(timer: Timer, after_us: int) -> int | None:
    """The first tick strictly after `after_us` of a timer by the wall clock; None if never."""
    if timer.align:
        return next_aligned_us(timer.interval_ms, timer.phase_ms, timer.timezone, after_us)
    return next_us(timer.cron, timer.timezone, after_us)


def before_first_us(timer: Timer, began_us: int) -> int:
    """The tick that would have come before the first one of a schedule that began then.

    As a position it means that even the first one has no outcome yet.
    """
    if timer.is_by_wall_clock:
        return began_us  # its first tick is strictly after that
    return began_us + (timer.phase_ms - timer.interval_ms) * US_PER_MS
