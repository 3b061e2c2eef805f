"""When each reflex runs next, as far as that can be told from outside. Read-only.

Cron and aligned intervals are known from the clock alone. Any other interval counts from the
start of the running schedule, which the parent writes into the journal; while none runs,
nobody knows it.
"""

from nerve.cli.journal import open_journal
from nerve.config import Loaded
from nerve.config.models import Config, SenseReflex, WorkflowReflex
from nerve.errors import NothingHasRun
from nerve.reflex.timers import timers_of
from nerve.reflex.upcoming import next_tick_us
from nerve.store.state_dir import StateDir

# One that an earlier run has left says nothing of this one.
_BEGAN = """
SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schedule_began_us'
AND CAST(value AS INTEGER) >= coalesce((SELECT max(started_us) FROM boots), 0)
"""


def began_us(loaded: Loaded) -> int | None:
    """When the schedule that runs now began, UTC microseconds; None if none runs.

    Raises StateForbidden where the lock file may not be read, DatabaseError and its kin.
    """
    if StateDir(loaded.state_dir).holder() is None:
        return None
    try:
        with open_journal(loaded) as reader:
            found = reader.execute(_BEGAN).fetchone()
    except NothingHasRun:  # it starts at this moment
        return None
    return int(found[0]) if found else None


def next_of(
    reflex: SenseReflex | WorkflowReflex, config: Config, now_us: int, began_us: int | None
) -> int | None:
    """The next time at which a reflex runs the first of its senses; None if it cannot be told."""
    alone = config.model_copy(update={"reflexes": (reflex,)})
    found = (next_tick_us(timer, now_us, began_us) for timer in timers_of(alone))
    return min((at_us for at_us in found if at_us is not None), default=None)
