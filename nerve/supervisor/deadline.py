"""The hard deadline of a compute: `timeout` and `grace_period` after its start, and no longer.

Parent, on the loop. It counts from when the worker began, which may be a while after it was told
to, so it is moved once for that. A compute that is not over by then has its worker killed, with
the stacks taken first; and one that has ended, as the slate says, has a moment for its answer.
"""

from collections.abc import Callable, Mapping

from nerve.clock import MS_PER_S, Clock
from nerve.config.models import SenseConfig
from nerve.process.slate import Line, Phase
from nerve.supervisor.alarm import Alarm
from nerve.supervisor.generation import Generation
from nerve.supervisor.hub import Running
from nerve.supervisor.inquest import Killing, Reason
from nerve.supervisor.ledger import Ledger

ANSWER_PATIENCE_S = 1.0
"""At the hard deadline, for the answer of a compute that has ended as its worker reports."""
LATE_START_S = 0.002
"""A compute that the worker started so much later than it was sent is not worth another timer."""


class Deadline:
    """That of whatever a group runs."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock,
        senses: Callable[[], Mapping[str, SenseConfig]],
        in_hand: Callable[[], tuple[Generation | None, Running | None]],
    ) -> None:
        """`senses` are those of the group; `in_hand` its worker and the compute that runs."""
        self._ledger = ledger
        self._clock = clock
        self._senses = senses
        self._in_hand = in_hand
        self._alarm = Alarm(self.strike)

    def set(self, sense: str) -> None:
        """A compute of this sense begins now; the one before it is over."""
        self._alarm.set(self.allowance_s(sense))

    def allowance_s(self, sense: str | None) -> float:
        """From the start of a compute until its hard deadline; 0 without one."""
        if sense is None:
            return 0.0
        config = self._senses()[sense]
        return (config.timeout_ms + config.grace_period_ms) / MS_PER_S

    @property
    def doing(self) -> str:
        """Which sense computes, and how long it has and may, in words; empty when none does."""
        worker, running = self._in_hand()
        since = worker.computes_since if worker else None
        if running is None or since is None:
            return ""
        seconds = self._clock.monotonic() - since
        allowance_s = self.allowance_s(running.sense)
        return f"{running.sense} has run for {seconds:.0f} s, and may for {allowance_s:.0f} s"

    def strike(self) -> None:
        """It may be there: whatever has run for too long is ended."""
        worker, running = self._in_hand()
        if running is None:
            return
        if worker is None or not worker.is_alive:
            return  # it has ended itself meanwhile, and its exit is on the way
        line = worker.line()
        left_s = 0.0 if running.is_extended else self._left_s(running, line)
        if left_s > LATE_START_S:
            # Once: a sense that writes into the slate must not live for ever.
            running.is_extended = True
            self._alarm.set(left_s)
            return
        runs = line is None or line.trigger_id == running.trigger_id
        told = f"was killed: {running.sense} did not end within timeout and grace_period"
        worker.kill_with_stack(
            Killing(Reason.HARD_TIMEOUT, told, running.sense if runs else None),
            lambda stack: self._tell(running, stack),
        )

    def _left_s(self, running: Running, line: Line | None) -> float:
        """How much time a compute has left, as the worker reports it."""
        if line is None:
            return 0.0
        if line.trigger_id == running.trigger_id:
            return line.since + self.allowance_s(running.sense) - self._clock.monotonic()
        has_ended = line.phase is Phase.IDLE and line.sense == running.sense
        return ANSWER_PATIENCE_S if has_ended else 0.0

    def _tell(self, running: Running, stack: str) -> None:
        config = self._senses()[running.sense]
        payload = {
            "message": f"{running.sense} did not end within timeout and grace_period; killed",
            "timeout_ms": config.timeout_ms,
            "grace_period_ms": config.grace_period_ms,
            "stack": stack,
        }
        ref = self._ledger.trigger_ref(running.trigger_id)
        self._ledger.log(running.sense, "worker.hard_timeout", "error", payload, ref=ref)
