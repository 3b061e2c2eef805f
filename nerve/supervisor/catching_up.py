"""Ticks that passed while they could run nobody: at a start, and after a pause.

Parent, on the loop. `nerve.reflex.missed` decides what is made up for, as each reflex says; this
counts the rest, lets the runs in, and keeps the positions of timers true. Ticks that pass while a
sense is paused are noted here, the last of each timer, until the sense is resumed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from nerve.clock import US_PER_MS, rfc3339
from nerve.reflex.causes import NO_POSITIONS, Cause
from nerve.reflex.flow import Decision
from nerve.reflex.listeners import Pair
from nerve.reflex.missed import Plan, elapsed, plan
from nerve.reflex.schedule import REPEATS_AFTER_US
from nerve.reflex.timers import SOURCE_MARK, Timer, before_first_us
from nerve.supervisor.recorder import Recorder


class Receiver(Protocol):
    """Who takes in what is made up for."""

    def blocked(self, sense: str) -> str:
        """Why a sense is not to run now; empty if it may."""
        ...

    def in_hand(self, sense: str, source: str) -> int:
        """Up to where a compute that still runs answers `source`; 0 without one."""
        ...

    def line_up(self, sense: str, causes: Sequence[Cause]) -> None:
        """Let in causes that are to run one by one."""
        ...

    def count(self, sense: str, reason: str, number: int = 1, detail: str = "") -> None:
        """Count so many triggers that do not run, and why."""
        ...


class CatchingUp:
    """What was missed, and what was passed over."""

    def __init__(
        self,
        receiver: Receiver,
        recorder: Recorder,
        log: Callable[[str, str, str, dict[str, Any]], None],
    ) -> None:
        self._receiver = receiver
        self._recorder = recorder
        self._log = log
        self._passed: dict[Pair, int] = {}

    def at_start(
        self,
        timers: Iterable[Timer],
        positions: Mapping[Pair, int],
        last_seen_us: int | None,
        now_us: int,
    ) -> None:
        """Make up for what was missed while nerve did not run."""
        made_up = skipped = 0
        for timer in timers:
            planned = self._make_up(timer, positions, last_seen_us, now_us)
            if planned is not None:
                made_up, skipped = made_up + len(planned.runs), skipped + planned.skipped
        if made_up or skipped:
            since = f" since {rfc3339(last_seen_us)}" if last_seen_us is not None else ""
            message = f"ticks passed while nerve did not run{since}: {made_up + skipped}"
            payload = {"message": f"{message}; made up for now: {made_up}", "made_up": made_up}
            self._log("nerve", "schedule.missed", "info", payload | {"skipped": skipped})

    def _make_up(
        self,
        timer: Timer,
        positions: Mapping[Pair, int],
        last_seen_us: int | None,
        now_us: int,
    ) -> Plan | None:
        last_us = self._last_us(timer, positions, last_seen_us, now_us)
        if last_us is None:
            return None
        pair = (timer.sense, timer.source)
        if timer.keeps_position and (blocked := self._receiver.blocked(timer.sense)):
            if blocked == "paused":  # else the same is made up for at a later start
                self._passed[pair] = now_us
            return None
        planned = plan(timer, last_us, now_us)
        count = self._receiver.count
        count(
            timer.sense,
            "missed",
            planned.skipped,
            f"nerve did not run, from {rfc3339(last_us)} on",
        )
        count(timer.sense, Decision.COALESCED, planned.merged, "missed, and run as one")
        self._run(timer, planned, last_us, now_us)
        return planned

    def _last_us(
        self,
        timer: Timer,
        positions: Mapping[Pair, int],
        last_seen_us: int | None,
        now_us: int,
    ) -> int | None:
        """After when ticks of a timer were missed; None where nothing is known to be missed."""
        pair = (timer.sense, timer.source)
        last_us = positions.get(pair) if timer.keeps_position else last_seen_us
        if pair in positions and not timer.keeps_position:
            self._recorder.forget(*pair)  # ticks pass that it does not stand for
        if last_us is not None and last_us > now_us + REPEATS_AFTER_US:
            self._recorder.forget(*pair)  # the clock was wrong when that was written
            last_us = None
        if last_us is None and timer.keeps_position:  # from now on nothing of it is forgotten
            self._recorder.cursor(*pair, before_first_us(timer, now_us))
        return last_us

    def after_pause(
        self, timers: Iterable[Timer], pauses: AbstractSet[str], positions: Mapping[Pair, int]
    ) -> None:
        """Make up for what passed while these senses were paused."""
        for timer in timers:
            pair = (timer.sense, timer.source)
            if timer.sense not in pauses or pair not in self._passed:
                continue
            if self._receiver.blocked(timer.sense):
                continue
            until_us = self._passed.pop(pair)
            after_us = max(positions.get(pair, until_us), self._receiver.in_hand(*pair))
            self._run(timer, plan(timer, after_us, until_us), after_us, until_us)

    def _run(self, timer: Timer, planned: Plan, after_us: int, until_us: int) -> None:
        runs = [tick_cause(timer, due_us) for due_us in planned.runs]
        self._receiver.line_up(timer.sense, runs)
        if planned.skipped and not runs and timer.keeps_position:
            _, newest = elapsed(timer, after_us, until_us)
            # Or the next start would take them up, and count them anew.
            self._recorder.cursor(timer.sense, timer.source, newest[-1])

    def note_passed(self, timer: Timer, due_us: int) -> None:
        """The tick of this time came to a sense that is paused."""
        # Of an interval a tick is told from two clocks, and may be a microsecond off.
        half_us = 0 if timer.is_by_wall_clock else timer.interval_ms * US_PER_MS // 2
        self._passed[timer.sense, timer.source] = due_us + half_us

    def note_waiting(self, sense: str, positions: Mapping[str, int]) -> None:
        """A sense is paused while ticks of it up to these wait."""
        for source, at_us in positions.items():
            if source.startswith(SOURCE_MARK):
                self._passed[sense, source] = at_us


def tick_cause(timer: Timer, due_us: int) -> Cause:
    """Make the cause that one tick is."""
    positions = {timer.source: due_us} if timer.keeps_position else NO_POSITIONS
    return Cause(timer.kind, positions=positions, due_us=due_us)
