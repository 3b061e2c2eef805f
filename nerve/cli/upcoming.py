"""When each reflex runs next, as far as that can be told from outside. Read-only.

Cron and aligned intervals are known from the clock alone. Any other interval counts from the
start of the running schedule, or from its last tick where its position is kept; the parent writes
both into the journal. While none runs, nobody knows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nerve.cli.journal import open_journal
from nerve.config import Loaded
from nerve.config.models import Config, SenseReflex, WorkflowReflex
from nerve.errors import NothingHasRun
from nerve.reflex.timers import Timer, timers_of
from nerve.reflex.upcoming import next_tick_us
from nerve.store.batch import Pair
from nerve.store.journal_reading import cursors_in
from nerve.store.state_dir import StateDir

# One that an earlier run has left says nothing of this one.
_BEGAN = """
SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schedule_began_us'
AND CAST(value AS INTEGER) >= coalesce((SELECT max(started_us) FROM boots), 0)
"""


@dataclass(frozen=True, slots=True)
class Running:
    """The schedule that runs now.

    Attributes:
        began_us: when it began, UTC microseconds; None if none runs.
        positions: (sense, source of a timer) to the last tick that is recorded.
    """

    began_us: int | None = None
    positions: Mapping[Pair, int] = field(default_factory=dict)


def running(loaded: Loaded) -> Running:
    """Ask the state directory for the schedule that runs now.

    Raises StateForbidden where the lock file may not be read, DatabaseError and its kin.
    """
    if StateDir(loaded.state_dir).holder() is None:
        return Running()
    try:
        with open_journal(loaded) as reader:
            found = reader.execute(_BEGAN).fetchone()
            return Running(int(found[0]), cursors_in(reader)) if found else Running()
    except NothingHasRun:  # it starts at this moment
        return Running()


def next_of(
    reflex: SenseReflex | WorkflowReflex, config: Config, now_us: int, schedule: Running
) -> int | None:
    """The next time at which a reflex runs the first of its senses; None if it cannot be told."""
    alone = config.model_copy(update={"reflexes": (reflex,)})
    found = [_next_tick_us(timer, now_us, schedule) for timer in timers_of(alone)]
    return min((at_us for at_us in found if at_us is not None), default=None)


def _next_tick_us(timer: Timer, now_us: int, schedule: Running) -> int | None:
    last_us = schedule.positions.get((timer.sense, timer.source))
    return next_tick_us(timer, now_us, schedule.began_us, last_us)
