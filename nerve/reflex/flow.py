"""One sense's flow of triggers: run now, wait, or join.

Parent; pure. At any time a sense has at most one trigger that waits and one that
runs:

                 offer                  take                finish
        QUIET ----------> WAITING ---------------> RUNNING ---------> QUIET
          |  throttle or rest                         | offer: held      | held: WAITING
          `------------> DEFERRED --- due ---> WAITING`------------------'   or DEFERRED

While one waits or runs, another trigger joins the one that waits: nothing piles
up, whatever the rate of causes. `throttle` is the least time between two starts;
a trigger inside it is deferred to its end, and neither dropped nor doubled. A sense
over which its worker died rests: that is a deferral too, with another reason.

Only what was missed while nobody could run it, and is to be made up for one by one
(`missed: all`), stands in a line before the one that waits, and the line has an end. And
so does a trigger over which a worker has died, until it has its outcome or is given up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nerve.reflex.causes import Cause, PendingTrigger
from nerve.reflex.timing import Timing

MAX_LINE = 100
"""Triggers of one sense that wait to run one by one."""


class Phase(StrEnum):
    """Where a sense stands."""

    QUIET = "quiet"
    DEFERRED = "deferred"
    WAITING = "waiting"
    RUNNING = "running"


class Decision(StrEnum):
    """What became of an offered cause. All but ACCEPTED and HELD are recorded as reasons."""

    ACCEPTED = "accepted"
    HELD = "held"
    THROTTLED = "throttled"
    DEBOUNCED = "debounced"
    COALESCED = "coalesced"
    RESTING = "resting"
    QUARANTINED = "quarantined"


@dataclass(slots=True)
class Flow:
    """The state of one sense.

    Attributes:
        throttle_s: seconds between two starts; 0 for no limit.
        due: when DEFERRED ends, seconds on the monotonic clock.
        pending: what waits, with all that has joined it.
        line: what goes before it, one by one.
        running: what was taken and has no outcome yet.
        timing: how it keeps its time.
    """

    throttle_s: float = 0.0
    phase: Phase = Phase.QUIET
    due: float = 0.0
    pending: PendingTrigger | None = None
    line: list[PendingTrigger] = field(default_factory=list)
    running: PendingTrigger | None = None
    timing: Timing = field(default_factory=Timing)
    _is_of_line: bool = False
    _rests_until: float = 0.0
    _why_it_rests: Decision = Decision.RESTING

    def offer(self, cause: Cause, now: float) -> Decision:
        """Take in a cause. ACCEPTED means the sense is WAITING now and belongs in a queue."""
        if self.pending is not None:
            self.pending.merge(cause)
            quarantined = self._why_it_rests is Decision.QUARANTINED and now < self._rests_until
            return Decision.QUARANTINED if quarantined else Decision.COALESCED
        self.pending, self.timing.ready = PendingTrigger(cause), now
        return self._place(now) if self.phase is Phase.QUIET else Decision.HELD

    def line_up(self, causes: Sequence[Cause], now: float) -> tuple[Decision, int]:
        """Take in causes that are to run one by one, and no more than the line has room for.

        The decision is about the first of them; the number tells how many of the oldest were
        left out. What waits already for the same source comes before them.
        """
        sources = {source for cause in causes for source in cause.positions}
        if self.pending is not None and not sources.isdisjoint(self.pending.positions):
            self.line.append(self.pending)
            self.pending = None
        left_out = max(0, len(self.line) + len(causes) - MAX_LINE)
        self.line.extend(PendingTrigger(cause) for cause in causes[left_out:])
        has_work = self.line or self.pending
        decision = self._place(now) if self.phase is Phase.QUIET and has_work else Decision.HELD
        return decision, min(left_out, len(causes))

    def take(self, now: float) -> PendingTrigger:
        """Start what waits; raises ValueError when nothing does."""
        if self.phase is not Phase.WAITING:
            raise ValueError(f"nothing to take while {self.phase}")
        self._is_of_line = bool(self.line)
        if self._is_of_line:
            taken = self.line.pop(0)
        else:
            assert self.pending is not None  # noqa: S101  it is WAITING
            taken, self.pending = self.pending, None
        self.phase, self.running = Phase.RUNNING, taken
        self.timing.start(now, is_measured=not self._is_of_line)
        return taken

    def finish(self, now: float, again: PendingTrigger | None = None) -> Decision | None:
        """The run has its outcome. Returns what becomes of a held trigger, None without one.

        `again` is the trigger itself where it is to be tried once more; what was held
        meanwhile joins it, unless it came from the line and keeps its place there. Nor does
        anything join one over which a worker has died: it may be given up, and that alone.
        """
        self.phase, self.running = Phase.QUIET, None
        self.timing.end(now)
        if again is not None:
            self.timing.ready = now
        if again is not None and (self._is_of_line or again.attempts):
            self.line.insert(0, again)
        elif again is not None:
            if self.pending is not None:
                again.join(self.pending)
            self.pending = again
        return self._place(now) if self.line or self.pending else None

    def drop(self) -> int:
        """Give up what waits, not what runs; return how many triggers that were."""
        waited = len(self.line) + (self.pending is not None)
        self.line.clear()
        self.pending = None
        if self.phase is not Phase.RUNNING:
            self.phase = Phase.QUIET
        return waited

    def rest(self, until: float, why: Decision) -> bool:
        """Start nothing before `until`; True when a trigger was WAITING, which it no longer is."""
        self._rests_until, self._why_it_rests = until, why
        waited = self.phase is Phase.WAITING
        if waited or self.phase is Phase.DEFERRED:
            self.phase, self.due = Phase.DEFERRED, max(self.due, until)
        return waited

    def relieve(self, now: float) -> None:
        """The rest is over before its time; what is DEFERRED is due when `throttle` lets it."""
        self._rests_until = 0.0
        if self.phase is Phase.DEFERRED:
            self.due = self._opens(now)

    def deferred_by(self, now: float) -> Decision | None:
        """Why what waits is DEFERRED; None where it is not."""
        if self.phase is not Phase.DEFERRED:
            return None
        return self._why_it_rests if now < self._rests_until else Decision.THROTTLED

    def waiting_positions(self) -> dict[str, int]:
        """For each source, up to where what waits would answer it."""
        found: dict[str, int] = {}
        for trigger in (*self.line, self.pending):
            for source, position in trigger.positions.items() if trigger else ():
                found[source] = max(position, found.get(source, 0))
        return found

    def awaited(self) -> set[int]:
        """The tickets of all that waits, of what runs not."""
        waiting = (self.pending, *self.line)
        return {ticket for trigger in waiting if trigger for ticket in trigger.tickets}

    def return_ticket(self, ticket: int) -> None:
        """Nobody waits by this ticket any more."""
        for trigger in self._latest_first():
            trigger.tickets -= {ticket}

    def answered(self, source: str, signal_id: int) -> bool:
        """Nothing is to be done about signals of `source` up to this one any more.

        True when a trigger was WAITING for their sake alone, which it no longer is.
        """
        self.line = [t for t in self.line if not t.answered(source, signal_id)]
        if self.pending is not None and self.pending.answered(source, signal_id):
            self.pending = None
        if self.line or self.pending is not None:
            return False
        waited = self.phase is Phase.WAITING
        if waited or self.phase is Phase.DEFERRED:
            self.phase = Phase.QUIET
        return waited

    def cover(self, source: str, signal_id: int) -> bool:
        """Let the last trigger with signals of `source` stand for this one too.

        A signal that triggers nothing must not move the cursor past others that have no
        outcome yet. False where there are none, and the cursor may move at once.
        """
        for trigger in self._latest_first():
            if source in trigger.positions:
                trigger.positions[source] = max(signal_id, trigger.positions[source])
                return True
        return False

    def rethrottle(self, throttle_s: float, now: float) -> None:
        """Have another least time between two starts, for a trigger that is deferred as well."""
        if throttle_s == self.throttle_s:
            return
        self.throttle_s = throttle_s
        if self.phase is Phase.DEFERRED:
            self.due = max(self._opens(now), self._rests_until)

    def wake(self, now: float) -> bool:
        """The end of a deferral may have come; True when the sense is WAITING because of it."""
        if self.phase is not Phase.DEFERRED or now < self.due:
            return False
        self.phase = Phase.WAITING
        self.timing.ready, self.timing.tick_late_s = self.due, 0.0
        return True

    def held(self, now: float) -> tuple[float, Decision] | None:
        """Until when nothing of it is started, and why; None where nothing holds it."""
        if now < self._rests_until:
            return max(self._rests_until, self.due), self._why_it_rests
        return (self.due, Decision.THROTTLED) if self.phase is Phase.DEFERRED else None

    def _latest_first(self) -> Iterator[PendingTrigger]:
        yield from (t for t in (self.pending, *reversed(self.line), self.running) if t is not None)

    def _opens(self, now: float) -> float:
        """When the throttle lets the next one start."""
        last_start = self.timing.started
        return now if last_start is None else last_start + self.throttle_s

    def _place(self, now: float) -> Decision:
        opens = self._opens(now)
        if now < max(opens, self._rests_until):
            self.phase, self.due = Phase.DEFERRED, max(opens, self._rests_until)
            return self._why_it_rests if now < self._rests_until else Decision.THROTTLED
        self.phase = Phase.WAITING
        self.timing.ready = max(self.timing.ready, opens, self._rests_until)
        return Decision.ACCEPTED
