"""Those who are told whenever the journal has grown.

Parent, on the loop. One `news` stands for all before it, so there is never more than one to
be told to anybody, and none is kept for whoever does not read: when the last one has left, the
newest id of then is told. They are told in rounds, a few at a time, because each of them wakes a
process that wants a processor.
"""

import asyncio
from collections import deque

from nerve.supervisor.connection import Connection
from nerve.wire.control import NewsReply
from nerve.wire.model import dump

NEWS_EVERY_S = 0.1
"""To each of them no more often: a person does not see it, and each reads the journal then."""
TOLD_AT_ONCE = 20
"""Some 0.1 ms of the loop."""
NEXT_AFTER_S = 0.01
"""After so many, the next: 200 of them are told in NEWS_EVERY_S."""


class Followers:
    """Connections that follow, and what each was told last."""

    def __init__(self, newest_id: int) -> None:
        """`newest_id` is that of the newest entry that is durable."""
        self._newest_id = newest_id
        self._told: dict[Connection, int] = {}
        self._round: deque[Connection] = deque()
        self._round_began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._told)

    def add(self, connection: Connection) -> None:
        """Tell it at once how far the journal is, and from now on how far it has come."""
        self._told[connection] = -1
        self._tell(connection)

    def discard(self, connection: Connection) -> None:
        """Tell it nothing more."""
        self._told.pop(connection, None)

    def moved(self, newest_id: int) -> None:
        """All entries up to this one are durable."""
        if newest_id > self._newest_id:
            self._newest_id = newest_id
            self._begin_soon()

    def has_room(self, connection: Connection) -> None:
        """All that was told to one that lagged has left: it may be told what came since."""
        if self._lags(connection):
            self._begin_soon()

    def _begin_soon(self) -> None:
        """Begin a round, unless one is under way, when the time for it has come."""
        if self._timer is None and self._told:
            wait_s = self._round_began + NEWS_EVERY_S - self._loop.time()
            self._timer = self._loop.call_later(max(wait_s, 0), self._begin)

    def end(self) -> None:
        """Tell nobody anything more."""
        if self._timer is not None:
            self._timer.cancel()
        self._told.clear()

    def _begin(self) -> None:
        self._round_began = self._loop.time()
        self._round.extend(self._told)
        self._go_on()

    def _go_on(self) -> None:
        for _ in range(min(TOLD_AT_ONCE, len(self._round))):
            self._tell(self._round.popleft())
        self._timer = None
        if self._round:
            self._timer = self._loop.call_later(NEXT_AFTER_S, self._go_on)
        elif any(self._lags(connection) for connection in self._told):
            self._begin_soon()

    def _lags(self, connection: Connection) -> bool:
        is_behind = self._told.get(connection, self._newest_id) < self._newest_id
        return is_behind and not connection.has_unsent

    def _tell(self, connection: Connection) -> None:
        if self._lags(connection):
            self._told[connection] = self._newest_id
            connection.send_line(dump(NewsReply(newest_id=self._newest_id)))
