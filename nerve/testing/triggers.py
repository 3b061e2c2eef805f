"""Why a sense under test runs, from what a test says.

Commands and tests; pure.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from nerve.clock import US_PER_S
from nerve.sense import Json, Signal, Trigger, TriggerKind
from nerve.wire.messages import CauseSignal, ComputeMessage, Given, parse_down
from nerve.wire.model import dump

Cause = Signal | tuple[str, Json]
"""A signal, e.g. `result.signal` of another sense; or the name of a sense and a payload."""


def trigger_of(causes: Iterable[Cause], now: datetime, payloads: Iterable[Json] = ()) -> Trigger:
    """Return the trigger that these signals are, and what was given by hand.

    Without any signal it is one by hand.
    """
    signals = tuple(
        cause if isinstance(cause, Signal) else Signal(number, cause[0], now, cause[1])
        for number, cause in enumerate(causes, 1)
    )
    kind = TriggerKind.SIGNAL if signals else TriggerKind.MANUAL
    return Trigger(kind, signals=signals, payloads=tuple(payloads))


def message_of(sense: str, trigger_id: int, trigger: Trigger) -> ComputeMessage:
    """Return the message with which a worker is given this trigger, as it would arrive.

    Raises ValueError for a payload that is no JSON.
    """
    positions: dict[str, int] = {}
    for signal in trigger.signals:
        positions[signal.sense] = max(positions.get(signal.sense, 0), signal.id)
    message = ComputeMessage(
        sense=sense,
        trigger_id=trigger_id,
        kind=trigger.kind,
        signals=tuple(
            CauseSignal(id=s.id, sense=s.sense, at_us=_us(s.at), payload=s.payload)
            for s in trigger.signals
        ),
        left_out=trigger.left_out,
        merged=trigger.merged,
        due_us=None if trigger.due is None else _us(trigger.due),
        given=_given(trigger),
        positions=positions,
    )
    arrived: Any = parse_down(dump(message))
    return arrived  # type: ignore[no-any-return]


def _given(trigger: Trigger) -> Given | None:
    if not trigger.payloads and not trigger.payloads_left_out:
        return None
    return Given(payloads=trigger.payloads, left_out=trigger.payloads_left_out)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * US_PER_S)
