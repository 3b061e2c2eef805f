"""How a sense keeps its time: how late it starts, how long it takes.

Parent; pure. The one measurement of both: whoever tells of them (`nerve status`, `nerve metrics`)
has them from here. A few numbers for each sense, since nerve has run; nothing of it is stored.

Late is a start that came after the moment at which its trigger could have run: the time of its
tick, the coming of its signal, or the end of a throttle, a debounce or a rest. That it waited for
these is no lateness, that it waited for its group is. One that is made up for in a line has waited
for the others in it, and counts as in time.
"""

from dataclasses import dataclass

LATELY_S = 600.0
"""For so long the worst lateness is told."""


@dataclass(slots=True)
class Timing:
    """The numbers of one sense; moments are seconds on the monotonic clock.

    Attributes:
        ready: when the trigger that waits could have run.
        tick_late_s: how late the tick was that it came from; 0 for a cause that is no tick.
        started: its last start; None before the first.
        late_s, took_s: of the last compute; took_s None before its outcome.
        worst_late_s: of those of the last LATELY_S or so.
        runs, busy_s: computes that have an outcome, and how long all of them took.
    """

    ready: float = 0.0
    tick_late_s: float = 0.0
    started: float | None = None
    late_s: float = 0.0
    worst_late_s: float = 0.0
    worst_at: float = 0.0
    took_s: float | None = None
    runs: int = 0
    busy_s: float = 0.0

    def start(self, now: float, *, is_measured: bool) -> None:
        """A compute starts; one that stood in a line has waited for the others in it alone."""
        self.started = now
        late_s = now - self.ready + self.tick_late_s if is_measured else 0.0
        self.late_s, self.tick_late_s = late_s, 0.0
        if late_s >= self.worst_late_s or now - self.worst_at > LATELY_S:
            self.worst_late_s, self.worst_at = late_s, now

    def end(self, now: float) -> None:
        """The compute that was started last has its outcome."""
        if self.started is not None:
            self.took_s = now - self.started
            self.busy_s += self.took_s
            self.runs += 1

    def worst_lately_s(self, now: float) -> float:
        """The worst lateness that is still told at this time."""
        return self.worst_late_s if now - self.worst_at <= LATELY_S else self.late_s
