"""What a worker is told with a compute: all of its cause, and which signals are durable by now.

Parent, on the loop. That a signal is durable costs no message of its own where a compute follows
soon; where none does, the worker is told all the same, for its outbox must not grow.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from nerve.reflex.causes import PendingTrigger
from nerve.supervisor.hub import Running
from nerve.wire.messages import Acknowledged, CauseSignal, ComputeMessage, Given

ACKNOWLEDGE_WITHIN_S = 0.1
"""How long an acknowledgement waits for a compute that it can go with."""


class Acknowledgements:
    """Of one group: up to where the signals of its senses are durable, and the worker not told."""

    def __init__(self, send: Callable[[Acknowledged], None]) -> None:
        """`send` tells the worker, should there be one; inside a running event loop."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._untold: Acknowledged = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, sense: str, epoch: str, seq: int) -> None:
        """Tell soon that a sense's signals up to `seq` are durable."""
        self._untold[sense] = (epoch, seq)
        if self._timer is None:
            self._timer = self._loop.call_later(ACKNOWLEDGE_WITHIN_S, self.tell)

    @property
    def untold(self) -> Acknowledged:
        """What a compute can take along; `told` is to follow."""
        return self._untold

    def told(self) -> None:
        """A compute has taken it along."""
        self._untold = {}

    def tell(self) -> None:
        """Tell what no compute has told."""
        self._timer = None
        untold, self._untold = self._untold, {}
        if untold:
            self._send(untold)


def compute_message(running: Running, acknowledged: Acknowledged) -> ComputeMessage:
    """Say what is to run; raises ValueError for what no message takes."""
    trigger = running.trigger
    parts: dict[str, Any] = {
        "signals": tuple(
            CauseSignal(id=s.id, sense=s.sense, at_us=s.at_us, payload=s.payload)
            for s in trigger.signals
        ),
        "left_out": trigger.left_out,
        "merged": trigger.merged,
        "chain": trigger.chain,
        "given": _given(trigger),
        "positions": trigger.positions,
        "acknowledged": acknowledged,
    }
    return ComputeMessage(
        sense=running.sense,
        trigger_id=running.trigger_id,
        kind=trigger.kind,
        due_us=trigger.due_us,
        # Mostly all is as by default, and to have that validated takes as long as the rest.
        **{name: part for name, part in parts.items() if part},
    )


def _given(trigger: PendingTrigger) -> Given | None:
    if not trigger.payloads:
        return None
    payloads = tuple(payload.value for payload in trigger.payloads)
    return Given(payloads=payloads, left_out=trigger.payloads_left_out)
