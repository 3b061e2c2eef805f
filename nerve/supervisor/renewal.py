"""When a worker that lives is to be replaced, so that senses come up that have not.

Parent; pure. A sense whose database is out of reach is brought up once that may be over; one that
was left out because it rests, and whose database has an outcome to tell, once it has rested. That
costs its neighbours a restart of their worker, so the pauses grow.
"""

from collections.abc import Collection

from nerve.supervisor.inflight import may_pass
from nerve.wire.messages import ReadyMessage

RETRY_FIRST_S = 10.0
RETRY_MAX_S = 600.0
RETRY_WHEN_BUSY_S = 1.0


class Renewal:
    """The pauses of one group."""

    def __init__(self) -> None:
        self._retry_s = RETRY_FIRST_S

    def forget(self) -> None:
        """Begin with the shortest pause again."""
        self._retry_s = RETRY_FIRST_S

    def delay_s(self, ready: ReadyMessage, rests_s: Collection[float]) -> float | None:
        """In how many seconds a worker that has come up is to be replaced; None where it is not.

        `rests_s` is for how long those rest that it left out and that have an outcome to tell.
        """
        if any(map(may_pass, ready.senses)):
            delay_s = self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
            return delay_s
        self._retry_s = RETRY_FIRST_S
        return min(rests_s) + RETRY_WHEN_BUSY_S if rests_s else None
