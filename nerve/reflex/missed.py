"""What is made up for of the ticks that nobody could answer in their time.

Parent; pure. Between the end of one run of nerve and the start of the next, and while
the machine was suspended, ticks pass. `missed` in nerve.yaml says of each reflex
what becomes of them:

    skip   nothing: they are counted             (what a timer does without it)
    once   they are one trigger                  (what `on` does without it)
    all    each is a trigger of its own, oldest first, one after another

and `catchup` how old they may be for that. However long it was, at most MAX_CATCHUP_RUNS
of one reflex and sense are made up for one by one, the newest of them. Signals
are treated likewise (`nerve.reflex.backlog`).
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial

from nerve.clock import US_PER_MS
from nerve.reflex.ticks import first_ticks, last_ticks
from nerve.reflex.timers import Timer, next_wall_us

MAX_CATCHUP_RUNS = 100
"""Ticks or signals of one reflex and sense that run one by one."""
MAX_COUNTED = 1_000
"""Missed times of one cron expression that are counted; of more, only so many."""
CACHED_TIMERS = 128
"""Answers kept: at a start thousands of timers ask about the same few expressions."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of missed ticks.

    Attributes:
        runs: times of the triggers to be, UTC microseconds, oldest first.
        merged: ticks that the one trigger stands for beside its own.
        skipped: ticks that nothing comes of.
    """

    runs: tuple[int, ...] = ()
    merged: int = 0
    skipped: int = 0


def plan(timer: Timer, after_us: int, until_us: int) -> Plan:
    """Decide about the ticks of a timer after one time, up to and including another."""
    if timer.missed == "skip":
        return Plan(skipped=_counted(timer, after_us, until_us))
    total, newest = elapsed(timer, after_us, until_us)
    oldest_us = after_us if timer.catchup_us is None else until_us - timer.catchup_us
    recent = tuple(due_us for due_us in newest if due_us >= oldest_us)
    if not recent:
        return Plan(skipped=total)
    if timer.missed == "all":
        return Plan(recent, 0, total - len(recent))
    # Where all that are held are recent, those before them may be: they are taken to be.
    joined = total if len(recent) == len(newest) else len(recent)
    return Plan(recent[-1:], joined - 1, total - joined)


def elapsed(timer: Timer, after_us: int, until_us: int) -> tuple[int, tuple[int, ...]]:
    """Count the ticks after one tick up to a time; return the newest, oldest first, as well."""
    if until_us <= after_us:
        return 0, ()
    if not timer.is_by_wall_clock:
        interval_us = timer.interval_ms * US_PER_MS
        total = (until_us - after_us) // interval_us
        first = max(0, total - MAX_CATCHUP_RUNS) + 1
        return total, tuple(after_us + n * interval_us for n in range(first, total + 1))
    phase_us = timer.phase_ms * US_PER_MS
    total, newest = _wall_ticks(_rule_of(timer), after_us - phase_us, until_us)
    shifted = tuple(at_us + phase_us for at_us in newest if at_us + phase_us <= until_us)
    return total - (len(newest) - len(shifted)), shifted


def _counted(timer: Timer, after_us: int, until_us: int) -> int:
    """Count the ticks in between; with `jitter` one may be missing or too many.

    Without it the same times are asked for by all senses with one rule, and are found once.
    """
    if timer.is_by_wall_clock and until_us > after_us:
        return _wall_ticks(_rule_of(timer), after_us, until_us)[0]
    return elapsed(timer, after_us, until_us)[0]


def _rule_of(timer: Timer) -> Timer:
    """The same rule for another sense, and without its shift, has the same times."""
    return replace(timer, sense="", phase_ms=0, missed="skip", catchup_us=None)


@lru_cache(CACHED_TIMERS)
def _wall_ticks(rule: Timer, after_us: int, until_us: int) -> tuple[int, tuple[int, ...]]:
    following = partial(next_wall_us, rule)
    counted = first_ticks(following, after_us, until_us, MAX_COUNTED)
    if len(counted) < MAX_COUNTED:
        return len(counted), counted[-MAX_CATCHUP_RUNS:]
    return MAX_COUNTED, last_ticks(following, after_us, until_us, MAX_CATCHUP_RUNS)
