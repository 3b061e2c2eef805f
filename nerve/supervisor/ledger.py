"""What came of everything: outcomes, signals and log rows on their way into the journal.

Parent, on the loop. Whatever a group tells is recorded here with all that belongs to
it, into one turn's batch and so into one transaction: the signal or the count of another
outcome, and the cursors of the signals that were answered by it.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_json

from nerve.clock import Clock, rfc3339
from nerve.config import Redactor
from nerve.reflex.causes import MAX_ATTEMPTS, PendingTrigger
from nerve.reflex.timers import SOURCE_MARK
from nerve.store.batch import LogEntry, SignalEntry
from nerve.store.marks import SIGNAL
from nerve.supervisor.hub import Running
from nerve.supervisor.recorder import Recorder
from nerve.wire.messages import Fault, SignalMessage

Ended = Callable[[str, PendingTrigger | None], None]


@dataclass(slots=True)
class Tally:
    """What a run has come to, for its last line and its exit code.

    Attributes:
        unrecorded: signals and log rows that could not be made durable; the signals are
            safe in their senses' databases.
    """

    signals: int = 0
    computes: int = 0
    failures: int = 0
    unrecorded: int = 0
    unavailable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome of a compute for which somebody waits.

    Attributes:
        signal: what was recorded, where the outcome is one.
        fault: what went wrong, where something did.
    """

    running: Running
    outcome: str
    signal: SignalEntry | None
    fault: Fault | None


class Ledger:
    """The one who writes down."""

    def __init__(
        self,
        recorder: Recorder,
        redactor: Redactor,
        *,
        boot: str,
        clock: Clock,
        ended: Ended,
    ) -> None:
        """`ended(sense, again)` is called with each outcome.

        `again` is the trigger where it is to be tried once more, else None.
        """
        self.boot = boot
        self.tally = Tally()
        self._recorder = recorder
        self._redactor = Redactor(redactor.values)
        self._clock = clock
        self._ended = ended
        self.awaited: Callable[[Conclusion], None] = lambda _: None

    def masked(self, text: str) -> str:
        """Return a text with secrets masked."""
        return self._redactor.text(text)

    def masked_json(self, value: JsonValue) -> JsonValue:
        """Return a JSON value with secrets masked."""
        masked: JsonValue = self._redactor.json(value)
        return masked

    def mask(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, and no others."""
        self._redactor.become(secrets)

    def log(
        self,
        source: str,
        type_: str,
        level: str,
        payload: dict[str, Any],
        *,
        ref: str | None = None,
    ) -> None:
        """Write a log row, with secrets masked."""
        self._recorder.log(self.entry(source, type_, level, payload, ref=ref))

    def entry(
        self,
        source: str,
        type_: str,
        level: str,
        payload: dict[str, Any],
        *,
        ref: str | None = None,
    ) -> LogEntry:
        """Make a log row of this moment, with secrets masked."""
        text = _writable(_to_json(self._redactor.json(payload)))
        return LogEntry(self._clock.now_us(), _writable(source), type_, level, ref, text)

    def take_signal(self, message: SignalMessage, running: Running | None) -> None:
        """Record a durable signal: the outcome of `running`, or a repeat from an outbox."""
        payload, cause = to_json(message.payload).decode(), to_json(message.cause).decode()
        entry = SignalEntry(
            message.sense, message.epoch, message.seq, message.at_us, payload, cause
        )
        self._recorder.signal(entry)
        if running is not None:
            self._conclude(running, SIGNAL, message.at_us, signal=entry)

    def take_outcome(
        self, running: Running, outcome: str, at_us: int, fault: Fault | None = None
    ) -> None:
        """Record an outcome other than a signal."""
        if fault is not None:
            self.tally.failures += 1
            payload = {**fault.model_dump(exclude_defaults=True), "kind": fault.kind}
            ref = self.trigger_ref(running.trigger_id)
            self.log(running.sense, f"compute.{outcome}", "error", payload, ref=ref)
        self._conclude(running, outcome, at_us, fault)

    def trigger_ref(self, trigger_id: int) -> str:
        """How log rows refer to one trigger of this run."""
        return f"trigger:{self.boot}/{trigger_id}"

    def _conclude(
        self,
        running: Running,
        outcome: str,
        at_us: int,
        fault: Fault | None = None,
        signal: SignalEntry | None = None,
    ) -> None:
        """With the outcome go the cursors, in one transaction, and then the next in line."""
        if outcome != SIGNAL:  # which the journal counts by its rows
            detail = self._redactor.text(fault.message) if fault else ""
            self._recorder.count(running.sense, outcome, at_us, detail=detail)
        again = running.trigger if self._deserves_another(running, outcome) else None
        if again is None:
            for source, signal_id in running.trigger.positions.items():
                self._recorder.cursor(running.sense, source, signal_id)
            if running.trigger.tickets:
                self.awaited(Conclusion(running, outcome, signal, fault))
        self._ended(running.sense, again)

    def _deserves_another(self, running: Running, outcome: str) -> bool:
        """Whether signals are offered again, because the worker died over them or was killed.

        A death is often nobody's fault here (memory was short, somebody killed it), and a
        reaction to a signal must not be lost by it. But not for ever where the sense had begun: it
        may be the signals.
        """
        if outcome not in {"crashed", "killed"} or not running.trigger.positions:
            return False
        if running.trigger.attempts < MAX_ATTEMPTS:
            return True
        places = ", ".join(starmap(_place, running.trigger.positions.items()))
        message = f"given up after {MAX_ATTEMPTS} attempts; goes on after {places}"
        signals = [signal.id for signal in running.trigger.signals]
        payload = {"message": message, "positions": running.trigger.positions, "signals": signals}
        self.log(running.sense, "reflex.given_up", "error", payload)
        return False


def _place(source: str, position: int) -> str:
    if source.startswith(SOURCE_MARK):
        return f"the tick of {rfc3339(position)}"
    return f"signal {position} of {source}"


def _writable(text: str) -> str:
    # A file name may hold half a character (PEP 383), and no database takes that.
    return text.encode("utf-8", "replace").decode()


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
