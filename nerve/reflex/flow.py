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
"""

from dataclasses import dataclass
from enum import StrEnum

from nerve.reflex.causes import Cause, PendingTrigger


class Phase(StrEnum):
    """Where a sense stands."""

    QUIET = "quiet"
    DEFERRED = "deferred"
    WAITING = "waiting"
    RUNNING = "running"


class Decision(StrEnum):
    """What became of an offered cause. All but ACCEPTED are recorded as reasons."""

    ACCEPTED = "accepted"
    HELD = "held"
    THROTTLED = "throttled"
    COALESCED = "coalesced"
    RESTING = "resting"
    QUARANTINED = "quarantined"


@dataclass(slots=True)
class Flow:
    """The state of one sense.

    Attributes:
        throttle_s: seconds between two starts; 0 for no limit.
        due: when DEFERRED ends, seconds on the monotonic clock.
    """

    throttle_s: float = 0.0
    phase: Phase = Phase.QUIET
    due: float = 0.0
    pending: PendingTrigger | None = None
    _last_start: float | None = None
    _rests_until: float = 0.0
    _why_it_rests: Decision = Decision.RESTING

    def offer(self, cause: Cause, now: float) -> Decision:
        """Take in a cause. ACCEPTED means the sense is WAITING now and belongs in a queue."""
        if self.pending is not None:
            self.pending.merge(cause)
            quarantined = self._why_it_rests is Decision.QUARANTINED and now < self._rests_until
            return Decision.QUARANTINED if quarantined else Decision.COALESCED
        self.pending = PendingTrigger(cause)
        if self.phase is Phase.RUNNING:
            return Decision.HELD
        return self._place(now)

    def take(self, now: float) -> PendingTrigger:
        """Start what waits; raises ValueError when nothing does."""
        if self.phase is not Phase.WAITING or self.pending is None:
            raise ValueError(f"nothing to take while {self.phase}")
        taken, self.pending = self.pending, None
        self.phase = Phase.RUNNING
        self._last_start = now
        taken.attempts += 1
        return taken

    def finish(self, now: float, again: PendingTrigger | None = None) -> Decision | None:
        """The run has its outcome. Returns what becomes of a held trigger, None without one.

        `again` is the trigger itself where it is to be tried once more; what was held
        meanwhile joins it.
        """
        self.phase = Phase.QUIET
        if again is not None:
            if self.pending is not None:
                again.join(self.pending)
            self.pending = again
        return self._place(now) if self.pending else None

    def drop(self) -> bool:
        """Give up what waits or runs; True when a trigger was waiting."""
        waited, self.pending = self.pending is not None, None
        self.phase = Phase.QUIET
        return waited

    def rest(self, until: float, why: Decision) -> bool:
        """Start nothing before `until`; True when a trigger was WAITING, which it no longer is."""
        self._rests_until, self._why_it_rests = until, why
        waited = self.phase is Phase.WAITING
        if waited or self.phase is Phase.DEFERRED:
            self.phase, self.due = Phase.DEFERRED, max(self.due, until)
        return waited

    def answered(self, source: str, signal_id: int) -> bool:
        """Nothing is to be done about signals of `source` up to this one any more.

        True when a trigger was WAITING for their sake alone, which it no longer is.
        """
        if self.pending is None or not self.pending.answered(source, signal_id):
            return False
        self.pending = None
        waited = self.phase is Phase.WAITING
        if waited or self.phase is Phase.DEFERRED:
            self.phase = Phase.QUIET
        return waited

    def wake(self, now: float) -> bool:
        """The end of a deferral may have come; True when the sense is WAITING because of it."""
        if self.phase is not Phase.DEFERRED or now < self.due:
            return False
        self.phase = Phase.WAITING
        return True

    def _place(self, now: float) -> Decision:
        opens = now if self._last_start is None else self._last_start + self.throttle_s
        if now < max(opens, self._rests_until):
            self.phase, self.due = Phase.DEFERRED, max(opens, self._rests_until)
            return self._why_it_rests if now < self._rests_until else Decision.THROTTLED
        self.phase = Phase.WAITING
        return Decision.ACCEPTED
