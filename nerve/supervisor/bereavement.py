"""When the fork server ends, all workers go with it, and none of them can be blamed for that.

Parent; pure. But a sense that kills the fork server (its `os.getppid()`) at every run would
have all its neighbours restarted for ever. So it is remembered which senses were running
each time. The only one that was running MAX_STRIKES times out of MAX_STRIKES answers for it.
Where several were, all of them but one are to rest for APART_S, another one each time: then
they no longer run together, and the one who does it is soon alone.
"""

from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from nerve.supervisor.conduct import MAX_STRIKES

REMEMBERED_S = 600.0
APART_S = 60.0
"""How long suspects rest while one of them does not."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What follows from an end.

    Attributes:
        guilty: who answers for it, or None.
        apart: who is to rest for APART_S, for it to become clear.
    """

    guilty: str | None = None
    apart: frozenset[str] = frozenset()


class Bereavements:
    """The last ends of fork servers, and who was running then."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, frozenset[str]]] = deque(maxlen=MAX_STRIKES)
        self._turn = 0

    def note(self, running: AbstractSet[str], now: float) -> Suspicion:
        """Note an end at `now`, in seconds on the monotonic clock."""
        self._seen.append((now, frozenset(running)))
        recent = [senses for at, senses in self._seen if now - at <= REMEMBERED_S]
        if len(recent) < MAX_STRIKES:
            return Suspicion()
        always = sorted(frozenset.intersection(*recent))
        if not always:
            return Suspicion()
        self._seen.clear()
        if len(always) == 1:
            return Suspicion(guilty=always[0])
        self._turn += 1
        return Suspicion(apart=frozenset(always) - {always[self._turn % len(always)]})
