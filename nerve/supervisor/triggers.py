"""From a cause to a place in a group's queue.

Parent, on the loop. Holds the schedule, the flow of each sense, the bundles that wait for
quiet, and the one timer that wakes them; asks `nerve.reflex` what is to be done and
does it. A cause goes through, in this order:

    blocked     the sense is not there, or is paused    unavailable, paused
    where       of a signal's reflex                    filtered, where_failed
    loop        the chain of causes is too long         loop
    debounce    of a signal's reflex                    debounced
    flow        throttle, rest, one that waits          throttled, resting, quarantined, coalesced

What does not run at once leaves a count of why, one for each cause, so that everything
that should have run can be accounted for; ticks that were never offered are `missed`,
and what still waits when nerve stops is `stopped`.
"""

import asyncio
import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from traceback import format_exc
from typing import Any

from nerve.clock import MS_PER_S, US_PER_MS, Clock, rfc3339
from nerve.config.models import Config
from nerve.reflex.backlog import Backlog
from nerve.reflex.causes import Cause, CausingSignal, PendingTrigger, is_loop, loop_in_words
from nerve.reflex.debounce import Debounce
from nerve.reflex.flow import Decision, Flow, Phase
from nerve.reflex.listeners import Pair, Route, caused_by, routes_of
from nerve.reflex.missed import elapsed, plan
from nerve.reflex.schedule import NEVER, REPEATS_AFTER_US, Schedule, Tick
from nerve.reflex.timers import SOURCE_MARK, Timer, before_first_us, timers_of
from nerve.sense import TriggerKind
from nerve.supervisor.recorder import Recorder

LATE_TICK_MS = 10_000
"""A tick later than this, after a suspend or on a stalled machine, is worth a log row."""

MOVED = "its cursor is being moved; it is taken up after that"

Log = Callable[[str, str, str, dict[str, Any]], None]
Dropped = Callable[[str, AbstractSet[int], str], None]
"""Called with a sense, the tickets of those who wait for a trigger that is dropped, and why."""
Wait = tuple[int, str]
"""What waits for an end: (index of a reflex, target) a bundle, (FLOW, sense) a deferral."""
FLOW = -1


class Triggers:
    """What is to run, when, and what waits."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        recorder: Recorder,
        enqueue: Callable[[str], None],
        withdraw: Callable[[str], object],
        log: Log,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
    ) -> None:
        """`enqueue` is called with each sense that has a trigger to run now.

        `withdraw` when such a trigger is to wait after all; `call_later` is the loop's.
        Senses stand in `unavailable` and `paused` with the reason why, which may be empty; in
        `moving` the pairs whose cursor is being moved: their signals wait behind it.
        """
        self.unavailable: dict[str, str] = {}
        self.paused: dict[str, str] = {}
        self.moving: set[Pair] = set()
        self._passed: dict[Pair, int] = {}  # ticks of paused senses, the last of each timer
        self._has_ended = False
        self._timers = timers_of(config)
        self._flows = {
            name: Flow((sense.throttle_ms or 0) / MS_PER_S) for name, sense in config.senses.items()
        }
        self._routes = routes_of(config)
        self._bundles = _bundles_of(self._routes)
        self._clock = clock
        self._recorder = recorder
        self._enqueue = enqueue
        self._withdraw = withdraw
        self._log = log
        self._call_later = call_later
        self.dropped: Dropped = lambda *_: None
        self._schedule: Schedule | None = None
        self._ends: list[tuple[float, Wait]] = []
        self._deferred_until: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = NEVER

    # --- start and stop -------------------------------------------------------------

    def begin(self, positions: Mapping[Pair, int], last_seen_us: int | None) -> None:
        """Start the schedule, and make up for what was missed.

        Args:
            positions: of the timers that keep one, (sense, source) to the last tick.
            last_seen_us: when nerve last ran; None if it never did.
        """
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        self._make_up(positions, last_seen_us, now_us)
        self._schedule = Schedule(self._timers, now=now, now_us=now_us, positions=positions)
        self._recorder.fact("schedule_began_us", str(now_us))
        self._wake()

    def begin_once(self) -> None:
        """Instead of the schedule: run everything that runs by time, once."""
        for sense in dict.fromkeys(timer.sense for timer in self._timers):
            self.offer(sense, Cause(TriggerKind.MANUAL))

    def end(self) -> None:
        """Wake no more, and give up what waits; signals among it are taken up at the next start."""
        if self._timer is not None:
            self._timer.cancel()
        self._schedule = None
        self._has_ended = True
        self._give_up(self._flows, "stopped")

    # --- another configuration ------------------------------------------------------

    def adopt(self, config: Config) -> None:
        """Go on with another configuration: its senses, timers, throttles and bundles.

        Whatever waits goes on waiting, but for senses that are configured no longer: they are
        unavailable from now on, until `let_go`, as one of them may still run.
        """
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        gone = self._flows.keys() - config.senses.keys()
        self.unavailable |= dict.fromkeys(gone, "it is configured no longer")
        self._give_up(gone, "unavailable")
        for name, sense in config.senses.items():
            throttle_s = (sense.throttle_ms or 0) / MS_PER_S
            self._flows.setdefault(name, Flow()).rethrottle(throttle_s, now)
            self._wake_deferred(name)
        self._adopt_timers(timers_of(config), now, now_us)
        self._adopt_bundles(routes_of(config), now)
        self._set_timer()

    def let_go(self, senses: Iterable[str]) -> None:
        """Know nothing any more of senses that `adopt` has found to be gone."""
        senses = set(senses)
        self._ends = [end for end in self._ends if end[1][1] not in senses]
        heapq.heapify(self._ends)
        of_senses: tuple[dict[str, Any], ...] = (self._flows, self._bundles, self._deferred_until)
        for known in (*of_senses, self.unavailable, self.paused):
            for sense in senses:
                known.pop(sense, None)

    def _adopt_timers(self, timers: list[Timer], now: float, now_us: int) -> None:
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

    def _adopt_bundles(self, routes: list[Route], now: float) -> None:
        """Bundles of a reflex that waits for the same senses go on; others end here and now."""
        sources = _sources(self._routes)
        before = {
            (target, sources[target, reflex]): bundle
            for target, bundles in self._bundles.items()
            for reflex, bundle in bundles.items()
        }
        self._ends = [end for end in self._ends if end[1][0] == FLOW]
        heapq.heapify(self._ends)
        self._routes, self._bundles = routes, _bundles_of(routes)
        sources = _sources(routes)
        for target, bundles in self._bundles.items():
            for reflex, bundle in bundles.items():
                earlier = before.pop((target, sources[target, reflex]), None)
                if earlier is not None and earlier.bundle is not None:
                    earlier.window_s = bundle.window_s
                    bundles[reflex] = earlier
                    self._wake_at(earlier.due, (reflex, target))
        for (target, _), bundle in before.items():
            if bundle.bundle is not None:
                self._let_out(target, bundle.bundle.as_cause(), now)

    # --- causes ---------------------------------------------------------------------

    def offer(self, sense: str, cause: Cause, route: Route | None = None) -> None:
        """Let a cause in: it runs, waits, joins what waits, or is counted with its reason."""
        if blocked := self.blocked(sense):
            self._count(sense, blocked)
        elif is_loop(cause):
            self._cut(sense, cause)
            for source, signal_id in cause.positions.items():
                self._pass_over(sense, source, signal_id)
        elif route is not None and route.debounce_s:
            self._bundle(route, cause)
        else:
            self._follow(sense, self._flows[sense].offer(cause, self._clock.monotonic()))

    def ask(self, sense: str, cause: Cause) -> str:
        """Let in what a person asks for; return why it does not run, or is not yet to run.

        A word of `blocked`, and then nothing comes of it; or a Decision.
        """
        if blocked := self.blocked(sense):
            self._count(sense, blocked)
            return blocked
        decision = self._flows[sense].offer(cause, self._clock.monotonic())
        self._follow(sense, decision)
        return decision

    def hear(self, route: Route, signal: CausingSignal) -> None:
        """Let a live signal go its way to a sense that listens."""
        if route.pair in self.moving:
            self._count(route.target, "paused", detail=MOVED)
            return
        refusal = route.refusal(signal)
        # Of a blocked sense the cursor stays, for signals that pass nothing too: it stands for all
        # before it, and those are asked about when the sense can run again.
        if refusal is None or self.blocked(route.target):
            self.offer(route.target, caused_by(signal), route)
        else:
            self._count(route.target, refusal.reason, detail=refusal.detail)
            self._pass_over(route.target, route.source, signal.id)

    def take_up(self, backlog: Backlog) -> None:
        """Let in what is to come of the signals that a sense could not hear."""
        sense = backlog.route.target
        if backlog.route.pair in self.moving:
            self._count(sense, "paused", len(backlog.causes), MOVED)
            return
        if blocked := self.blocked(sense):  # all of it is taken up once that is over
            self._count(sense, blocked, len(backlog.causes))
            return
        for reason, number in backlog.refused.items():
            self._count(sense, reason, number)
        for signal in backlog.loops:
            self._cut(sense, caused_by(signal))
        if backlog.missed:
            detail = f"signals of {backlog.route.source} that came while nobody could answer them"
            self._count(sense, "missed", backlog.missed, detail)
        if backlog.route.missed == "all":
            self._line_up(sense, backlog.causes)
        else:
            for cause in backlog.causes:
                self.offer(sense, cause)
        if not backlog.causes:
            self._pass_over(sense, backlog.route.source, backlog.newest)

    def take(self, sense: str) -> PendingTrigger:
        """Take the trigger that waits for a sense; it counts as started now."""
        return self._flows[sense].take(self._clock.monotonic())

    def finish(self, sense: str, again: PendingTrigger | None) -> None:
        """A compute has its outcome; what was held meanwhile goes on."""
        flow = self._flows[sense]
        if blocked := self.blocked(sense):
            self._drop(sense, blocked)
            if again is not None and again.tickets:  # its signals stay behind the cursor
                self.dropped(sense, again.tickets, blocked)
            again = None
        merged = again.merged if again is not None else 0
        decision = flow.finish(self._clock.monotonic(), again)
        if again is not None and again.merged > merged:  # what was held has joined it
            self._count(sense, Decision.COALESCED)
        if decision is not None:
            self._follow(sense, decision)

    def rest(self, sense: str, seconds: float, why: Decision) -> None:
        """Start nothing of a sense for so long; what waits in a queue waits here instead."""
        flow = self._flows[sense]
        if flow.rest(self._clock.monotonic() + seconds, why):
            self._withdraw(sense)
            self._count(sense, why)
        self._wake_deferred(sense)

    def relieve(self, sense: str) -> None:
        """The rest of a sense is over before its time."""
        self._flows[sense].relieve(self._clock.monotonic())
        self._wake_deferred(sense)

    def pause(self, sense: str, reason: str) -> None:
        """Let nothing new of a sense run, and give up what waits; what runs comes to its end.

        Signals among it stay behind the cursor, as do those that come now. So do ticks that are to
        be made up for.
        """
        for source, at_us in self._flows[sense].waiting_positions().items():
            if source.startswith(SOURCE_MARK):
                self._passed[sense, source] = at_us
        self.paused[sense] = reason
        self._give_up([sense], "paused")

    def make_up_after(self, pauses: AbstractSet[str], positions: Mapping[Pair, int]) -> None:
        """Make up for ticks that passed while these senses were paused, as their reflexes say.

        `positions` are of the timers, as for `begin`. Each tick was counted as `paused`.
        """
        for timer in self._timers:
            pair = (timer.sense, timer.source)
            if timer.sense not in pauses or self.blocked(timer.sense) or pair not in self._passed:
                continue
            until_us = self._passed.pop(pair)
            after_us = max(positions.get(pair, until_us), self.in_hand(*pair))
            planned = plan(timer, after_us, until_us)
            self._line_up(timer.sense, [_tick_cause(timer, due_us) for due_us in planned.runs])
            if planned.skipped and not planned.runs:
                _, newest = elapsed(timer, after_us, until_us)
                self._recorder.cursor(*pair, newest[-1])  # or the next start would take them up

    def return_ticket(self, sense: str, ticket: int) -> None:
        """Nobody waits by this ticket any more."""
        self._flows[sense].return_ticket(ticket)

    def phase(self, sense: str) -> Phase:
        """Where the flow of a sense stands."""
        return self._flows[sense].phase

    def running(self, sense: str) -> PendingTrigger | None:
        """The trigger of a sense that runs; None where none does."""
        return self._flows[sense].running

    def deferral(self, sense: str) -> tuple[Decision, float] | None:
        """Why the trigger of a sense is deferred, and for how many seconds; None where none is."""
        flow, now = self._flows[sense], self._clock.monotonic()
        why = flow.deferred_by(now)
        return None if why is None else (why, max(0.0, flow.due - now))

    def answered(self, sense: str, source: str, signal_id: int) -> None:
        """A sense has answered the signals of `source` up to this one, as its database says.

        Its worker may come up after they were offered to it.
        """
        for bundle in self._bundles_of(sense):
            bundle.answered(source, signal_id)
        if self._flows[sense].answered(source, signal_id):
            self._withdraw(sense)

    def in_hand(self, sense: str, source: str) -> int:
        """The last signal of `source` for which a compute stands that still runs; 0 without one."""
        running = self._flows[sense].running
        return running.positions.get(source, 0) if running is not None else 0

    def forget(self, senses: Iterable[str]) -> None:
        """Nobody is left to run these senses: what waits for them never will."""
        self._give_up(senses, "unavailable")

    def blocked(self, sense: str) -> str:
        """Why a sense is not to run now: `stopped`, `unavailable`, `paused`; empty if it may."""
        if self._has_ended:
            return "stopped"
        if sense in self.unavailable:
            return "unavailable"
        return "paused" if sense in self.paused else ""

    def flow(self, sense: str) -> Flow:
        """How the triggers of a sense flow, for whoever asks; it changes with the next event."""
        return self._flows[sense]

    def bundled_until(self, sense: str) -> float | None:
        """When the first of the bundles ends in which signals wait for quiet; None without one."""
        ends = (bundle.due for bundle in self._bundles_of(sense) if bundle.bundle is not None)
        return min(ends, default=None)

    def upcoming(self, senses: Collection[str]) -> dict[str, int]:
        """The next tick of each of these senses that a timer runs, UTC microseconds."""
        if self._schedule is None:
            return {}
        return self._schedule.upcoming(senses, self._clock.monotonic(), self._clock.now_us())

    @property
    def are_quiet(self) -> bool:
        """Whether no sense runs or has a trigger that waits."""
        is_bundling = any(b.bundle for sense in self._bundles for b in self._bundles_of(sense))
        return not is_bundling and all(f.phase is Phase.QUIET for f in self._flows.values())

    # --- decisions, and what follows from them --------------------------------------

    def _follow(self, sense: str, decision: Decision) -> None:
        match decision:
            case Decision.ACCEPTED:
                self._enqueue(sense)
            case Decision.HELD:
                pass  # what becomes of it is told when it has come to its turn
            case _:
                self._count(sense, decision)
                self._wake_deferred(sense)

    def _bundles_of(self, sense: str) -> Iterable[Debounce]:
        return self._bundles.get(sense, {}).values()

    def _bundle(self, route: Route, cause: Cause) -> None:
        bundle = self._bundles[route.target][route.reflex]
        if bundle.offer(cause, self._clock.monotonic()):
            self._count(route.target, Decision.COALESCED)
        else:
            self._wake_at(bundle.due, (route.reflex, route.target))

    def _release(self, reflex: int, sense: str, now: float) -> None:
        bundle = self._bundles[sense][reflex]
        cause = bundle.release(now)
        if cause is None:
            if bundle.bundle is not None:  # more has come, and put its end off
                self._wake_at(bundle.due, (reflex, sense))
        else:
            self._let_out(sense, cause, now)

    def _let_out(self, sense: str, cause: Cause, now: float) -> None:
        """Let go on what a bundle has collected."""
        if blocked := self.blocked(sense):
            self._count(sense, blocked)
        else:
            decision = self._flows[sense].offer(cause, now)
            if decision in (Decision.ACCEPTED, Decision.HELD):
                self._count(sense, Decision.DEBOUNCED)
            self._follow(sense, decision)

    def _line_up(self, sense: str, causes: Sequence[Cause]) -> None:
        if not causes:
            return
        if blocked := self.blocked(sense):
            self._count(sense, blocked, len(causes))
            return
        decision, left_out = self._flows[sense].line_up(causes, self._clock.monotonic())
        self._count(sense, "missed", left_out, "more waited than are made up for one by one")
        self._follow(sense, decision)

    def _give_up(self, senses: Iterable[str], reason: str) -> None:
        for sense in senses:
            flow = self._flows[sense]
            if flow.phase is Phase.WAITING:
                self._withdraw(sense)
            bundles = sum(bundle.drop() for bundle in self._bundles_of(sense))
            self._drop(sense, reason, bundles)

    def _drop(self, sense: str, reason: str, more: int = 0) -> None:
        """Nothing comes of what waits, and of so many triggers more that have gone already."""
        flow = self._flows[sense]
        awaited = flow.awaited()
        self._count(sense, reason, flow.drop() + more)
        if awaited:
            self.dropped(sense, awaited, reason)

    def _cut(self, sense: str, cause: Cause) -> None:
        way = loop_in_words(cause, sense)
        self._count(sense, "loop", detail=way)
        message = f"a chain of {len(cause.chain)} signals comes back to {sense}; cut: {way}"
        last = cause.signals[-1]
        payload = {"message": message, "chain": list(cause.chain), "signal": last.id}
        self._log(sense, "reflex.loop", "error", payload)

    def _pass_over(self, sense: str, source: str, signal_id: int) -> None:
        """Nothing comes of a signal; its cursor moves when what was before it is answered."""
        is_covered = any(b.cover(source, signal_id) for b in self._bundles_of(sense))
        if not is_covered and not self._flows[sense].cover(source, signal_id):
            self._recorder.cursor(sense, source, signal_id)

    # --- time -----------------------------------------------------------------------

    def _make_up(
        self, positions: Mapping[Pair, int], last_seen_us: int | None, now_us: int
    ) -> None:
        made_up = skipped = 0
        for timer in self._timers:
            pair = (timer.sense, timer.source)
            last_us = positions.get(pair) if timer.keeps_position else last_seen_us
            if pair in positions and not timer.keeps_position:
                self._recorder.forget(*pair)  # ticks pass that it does not stand for
            if last_us is not None and last_us > now_us + REPEATS_AFTER_US:
                self._recorder.forget(*pair)  # the clock was wrong when that was written
                last_us = None
            if last_us is None:
                if timer.keeps_position:  # from now on nothing of it is forgotten
                    self._recorder.cursor(*pair, before_first_us(timer, now_us))
                continue
            if timer.keeps_position and (blocked := self.blocked(timer.sense)):
                if blocked == "paused":  # else the same is made up for at a later start
                    self._passed[pair] = now_us
                continue
            planned = plan(timer, last_us, now_us)
            made_up, skipped = made_up + len(planned.runs), skipped + planned.skipped
            detail = f"nerve did not run, from {rfc3339(last_us)} on"
            self._count(timer.sense, "missed", planned.skipped, detail)
            self._count(timer.sense, Decision.COALESCED, planned.merged, "missed, and run as one")
            self._line_up(timer.sense, [_tick_cause(timer, due_us) for due_us in planned.runs])
            if planned.skipped and not planned.runs and timer.keeps_position:
                _, newest = elapsed(timer, last_us, now_us)
                self._recorder.cursor(*pair, newest[-1])  # or the next start would count them anew
        if made_up or skipped:
            since = f" since {rfc3339(last_seen_us)}" if last_seen_us is not None else ""
            message = f"ticks passed while nerve did not run{since}: {made_up + skipped}"
            payload = {"message": f"{message}; made up for now: {made_up}", "made_up": made_up}
            self._log("nerve", "schedule.missed", "info", payload | {"skipped": skipped})

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
            self._set_timer()

    def _safely(self, sense: str, act: Callable[[], None]) -> None:
        """Do what is due for one sense; a fault of ours ends that alone, and is told."""
        try:
            act()
        except Exception as error:  # noqa: BLE001  the boundary between the timers of one sense and another
            message = f"an error of nerve itself, at a trigger of {sense}: {error!r}"
            payload = {"message": message, "hint": "please report it", "stack": format_exc()}
            self._log(sense, "trigger.failed", "error", payload)

    def _on_end(self, due: float, reflex: int, sense: str, now: float) -> None:
        if reflex != FLOW:
            self._release(reflex, sense, now)
            return
        if self._deferred_until.get(sense) == due:
            del self._deferred_until[sense]
        if self._flows[sense].wake(now):
            self._enqueue(sense)
        else:  # its end may have been put off
            self._wake_deferred(sense)

    def _on_tick(self, tick: Tick) -> None:
        sense = tick.timer.sense
        if tick.timer.keeps_position and tick.runs and self.blocked(sense) == "paused":
            # Of an interval a tick is told from two clocks, and may be a microsecond off.
            half_us = 0 if tick.timer.is_by_wall_clock else tick.timer.interval_ms * US_PER_MS // 2
            self._passed[sense, tick.timer.source] = tick.runs[-1] + half_us
        if tick.missed:
            detail = f"the tick after them was {tick.late_ms} ms late"
            self._count(sense, "missed", tick.missed, detail)
        if tick.late_ms > LATE_TICK_MS:
            payload = {"late_ms": tick.late_ms, "missed": tick.missed}
            self._log(sense, "tick.late", "warning", payload)
        if tick.late_ms and self._flows[sense].phase is Phase.QUIET:
            self._flows[sense].timing.tick_late_s = tick.late_ms / MS_PER_S
        causes = [_tick_cause(tick.timer, due_us) for due_us in tick.runs]
        self._line_up(sense, causes[:-1])
        for cause in causes[-1:]:
            self.offer(sense, cause)

    def _wake_deferred(self, sense: str) -> None:
        """Be woken at the end of a deferral, once, however many causes join it."""
        flow = self._flows[sense]
        if flow.phase is Phase.DEFERRED and self._deferred_until.get(sense) != flow.due:
            self._deferred_until[sense] = flow.due
            self._wake_at(flow.due, (FLOW, sense))

    def _wake_at(self, due: float, wait: Wait) -> None:
        heapq.heappush(self._ends, (due, wait))
        self._set_timer()

    def _set_timer(self) -> None:
        """One timer of the loop for all: it is set anew only where something is due earlier."""
        due = self._schedule.next_due() if self._schedule is not None else NEVER
        due = min(due, self._ends[0][0]) if self._ends else due
        if due < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = due
            delay_s = max(0.0, due - self._clock.monotonic())
            self._timer = self._call_later(delay_s, self._wake)

    def _count(self, sense: str, reason: str, number: int = 1, detail: str = "") -> None:
        if number:
            known = {"unavailable": self.unavailable, "paused": self.paused}.get(reason, {})
            detail = detail or known.get(sense, "")
            self._recorder.count(sense, reason, self._clock.now_us(), number, detail)


def _bundles_of(routes: Iterable[Route]) -> dict[str, dict[int, Debounce]]:
    """By target and reflex, where signals are collected."""
    bundles: dict[str, dict[int, Debounce]] = {}
    for route in routes:
        if route.debounce_s:
            of_target = bundles.setdefault(route.target, {})
            of_target.setdefault(route.reflex, Debounce(route.debounce_s))
    return bundles


def _sources(routes: Iterable[Route]) -> dict[tuple[str, int], frozenset[str]]:
    """By target and reflex, the senses that are listened to."""
    found: dict[tuple[str, int], set[str]] = {}
    for route in routes:
        found.setdefault((route.target, route.reflex), set()).add(route.source)
    return {listener: frozenset(sources) for listener, sources in found.items()}


def _tick_cause(timer: Timer, due_us: int) -> Cause:
    positions = {timer.source: due_us} if timer.keeps_position else {}
    return Cause(timer.kind, positions=positions, due_us=due_us)
