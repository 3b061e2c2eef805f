"""When the fork server ends, all workers go with it, and none of them can be blamed for that.

Parent; pure. But a sense that kills the fork server (its `os.getppid()`) at every run would
have all its neighbours restarted for ever. So it is remembered which senses were running
each time; the only one that was running MAX_STRIKES times out of MAX_STRIKES answers for it.
"""

from collections import deque
from collections.abc import Set as AbstractSet

from nerve.supervisor.conduct import MAX_STRIKES

REMEMBERED_S = 600.0


class Bereavements:
    """The last ends of fork servers, and who was running then."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, frozenset[str]]] = deque(maxlen=MAX_STRIKES)

    def note(self, running: AbstractSet[str], now: float) -> str | None:
        """Note an end at `now`, in seconds on the monotonic clock; return who answers for it."""
        self._seen.append((now, frozenset(running)))
        recent = [senses for at, senses in self._seen if now - at <= REMEMBERED_S]
        if len(recent) < MAX_STRIKES:
            return None
        always = frozenset.intersection(*recent)
        if len(always) != 1:
            return None
        self._seen.clear()
        return next(iter(always))
