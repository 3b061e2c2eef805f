"""From a cause to a place in a group's queue.

Parent, on the loop. Holds the schedule, the flow of each sense and the one timer
that wakes them; asks `nerve.reflex` what is to be done and does it. A cause that
does not run leaves a count of why (`throttled`, `coalesced`, `unavailable`,
`missed`, `loop`), so that everything that should have run can be accounted for.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from nerve.clock import MS_PER_S, Clock
from nerve.config.models import Config
from nerve.reflex.causes import Cause, PendingTrigger
from nerve.reflex.flow import Decision, Flow, Phase
from nerve.reflex.listeners import is_loop
from nerve.reflex.schedule import NEVER, Schedule, Tick, timers_of
from nerve.sense import TriggerKind
from nerve.supervisor.recorder import Recorder

LATE_TICK_MS = 10_000
"""A tick later than this, after a suspend or on a stalled machine, is worth a log row."""

Log = Callable[[str, str, str, dict[str, Any]], None]


class Triggers:
    """What is to run, when, and what waits."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        recorder: Recorder,
        enqueue: Callable[[str], None],
        withdraw: Callable[[str], None],
        log: Log,
    ) -> None:
        """`enqueue` is called with each sense that has a trigger to run now.

        `withdraw` when such a trigger is to wait after all.
        """
        self.unavailable: set[str] = set()
        self._timers = timers_of(config)
        self._flows = {
            name: Flow((sense.throttle_ms or 0) / MS_PER_S) for name, sense in config.senses.items()
        }
        self._clock = clock
        self._recorder = recorder
        self._enqueue = enqueue
        self._withdraw = withdraw
        self._log = log
        self._schedule: Schedule | None = None
        self._deferred: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start the schedule."""
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        self._schedule = Schedule(self._timers, now=now, now_us=now_us)
        self._wake()

    def begin_once(self) -> None:
        """Instead of the schedule: run everything that runs by time, once."""
        for sense in dict.fromkeys(timer.sense for timer in self._timers):
            self.offer(sense, Cause(TriggerKind.MANUAL))

    def end(self) -> None:
        """Wake no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._schedule = None
        self._deferred.clear()

    def offer(self, sense: str, cause: Cause) -> None:
        """Let a cause in: it runs, waits, joins what waits, or is counted with its reason."""
        if sense in self.unavailable:
            self._count(sense, "unavailable")
        elif is_loop(cause):
            self._cut(sense, cause)
        else:
            self._follow(sense, self._flows[sense].offer(cause, self._clock.monotonic()))

    def take(self, sense: str) -> PendingTrigger:
        """Take the trigger that waits for a sense; it counts as started now."""
        return self._flows[sense].take(self._clock.monotonic())

    def finish(self, sense: str, again: PendingTrigger | None) -> None:
        """A compute has its outcome; what was held meanwhile goes on."""
        if sense in self.unavailable:
            if self._flows[sense].drop():
                self._count(sense, "unavailable")
            return
        decision = self._flows[sense].finish(self._clock.monotonic(), again)
        if decision is not None:
            self._follow(sense, decision)

    def rest(self, sense: str, seconds: float, why: Decision) -> None:
        """Start nothing of a sense for so long; what waits in a queue waits here instead."""
        flow = self._flows[sense]
        if flow.rest(self._clock.monotonic() + seconds, why):
            self._withdraw(sense)
            self._count(sense, why)
        if flow.phase is Phase.DEFERRED:
            self._deferred.add(sense)
            self._set_timer()

    def answered(self, sense: str, source: str, signal_id: int) -> None:
        """A sense has answered the signals of `source` up to this one, as its database says.

        Its worker may come up after they were offered to it.
        """
        if self._flows[sense].answered(source, signal_id):
            self._withdraw(sense)
        if self._flows[sense].phase is Phase.QUIET:
            self._deferred.discard(sense)

    def forget(self, senses: Iterable[str]) -> None:
        """Nobody is left to run these senses: what waits for them never will."""
        for sense in senses:
            flow = self._flows[sense]
            self._deferred.discard(sense)
            if flow.phase is Phase.WAITING:
                self._withdraw(sense)
            if flow.phase is Phase.RUNNING:
                continue  # its outcome is still to come
            if flow.drop():
                self._count(sense, "unavailable")

    @property
    def are_quiet(self) -> bool:
        """Whether no sense runs or has a trigger that waits."""
        return all(flow.phase is Phase.QUIET for flow in self._flows.values())

    def _follow(self, sense: str, decision: Decision) -> None:
        match decision:
            case Decision.ACCEPTED:
                self._enqueue(sense)
            case Decision.HELD:
                pass  # it runs; what is held is told when that has ended
            case _:
                self._count(sense, decision)
                if self._flows[sense].phase is Phase.DEFERRED:
                    self._deferred.add(sense)
                    self._set_timer()

    def _cut(self, sense: str, cause: Cause) -> None:
        self._count(sense, "loop")
        for source, signal_id in cause.positions.items():
            self._recorder.cursor(sense, source, signal_id)
        last = cause.signals[-1]
        message = f"a chain of {cause.depth} signals leads to {sense}, last from {last.sense}; cut"
        payload = {"message": message, "depth": cause.depth, "signal": last.id}
        self._log(sense, "reflex.loop", "error", payload)

    def _wake(self) -> None:
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        if self._schedule is not None:
            for tick in self._schedule.pop_due(now, now_us):
                self._on_tick(tick)
        for sense in [s for s in self._deferred if self._flows[s].wake(now)]:
            self._deferred.discard(sense)
            self._enqueue(sense)
        self._set_timer()

    def _on_tick(self, tick: Tick) -> None:
        if tick.missed:
            self._count(tick.timer.sense, "missed", tick.missed)
        if tick.late_ms > LATE_TICK_MS:
            payload = {"late_ms": tick.late_ms, "missed": tick.missed}
            self._log(tick.timer.sense, "tick.late", "warning", payload)
        self.offer(tick.timer.sense, Cause(tick.timer.kind))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._schedule.next_due() if self._schedule is not None else NEVER
        due = min([due, *(self._flows[sense].due for sense in self._deferred)])
        if due != NEVER:
            delay_s = max(0.0, due - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _count(self, sense: str, reason: str, number: int = 1) -> None:
        self._recorder.count(sense, reason, self._clock.now_us(), number)
