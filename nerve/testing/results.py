"""What a run of a sense came to.

Commands and tests; pure. The answer of a worker, or of its executor alone, becomes a `Result`,
together with what was logged and printed meanwhile.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from nerve.clock import US_PER_S, to_datetime
from nerve.sense import Json, Signal
from nerve.wire.messages import FailedMessage, Fault, SignalMessage, Up

FAILURES: Final = frozenset({"error", "soft_timeout", "killed", "crashed"})


class ComputeFailed(AssertionError):
    """A test asked what a compute returned that had failed; the message has its traceback."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a compute failed, in the words that nerve's log would have.

    Attributes:
        kind: a stable word: `error` for an exception, `soft_timeout`, the kind of a SenseError...
        message: one line.
        traceback: from the author's first frame to the last; empty where there is none.
        hint: what to do; may be empty.
    """

    kind: str
    message: str
    traceback: str = ""
    hint: str = ""

    def __str__(self) -> str:
        parts = [f"{self.kind}: {self.message}", self.traceback.rstrip()]
        return "\n".join(filter(None, [*parts, self.hint and f"hint: {self.hint}"]))


@dataclass(frozen=True, slots=True)
class LogLine:
    """A record of `ctx.log` or of any other logger, as it would stand in nerve's log.

    Attributes:
        level: `info`, `warning`, ...
        message: with its traceback, if it has one; secrets masked.
        logger: its name; `sense.<name>` for `ctx.log`.
    """

    level: str
    message: str
    logger: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a sense came to.

    Attributes:
        sense: its name.
        outcome: `signal`, `no_signal`, `error` or `soft_timeout`; in a worker also `killed`
            (it did not end at all) and `crashed` (it took its process with it).
        duration_s: how long the compute took, in seconds of the real clock.
        error: why it failed, else None.
        logs: what was logged meanwhile, oldest first.
        printed: what was printed meanwhile, both streams as they came, secrets masked.
    """

    sense: str
    outcome: str
    duration_s: float
    error: Failure | None
    logs: tuple[LogLine, ...]
    printed: str
    _signal: Signal | None = field(repr=False)
    _rows: Callable[[str], list[dict[str, Any]]] = field(repr=False)

    @property
    def signal(self) -> Signal | None:
        """The signal, as another sense gets it for a cause; None without one.

        Raises ComputeFailed where the compute failed: it had no chance to tell anything.
        """
        if self.error is not None:
            __tracebackhide__ = True
            raise ComputeFailed(f"the compute of {self.sense} failed: {self.error}")
        return self._signal

    @property
    def payload(self) -> Json | None:
        """What compute returned, after JSON; None for no signal. Raises ComputeFailed."""
        __tracebackhide__ = True
        return None if self.signal is None else self.signal.payload

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows that a table of the sense has by now, in the order they came."""
        return self._rows(table)


def result_of(
    answer: Up,
    *,
    sense: str,
    number: int,
    duration_s: float,
    logs: tuple[LogLine, ...],
    printed: str,
    rows: Callable[[str], list[dict[str, Any]]],
) -> Result:
    """Make a result of what a worker has answered; `number` becomes the id of the signal."""
    signal = error = None
    outcome = "no_signal"
    if isinstance(answer, FailedMessage):
        outcome, error = answer.outcome, failure_of(answer.fault)
    elif isinstance(answer, SignalMessage):
        outcome = "signal"
        signal = Signal(number, sense, to_datetime(answer.at_us), answer.payload)
    return Result(sense, outcome, duration_s, error, logs, printed, signal, rows)


def failure_of(fault: Fault) -> Failure:
    """Return a fault as authors see it."""
    return Failure(fault.kind, fault.message, fault.traceback, fault.hint)


def log_line(record: logging.LogRecord, message: str | None = None) -> LogLine:
    """Return a record as authors see it; its own text, unless another one is given."""
    return LogLine(record.levelname.lower(), message or record.getMessage(), record.name)


def seconds(duration_us: int) -> float:
    """Return a duration as a result has it."""
    return duration_us / US_PER_S
