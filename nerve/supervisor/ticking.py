"""When something is due: ticks, and the ends of what waits.

Parent, on the loop. Holds the schedule, a heap of ends, and the one timer of the loop that wakes
for both; what is due it hands to whoever decides (`triggers`), sense by sense, so that a fault at
one stops no other. An end may be put off after it was set: whoever is told of it looks again.
"""

import asyncio
import heapq
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from traceback import format_exc
from typing import Any, Protocol

from nerve.clock import MS_PER_S, Clock
from nerve.config.durations import format_duration
from nerve.config.models import Config
from nerve.reflex.causes import Cause
from nerve.reflex.listeners import Pair
from nerve.reflex.schedule import NEVER, Schedule, Tick
from nerve.reflex.timers import before_first_us, timers_of
from nerve.supervisor.catching_up import CatchingUp, Receiver, tick_cause
from nerve.supervisor.recorder import Recorder

LATE_TICK_MS = 10_000
"""A tick later than this, after a suspend or on a stalled machine, is worth a log row."""

Log = Callable[[str, str, str, dict[str, Any]], None]
CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]
Wait = tuple[int, str]
"""What waits for an end: (index of a reflex, target) a bundle, (FLOW, sense) a deferral."""
FLOW = -1


class Due(Receiver, Protocol):
    """Who is told what is due, and decides."""

    def offer(self, sense: str, cause: Cause) -> None:
        """Let a cause in."""
        ...

    def late(self, sense: str, seconds: float) -> None:
        """The tick that is offered next is late."""
        ...

    def end_deferral(self, sense: str, now: float) -> None:
        """The end of a deferral may have come."""
        ...

    def end_bundle(self, reflex: int, sense: str, now: float) -> None:
        """The end of a bundle may have come."""
        ...


class Ticking:
    """What is due, and when."""

    def __init__(
        self,
        config: Config,
        due: Due,
        *,
        clock: Clock,
        recorder: Recorder,
        log: Log,
        call_later: CallLater,
    ) -> None:
        """No tick before `begin`; ends are told from now on."""
        self._timers = timers_of(config)
        self._due = due
        self._clock = clock
        self._recorder = recorder
        self._log = log
        self._call_later = call_later
        self._catching_up = CatchingUp(due, recorder, log)
        self._schedule: Schedule | None = None
        self._ends: list[tuple[float, Wait]] = []
        self._deferred_until: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = NEVER

    # --- the schedule ---------------------------------------------------------------

    def begin(self, positions: Mapping[Pair, int], last_seen_us: int | None) -> None:
        """Start the schedule, and make up for what was missed.

        Args:
            positions: of the timers that keep one, (sense, source) to the last tick.
            last_seen_us: when nerve last ran; None if it never did.
        """
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        self._catching_up.at_start(self._timers, positions, last_seen_us, now_us)
        self._schedule = Schedule(self._timers, now=now, now_us=now_us, positions=positions)
        self._recorder.fact("schedule_began_us", str(now_us))
        self._wake()

    def end(self) -> None:
        """Wake no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._schedule = None

    def adopt(self, config: Config, now: float, now_us: int) -> None:
        """Have the timers of another configuration; `set_timer` is to follow."""
        timers = timers_of(config)
        kept = {(timer.sense, timer.source) for timer in self._timers if timer.keeps_position}
        stays = self._schedule.adopt(timers, now=now, now_us=now_us) if self._schedule else {}
        self._timers = timers
        for timer in timers:
            pair = (timer.sense, timer.source)
            if timer.keeps_position and pair not in kept:
                at_us = stays.get(timer) or before_first_us(timer, now_us)
                self._recorder.cursor(*pair, at_us)
        still = {(timer.sense, timer.source) for timer in timers if timer.keeps_position}
        for pair in kept - still:
            self._recorder.forget(*pair)

    def by_time(self) -> list[str]:
        """The senses that a timer runs, each once."""
        return list(dict.fromkeys(timer.sense for timer in self._timers))

    def upcoming(self, senses: Collection[str]) -> dict[str, int]:
        """The next tick of each of these senses that a timer runs, UTC microseconds."""
        if self._schedule is None:
            return {}
        return self._schedule.upcoming(senses, self._clock.monotonic(), self._clock.now_us())

    def paused(self, sense: str, positions: Mapping[str, int]) -> None:
        """A sense is paused, and up to here its ticks wait; they may be made up for after that."""
        self._catching_up.note_waiting(sense, positions)

    def make_up_after(self, pauses: AbstractSet[str], positions: Mapping[Pair, int]) -> None:
        """Make up for ticks that passed while these senses were paused, as their reflexes say.

        `positions` are of the timers, as for `begin`. Each tick was counted as `paused`.
        """
        self._catching_up.after_pause(self._timers, pauses, positions)

    # --- ends -----------------------------------------------------------------------

    def wake_deferred(self, sense: str, due: float) -> None:
        """Tell of the end of a deferral, once, however many causes join it."""
        if self._deferred_until.get(sense) != due:
            self._deferred_until[sense] = due
            self.wake_at(due, (FLOW, sense))

    def wake_at(self, due: float, wait: Wait) -> None:
        """Tell of an end at this moment, seconds on the monotonic clock."""
        heapq.heappush(self._ends, (due, wait))
        self.set_timer()

    def let_go(self, senses: AbstractSet[str]) -> None:
        """Nothing of these senses waits any more."""
        self._keep(lambda wait: wait[1] not in senses)
        for sense in senses:
            self._deferred_until.pop(sense, None)

    def let_go_of_bundles(self) -> None:
        """No bundle waits any more; those that do are told of again by `wake_at`."""
        self._keep(lambda wait: wait[0] == FLOW)

    def _keep(self, keeps: Callable[[Wait], bool]) -> None:
        self._ends = [end for end in self._ends if keeps(end[1])]
        heapq.heapify(self._ends)

    # --- the timer ------------------------------------------------------------------

    def set_timer(self) -> None:
        """One timer of the loop for all: it is set anew only where something is due earlier."""
        due = self._schedule.next_due() if self._schedule is not None else NEVER
        due = min(due, self._ends[0][0]) if self._ends else due
        if due < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = due
            delay_s = max(0.0, due - self._clock.monotonic())
            self._timer = self._call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._wakes_at = NEVER
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        try:
            for tick in self._schedule.pop_due(now, now_us) if self._schedule else ():
                self._safely(tick.timer.sense, partial(self._on_tick, tick))
            while self._ends and self._ends[0][0] <= now:
                due, (reflex, sense) = heapq.heappop(self._ends)
                self._safely(sense, partial(self._on_end, due, reflex, sense, now))
        finally:  # whatever it was, the other senses must not stand still for ever
            self.set_timer()

    def _safely(self, sense: str, act: Callable[[], None]) -> None:
        """Do what is due for one sense; a fault of ours ends that alone, and is told."""
        try:
            act()
        except Exception as error:  # noqa: BLE001  the boundary between the timers of one sense and another
            message = f"an error of nerve itself, at a trigger of {sense}: {error!r}"
            payload = {"message": message, "hint": "please report it", "stack": format_exc()}
            self._log(sense, "trigger.failed", "error", payload)

    def _on_tick(self, tick: Tick) -> None:
        sense, due = tick.timer.sense, self._due
        if tick.timer.keeps_position and tick.runs and due.blocked(sense) == "paused":
            self._catching_up.note_passed(tick.timer, tick.runs[-1])
        if tick.missed:
            due.count(sense, "missed", tick.missed, f"the next was {_in_words(tick.late_ms)} late")
        if tick.late_ms > LATE_TICK_MS:
            payload = {"late_ms": tick.late_ms, "missed": tick.missed}
            self._log(sense, "tick.late", "warning", payload)
        if tick.late_ms:
            due.late(sense, tick.late_ms / MS_PER_S)
        causes = [tick_cause(tick.timer, due_us) for due_us in tick.runs]
        due.line_up(sense, causes[:-1])
        for cause in causes[-1:]:
            due.offer(sense, cause)

    def _on_end(self, due: float, reflex: int, sense: str, now: float) -> None:
        if reflex != FLOW:
            self._due.end_bundle(reflex, sense, now)
            return
        if self._deferred_until.get(sense) == due:
            del self._deferred_until[sense]
        self._due.end_deferral(sense, now)


def _in_words(late_ms: int) -> str:
    """How late, e.g. `350ms` or `56m6s`."""
    return format_duration(late_ms if late_ms < MS_PER_S else late_ms // MS_PER_S * MS_PER_S)
