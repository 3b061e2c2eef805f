"""A reflex that waits until its signals have ceased for a while.

Parent; pure. The first signal opens a bundle; each further one joins it and puts its
end off by the whole window, so that a burst is answered once, when it is over. A
burst that does not end is answered all the same: a bundle is open for at most
MAX_WINDOWS of its windows. What the bundle has collected is then one cause, and
goes the way of every cause (`nerve.reflex.flow`).
"""

from dataclasses import dataclass

from nerve.reflex.causes import Cause, PendingTrigger

MAX_WINDOWS = 10
"""So many windows after its first signal a bundle ends, whatever still comes."""


@dataclass(slots=True)
class Debounce:
    """One reflex of one sense.

    Attributes:
        window_s: how long it has to be quiet.
        bundle: what has been collected; None while nothing has.
        due: when the bundle ends, seconds on the monotonic clock.
    """

    window_s: float
    bundle: PendingTrigger | None = None
    due: float = 0.0
    _latest: float = 0.0

    def offer(self, cause: Cause, now: float) -> bool:
        """Take in a cause; True when it joined others, False when it is the first."""
        is_first = self.bundle is None
        if self.bundle is None:
            self.bundle, self._latest = PendingTrigger(cause), now + MAX_WINDOWS * self.window_s
        else:
            self.bundle.merge(cause)
        self.due = min(now + self.window_s, self._latest)
        return not is_first

    def release(self, now: float) -> Cause | None:
        """Return all that was collected if the bundle has ended, else None."""
        if self.bundle is None or now < self.due:
            return None
        ended, self.bundle = self.bundle, None
        return ended.as_cause()

    def drop(self) -> bool:
        """Give up what was collected; True when there was something."""
        had, self.bundle = self.bundle is not None, None
        return had

    def answered(self, source: str, signal_id: int) -> None:
        """Nothing is to be done about signals of `source` up to this one any more."""
        if self.bundle is not None and self.bundle.answered(source, signal_id):
            self.bundle = None

    def cover(self, source: str, signal_id: int) -> bool:
        """Let the bundle stand for one more signal; False when it has none of that source."""
        if self.bundle is None or source not in self.bundle.positions:
            return False
        self.bundle.positions[source] = max(signal_id, self.bundle.positions[source])
        return True
