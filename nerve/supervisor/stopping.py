"""The wish to stop: once is in order, twice is at once.

Parent, on the loop. Who has asked is recorded, and from then on nothing new starts. What is done
at a stop, and in which order, is `Supervisor.run` and `closing`.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from nerve.clock import Clock
from nerve.supervisor.group import Group
from nerve.supervisor.inquest import Reason
from nerve.supervisor.ledger import Ledger

HURRY_AFTER_S = 0.5
"""A second request to stop sooner than this is the same one, sent twice."""


class Stopping:
    """Whether nerve is to stop, and how soon.

    Attributes:
        is_asked: whether anybody has asked yet; looked at before each compute.
    """

    def __init__(
        self,
        groups: Mapping[str, Group],
        ledger: Ledger,
        *,
        clock: Clock,
        begun: Callable[[], None],
    ) -> None:
        """`begun` is called once, at the first request; inside a running event loop."""
        self.is_asked = False
        self._groups = groups
        self._ledger = ledger
        self._clock = clock
        self._begun = begun
        self._asked = asyncio.Event()
        self._asked_at = 0.0

    async def asked(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()

    def request(self, reason: str, *, at_once: bool, by: Mapping[str, Any] | None) -> None:
        """Stop in an orderly way; a second time, at once. `by` is who asked, where it is known."""
        asked = {"by": dict(by)} if by else {}
        now = self._clock.monotonic()
        if not self.is_asked:
            self._asked_at = now
            message = f"{reason}: nothing new starts, what runs may end"
            self._ledger.log("nerve", "nerve.stopping", "info", {"message": message, **asked})
            self.is_asked = True
            self._asked.set()
            self._begun()
            if at_once:  # after the groups have been told to stop, or they would start others
                asyncio.get_running_loop().call_soon(self._hurry, reason, asked)
        elif at_once or now - self._asked_at >= HURRY_AFTER_S:
            self._hurry(f"{reason} again", asked)

    def _hurry(self, reason: str, asked: dict[str, Any]) -> None:
        message = f"{reason}: stopping at once, running computes are killed"
        self._ledger.log("nerve", "nerve.hurried", "warning", {"message": message, **asked})
        for group in self._groups.values():
            group.kill(Reason.HURRY, "was killed, as nerve stops at once,")
