"""Triggers that a person asks for, and the waiting for what comes of them.

Parent, on the loop. Such a trigger goes through the flow of its sense as every other does; it
may join one that waits, and then its outcome is that of the compute they became together. It is
not durable before it has run: should nerve die first, nothing of it is left. Who waits holds a
*ticket*, which the trigger carries; each ticket comes to one end.
"""

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from nerve.clock import MS_PER_S, US_PER_S, rfc3339
from nerve.config.targets import require_sense
from nerve.errors import Exit
from nerve.reflex.causes import Cause, GivenPayload, PendingTrigger
from nerve.reflex.flow import Decision, Phase
from nerve.sense import TriggerKind
from nerve.store.batch import SignalEntry
from nerve.store.marks import SIGNAL
from nerve.supervisor.answers import Answer, done
from nerve.supervisor.asking import UNDURABLE, Parent, Refused, asked_by
from nerve.supervisor.ledger import Conclusion
from nerve.supervisor.states import WorkerState
from nerve.wire.control import TriggerRequest
from nerve.wire.messages import MAX_PAYLOAD_BYTES, refuse_depth, writable_as_json

WAIT_AT_MOST_S = 24 * 3600.0
"""For an outcome. The longest quarantine is over by then; a longer throttle is not waited for."""

_BLOCKED = {
    "paused": ("is paused", "`nerve resume {sense}` lets it run again"),
    "unavailable": ("is not available", "`nerve why {sense}` says what is the matter"),
}
"""By the reason for which nothing comes of a trigger: what is said of it, and what to do."""
_AFTER_ALL = {
    "paused": "{sense} was paused before this ran; nothing comes of it",
    "unavailable": "{sense} was lost before this ran: it is not available; nothing comes of it",
    "stopped": "nerve is being stopped, and {sense} had not begun; nothing comes of it",
}
_GOOD = frozenset({SIGNAL, "no_signal"})


@dataclass(slots=True)
class _Waiter:
    """Whoever waits by one ticket.

    Attributes:
        patience: until the waiting is over in any case.
        began: when the compute was started, if it was; seconds on the monotonic clock.
    """

    sense: str
    answer: Answer
    patience: asyncio.TimerHandle
    began: float | None = None


@dataclass(slots=True)
class _Told:
    """An outcome on its way into the journal; `signal_id` is known once it is there."""

    conclusion: Conclusion
    waiters: list[_Waiter] = field(default_factory=list)
    signal_id: int | None = None


class ByHand:
    """The triggers asked for by hand."""

    def __init__(self, parent: Parent) -> None:
        """Have the ledger and the triggers tell of what somebody waits for."""
        parent.ledger.awaited, parent.triggers.dropped = self.concluded, self.dropped
        self._parent = parent
        self._tickets = count(1)
        self._waiters: dict[int, _Waiter] = {}
        self._signals: dict[tuple[str, str, int], _Told] = {}

    # --- what is asked --------------------------------------------------------------

    def trigger(self, request: TriggerRequest, answer: Answer) -> None:
        """Let a trigger in; raises Refused for one of which nothing can come."""
        parent, sense = self._parent, request.sense
        parent.require_going_on()
        require_sense(parent.config(), sense)
        payload = _payload(request.payload)
        ticket = self._await(sense, answer) if request.wait else 0
        cause = Cause(TriggerKind.MANUAL, payload=payload, ticket=ticket)
        word = parent.triggers.ask(sense, cause)
        self._log(sense, word, payload, answer)
        if word in _BLOCKED:
            self._leave(ticket)
            raise self._blocked(sense, word)
        said = f"{sense}: {self._standing(sense, word)}"
        if not request.wait:
            facts = {"sense": sense, "decision": str(word)}
            parent.when_durable(
                lambda durable: done(
                    answer, said if durable else said + UNDURABLE, is_good=durable, **facts
                )
            )
        elif (waiter := self._waiters.get(ticket)) is not None and waiter.began is None:
            answer.progress(said)

    def _await(self, sense: str, answer: Answer) -> int:
        ticket = next(self._tickets)
        patience = self._parent.call_later(WAIT_AT_MOST_S, lambda: self._give_up(ticket))
        self._waiters[ticket] = _Waiter(sense, answer, patience)
        answer.on_close(lambda: self._leave(ticket))
        return ticket

    def _blocked(self, sense: str, word: str) -> Refused:
        triggers = self._parent.triggers
        why = (triggers.paused if word == "paused" else triggers.unavailable).get(sense)
        said, hint = _BLOCKED[word]
        message = f"{sense} {said}{f' ({why})' if why else ''}: it does not run"
        return Refused(word, f"{message}; counted as `{word}`", hint=hint.format(sense=sense))

    def _log(self, sense: str, word: str, payload: GivenPayload | None, answer: Answer) -> None:
        by = asked_by("nerve trigger", answer)
        told: dict[str, Any] = {"message": "asked for by `nerve trigger`", "decision": str(word)}
        if payload is not None:
            told["payload_bytes"] = payload.size
        self._parent.ledger.log(sense, "sense.triggered", "info", {**told, "by": by})

    def _standing(self, sense: str, word: str) -> str:
        """Say what an accepted trigger waits for."""
        joined = "joins the trigger that waits: " if word == Decision.COALESCED else ""
        return joined + self._reason(sense, word)

    def _reason(self, sense: str, word: str) -> str:
        parent = self._parent
        if (deferral := parent.triggers.deferral(sense)) is not None:
            why, left_s = deferral
            until = rfc3339(parent.clock.now_us() + int(left_s * US_PER_S))
            return _DEFERRED[why].format(sense=sense, until=until)
        group = parent.group_of(sense)
        if parent.triggers.phase(sense) is Phase.RUNNING:
            is_taken = word == Decision.ACCEPTED
            return "it runs now" if is_taken else "it runs already, and again after that"
        if not parent.is_ready():
            return "nerve is starting; it runs when all groups are ready"
        if group.state is WorkerState.BUSY:
            return f"waits for {group.running}, which its group {group.name} runs now"
        return _STANDING.get(group.state, "it runs next").format(group=group.name)

    # --- what comes of it -----------------------------------------------------------

    def started(self, trigger: PendingTrigger) -> None:
        """A trigger for which somebody waits is on its way to the worker."""
        for ticket in trigger.tickets:
            if (waiter := self._waiters.get(ticket)) is not None:
                waiter.began = self._parent.clock.monotonic()
                waiter.answer.progress(f"{waiter.sense}: it runs now")

    def concluded(self, conclusion: Conclusion) -> None:
        """A compute has its outcome, which is recorded; tell it once it is durable."""
        waiters = self._taken(conclusion.running.trigger.tickets)
        if not waiters:
            return
        told = _Told(conclusion, waiters)
        if conclusion.signal is not None:
            self._signals[_key(conclusion.signal)] = told
        self._parent.when_durable(lambda durable: self._tell(told, durable=durable))

    def signalled(self, signal_id: int, entry: SignalEntry) -> None:
        """A signal is durable."""
        if self._signals and (told := self._signals.pop(_key(entry), None)) is not None:
            told.signal_id = signal_id

    def dropped(self, sense: str, tickets: AbstractSet[int], reason: str) -> None:
        """Nothing comes of a trigger that waited."""
        message = _AFTER_ALL.get(reason, _AFTER_ALL["unavailable"]).format(sense=sense)
        waiters = self._taken(tickets)

        def tell(_durable: bool) -> None:
            for waiter in waiters:
                done(waiter.answer, message, is_good=False, sense=sense, outcome=reason)

        self._parent.when_durable(tell)

    def _tell(self, told: _Told, *, durable: bool) -> None:
        conclusion = told.conclusion
        if conclusion.signal is not None:
            self._signals.pop(_key(conclusion.signal), None)
        sense, outcome = conclusion.running.sense, conclusion.outcome
        facts: dict[str, JsonValue] = {"sense": sense, "outcome": outcome}
        facts["trigger"] = self._parent.ledger.trigger_ref(conclusion.running.trigger_id)
        if conclusion.signal is not None:
            facts |= {"signal": told.signal_id, "payload": from_json(conclusion.signal.payload)}
        if conclusion.fault is not None:
            fault = conclusion.fault.model_dump(mode="json", exclude_defaults=True)
            facts["fault"] = self._parent.ledger.masked_json(fault)
        message = _in_words(conclusion, told.signal_id)
        for waiter in told.waiters:
            if waiter.began is not None:
                took_s = self._parent.clock.monotonic() - waiter.began
                facts["took_ms"] = int(took_s * MS_PER_S)
            said = message if durable else message + UNDURABLE
            done(waiter.answer, said, is_good=outcome in _GOOD and durable, **facts)

    def _taken(self, tickets: AbstractSet[int]) -> list[_Waiter]:
        taken = [self._waiters.pop(ticket) for ticket in sorted(tickets) if ticket in self._waiters]
        for waiter in taken:
            waiter.patience.cancel()
        return taken

    def _leave(self, ticket: int) -> None:
        """Whoever waited has gone; the trigger goes its way."""
        for waiter in self._taken({ticket}):
            self._parent.triggers.return_ticket(waiter.sense, ticket)

    def _give_up(self, ticket: int) -> None:
        waiter = self._waiters.get(ticket)
        self._leave(ticket)
        if waiter is not None:
            said = f"{waiter.sense} has no outcome yet; it is not waited for any longer"
            done(waiter.answer, said, is_good=False, sense=waiter.sense, outcome=None)


_DEFERRED = {
    Decision.THROTTLED: "throttled until {until}",
    Decision.RESTING: "rests until {until}, as its worker died over it; "
    "`nerve resume {sense}` ends that",
    Decision.QUARANTINED: "in quarantine until {until}; `nerve resume {sense}` ends that",
}
_STANDING = {
    WorkerState.STARTING: "the worker of its group {group} is being started",
    WorkerState.STOPPING: "the worker of its group {group} is being replaced",
    WorkerState.BACKOFF: "its group {group} is in backoff, as its worker has died",
}


def _payload(value: JsonValue) -> GivenPayload | None:
    """Check what was given; raises Refused."""
    if value is None:
        return None
    try:
        size = len(to_json(writable_as_json(value)))
        refuse_depth(value)
    except (ValueError, RecursionError) as error:
        message = f"the payload cannot be given to a sense: {error}"
        raise Refused("invalid", message, exit_code=Exit.USAGE) from error
    if size > MAX_PAYLOAD_BYTES:
        message = f"the payload is {size:,} bytes of JSON, over {MAX_PAYLOAD_BYTES:,}"
        hint = "give the path of a file that the sense reads"
        raise Refused("invalid", message, hint=hint, exit_code=Exit.USAGE)
    return GivenPayload(value, size)


def _key(entry: SignalEntry) -> tuple[str, str, int]:
    return entry.sense, entry.epoch, entry.seq


def _in_words(conclusion: Conclusion, signal_id: int | None) -> str:
    sense = conclusion.running.sense
    if conclusion.fault is not None:
        return f"{sense}: {conclusion.outcome}: {conclusion.fault.message}"
    if conclusion.signal is None:
        return f"{sense}: no signal"
    number = "" if signal_id is None else f" {signal_id}"
    return f"{sense}: signal{number}"
