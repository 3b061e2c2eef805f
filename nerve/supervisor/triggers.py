"""From a cause to a place in a group's queue.

Parent, on the loop. Holds the flow of each sense and the bundles that wait for quiet; asks
`nerve.reflex` what is to be done and does it. What is due by time, `ticking` says. A cause goes
through, in this order:

    blocked     the sense is not there, or is paused    unavailable, paused
    where       of a signal's reflex                    filtered, where_failed
    loop        the chain of causes is too long         loop
    debounce    of a signal's reflex                    debounced
    flow        throttle, rest, one that waits          throttled, resting, quarantined, coalesced

What does not run at once leaves a count of why, one for each cause, so that everything
that should have run can be accounted for; ticks that were never offered are `missed`,
and what still waits when nerve stops is `stopped`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from nerve.clock import MS_PER_S, Clock
from nerve.config.models import Config
from nerve.reflex.backlog import Backlog
from nerve.reflex.bundles import Bundles
from nerve.reflex.causes import Cause, CausingSignal, PendingTrigger, is_loop, loop_in_words
from nerve.reflex.flow import Decision, Flow, Phase
from nerve.reflex.listeners import Pair, Route, caused_by, routes_of
from nerve.sense import TriggerKind
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.ticking import CallLater, Log, Ticking

MOVED = "its cursor is being moved; it is taken up after that"

Dropped = Callable[[str, AbstractSet[int], str], None]
"""Called with a sense, the tickets of those who wait for a trigger that is dropped, and why."""


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
        call_later: CallLater,
    ) -> None:
        """`enqueue` is called with each sense that has a trigger to run now.

        `withdraw` when such a trigger is to wait after all; `call_later` is the loop's.
        Senses stand in `unavailable` and `paused` with the reason why, which may be empty; in
        `moving` the pairs whose cursor is being moved: their signals wait behind it.
        """
        self.unavailable: dict[str, str] = {}
        self.paused: dict[str, str] = {}
        self.moving: set[Pair] = set()
        self._has_ended = False
        self._flows = {
            name: Flow((sense.throttle_ms or 0) / MS_PER_S) for name, sense in config.senses.items()
        }
        self._bundles = Bundles(routes_of(config))
        self._clock = clock
        self._recorder = recorder
        self._enqueue = enqueue
        self._withdraw = withdraw
        self._log = log
        self.dropped: Dropped = lambda *_: None
        self._ticking = Ticking(
            config, self, clock=clock, recorder=recorder, log=log, call_later=call_later
        )

    # --- start and stop -------------------------------------------------------------

    def begin(self, positions: Mapping[Pair, int], last_seen_us: int | None) -> None:
        """Start the schedule, and make up for what was missed.

        Args:
            positions: of the timers that keep one, (sense, source) to the last tick.
            last_seen_us: when nerve last ran; None if it never did.
        """
        self._ticking.begin(positions, last_seen_us)

    def begin_once(self) -> None:
        """Instead of the schedule: run everything that runs by time, once."""
        for sense in self._ticking.by_time():
            self.offer(sense, Cause(TriggerKind.MANUAL))

    def end(self) -> None:
        """Wake no more, and give up what waits; signals among it are taken up at the next start."""
        self._ticking.end()
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
        self._ticking.adopt(config, now, now_us)
        self._adopt_bundles(routes_of(config), now)
        self._ticking.set_timer()

    def let_go(self, senses: Iterable[str]) -> None:
        """Know nothing any more of senses that `adopt` has found to be gone."""
        senses = set(senses)
        self._ticking.let_go(senses)
        for sense in senses:
            self._bundles.forget(sense)
            for known in (self._flows, self.unavailable, self.paused):
                known.pop(sense, None)

    def _adopt_bundles(self, routes: list[Route], now: float) -> None:
        """Bundles of a reflex that waits for the same senses go on; others end here and now."""
        self._ticking.let_go_of_bundles()
        ended = self._bundles.adopt(routes)
        for due, reflex, target in self._bundles.open():
            self._ticking.wake_at(due, (reflex, target))
        for target, cause in ended:
            self._let_out(target, cause, now)

    # --- causes ---------------------------------------------------------------------

    def offer(self, sense: str, cause: Cause, route: Route | None = None) -> None:
        """Let a cause in: it runs, waits, joins what waits, or is counted with its reason."""
        if blocked := self.blocked(sense):
            self.count(sense, blocked)
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
            self.count(sense, blocked)
            return blocked
        decision = self._flows[sense].offer(cause, self._clock.monotonic())
        self._follow(sense, decision)
        return decision

    def hear(self, route: Route, signal: CausingSignal) -> None:
        """Let a live signal go its way to a sense that listens."""
        if route.pair in self.moving:
            self.count(route.target, "paused", detail=MOVED)
            return
        refusal = route.refusal(signal)
        # Of a blocked sense the cursor stays, for signals that pass nothing too: it stands for all
        # before it, and those are asked about when the sense can run again.
        if refusal is None or self.blocked(route.target):
            self.offer(route.target, caused_by(signal), route)
        else:
            self.count(route.target, refusal.reason, detail=refusal.detail)
            self._pass_over(route.target, route.source, signal.id)

    def take_up(self, backlog: Backlog) -> None:
        """Let in what is to come of the signals that a sense could not hear."""
        sense = backlog.route.target
        if backlog.route.pair in self.moving:
            self.count(sense, "paused", len(backlog.causes), MOVED)
            return
        if blocked := self.blocked(sense):  # all of it is taken up once that is over
            self.count(sense, blocked, len(backlog.causes))
            return
        for reason, number in backlog.refused.items():
            self.count(sense, reason, number)
        for signal in backlog.loops:
            self._cut(sense, caused_by(signal))
        if backlog.missed:
            detail = f"signals of {backlog.route.source} that came while nobody could answer them"
            self.count(sense, "missed", backlog.missed, detail)
        if backlog.route.missed == "all":
            self.line_up(sense, backlog.causes)
        else:
            for cause in backlog.causes:
                self.offer(sense, cause)
        if not backlog.causes:
            self._pass_over(sense, backlog.route.source, backlog.newest)

    def take(self, sense: str) -> PendingTrigger:
        """Take the trigger that waits for a sense; it counts as started now."""
        return self._flows[sense].take(self._clock.monotonic())

    def finish(self, sense: str, again: PendingTrigger | None) -> float | None:
        """A compute has its outcome; what was held meanwhile goes on.

        Returns how many seconds it took; None where none had been started.
        """
        flow = self._flows[sense]
        if blocked := self.blocked(sense):
            self._drop(sense, blocked)
            if again is not None and again.tickets:  # its signals stay behind the cursor
                self.dropped(sense, again.tickets, blocked)
            again = None
        merged = again.merged if again is not None else 0
        decision = flow.finish(self._clock.monotonic(), again)
        took_s = flow.timing.took_s  # now: what goes on may have come to an end before this returns
        if again is not None and again.merged > merged:  # what was held has joined it
            self.count(sense, Decision.COALESCED)
        if decision is not None:
            self._follow(sense, decision)
        return took_s

    def rest(self, sense: str, seconds: float, why: Decision) -> None:
        """Start nothing of a sense for so long; what waits in a queue waits here instead."""
        flow = self._flows[sense]
        if flow.rest(self._clock.monotonic() + seconds, why):
            self._withdraw(sense)
            self.count(sense, why)
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
        self._ticking.paused(sense, self._flows[sense].waiting_positions())
        self.paused[sense] = reason
        self._give_up([sense], "paused")

    def make_up_after(self, pauses: AbstractSet[str], positions: Mapping[Pair, int]) -> None:
        """Make up for ticks that passed while these senses were paused, as their reflexes say.

        `positions` are of the timers, as for `begin`. Each tick was counted as `paused`.
        """
        self._ticking.make_up_after(pauses, positions)

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
        self._bundles.answered(sense, source, signal_id)
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
        return self._bundles.ends_first(sense)

    def upcoming(self, senses: Collection[str]) -> dict[str, int]:
        """The next tick of each of these senses that a timer runs, UTC microseconds."""
        return self._ticking.upcoming(senses)

    @property
    def are_quiet(self) -> bool:
        """Whether no sense runs or has a trigger that waits."""
        is_bundling = any(True for _ in self._bundles.open())
        return not is_bundling and all(f.phase is Phase.QUIET for f in self._flows.values())

    # --- decisions, and what follows from them --------------------------------------

    def _follow(self, sense: str, decision: Decision) -> None:
        match decision:
            case Decision.ACCEPTED:
                self._enqueue(sense)
            case Decision.HELD:
                pass  # what becomes of it is told when it has come to its turn
            case _:
                self.count(sense, decision)
                self._wake_deferred(sense)

    def _bundle(self, route: Route, cause: Cause) -> None:
        bundle = self._bundles.at(route.target, route.reflex)
        if bundle.offer(cause, self._clock.monotonic()):
            self.count(route.target, Decision.COALESCED)
        else:
            self._ticking.wake_at(bundle.due, (route.reflex, route.target))

    def _let_out(self, sense: str, cause: Cause, now: float) -> None:
        """Let go on what a bundle has collected."""
        if blocked := self.blocked(sense):
            self.count(sense, blocked)
        else:
            decision = self._flows[sense].offer(cause, now)
            if decision in (Decision.ACCEPTED, Decision.HELD):
                self.count(sense, Decision.DEBOUNCED)
            self._follow(sense, decision)

    def _give_up(self, senses: Iterable[str], reason: str) -> None:
        for sense in senses:
            flow = self._flows[sense]
            if flow.phase is Phase.WAITING:
                self._withdraw(sense)
            bundles = self._bundles.drop(sense)
            self._drop(sense, reason, bundles)

    def _drop(self, sense: str, reason: str, more: int = 0) -> None:
        """Nothing comes of what waits, and of so many triggers more that have gone already."""
        flow = self._flows[sense]
        awaited = flow.awaited()
        self.count(sense, reason, flow.drop() + more)
        if awaited:
            self.dropped(sense, awaited, reason)

    def _cut(self, sense: str, cause: Cause) -> None:
        way = loop_in_words(cause, sense)
        self.count(sense, "loop", detail=way)
        message = f"a chain of {len(cause.chain)} signals comes back to {sense}; cut: {way}"
        last = cause.signals[-1]
        payload = {"message": message, "chain": list(cause.chain), "signal": last.id}
        self._log(sense, "reflex.loop", "error", payload)

    def _pass_over(self, sense: str, source: str, signal_id: int) -> None:
        """Nothing comes of a signal; its cursor moves when what was before it is answered."""
        is_covered = self._bundles.cover(sense, source, signal_id)
        if not is_covered and not self._flows[sense].cover(source, signal_id):
            self._recorder.cursor(sense, source, signal_id)

    def _wake_deferred(self, sense: str) -> None:
        flow = self._flows[sense]
        if flow.phase is Phase.DEFERRED:
            self._ticking.wake_deferred(sense, flow.due)

    # --- what is due by time (ticking.Due) ------------------------------------------

    def line_up(self, sense: str, causes: Sequence[Cause]) -> None:
        """Let in causes that are to run one by one."""
        if not causes:
            return
        if blocked := self.blocked(sense):
            self.count(sense, blocked, len(causes))
            return
        decision, left_out = self._flows[sense].line_up(causes, self._clock.monotonic())
        self.count(sense, "missed", left_out, "more waited than are made up for one by one")
        self._follow(sense, decision)

    def late(self, sense: str, seconds: float) -> None:
        """The tick that is offered next is late."""
        flow = self._flows[sense]
        if flow.phase is Phase.QUIET and not self.blocked(sense):
            flow.timing.tick_late_s = seconds

    def end_deferral(self, sense: str, now: float) -> None:
        """The end of a deferral may have come."""
        if self._flows[sense].wake(now):
            self._enqueue(sense)
        else:  # its end may have been put off
            self._wake_deferred(sense)

    def end_bundle(self, reflex: int, sense: str, now: float) -> None:
        """The end of a bundle may have come."""
        bundle = self._bundles.at(sense, reflex)
        cause = bundle.release(now)
        if cause is not None:
            self._let_out(sense, cause, now)
        elif bundle.bundle is not None:  # more has come, and put its end off
            self._ticking.wake_at(bundle.due, (reflex, sense))

    def count(self, sense: str, reason: str, number: int = 1, detail: str = "") -> None:
        """Count so many triggers of a sense that do not run, and why."""
        if number:
            known = {"unavailable": self.unavailable, "paused": self.paused}.get(reason, {})
            detail = detail or known.get(sense, "")
            self._recorder.count(sense, reason, self._clock.now_us(), number, detail)
