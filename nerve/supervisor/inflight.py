"""The one compute that a worker has in hand, until it has its one outcome.

Parent. A compute that was under way when its worker died becomes the *suspect*: it may have
been committed all the same. The replacement looks into the sense's database; what was committed
has its outcome there, what was not is `crashed`, or `killed` where the parent was the reason.
Until that is known nothing else of the group is started, so one at most runs, and of each sense
one at most is suspect: more than one of a group only where a reload has moved a sense to it, or
where a sense has to rest before it is loaded again, or where its database is out of reach for a
while; for that its neighbours do not wait.
"""

from collections.abc import Callable, Container

from nerve.clock import Clock
from nerve.supervisor.hub import Running
from nerve.supervisor.inquest import Death, Verdict, is_overdue
from nerve.supervisor.ledger import Ledger
from nerve.wire.messages import (
    FailedMessage,
    Fault,
    NoSignalMessage,
    ReadyMessage,
    SenseReport,
    SignalMessage,
)

CRASHED = Fault(kind="crashed", message="the worker died while this ran")
PASSING_FAULTS = frozenset({"disk_full", "read_only", "forbidden", "locked", "io_error"})
"""Of a sense's database at the start of its worker; the others do not go away by themselves."""


class InFlight:
    """What runs, what is suspect, and their outcomes."""

    def __init__(self, ledger: Ledger, *, clock: Clock, ended: Callable[[str], None]) -> None:
        """`ended(sense)` is called when the worker itself has told an outcome."""
        self.running: Running | None = None
        self.suspects: dict[str, Running] = {}
        self._out_of_reach: set[str] = set()
        self._ledger = ledger
        self._clock = clock
        self._ended = ended

    @property
    def sense(self) -> str | None:
        """The sense that runs."""
        return self.running.sense if self.running else None

    def take_signal(self, message: SignalMessage) -> None:
        """A durable signal: the outcome of what is in flight, or a repeat from an outbox."""
        cause = message.cause
        self._ledger.take_signal(message, self._end_if(message.sense, cause.trigger, cause.boot))

    def take_no_signal(self, message: NoSignalMessage) -> None:
        """A compute has ended well and has nothing to tell."""
        if ended := self._end_if(message.sense, message.trigger_id, self._ledger.boot):
            self._ledger.take_outcome(ended, "no_signal", message.at_us)

    def take_failed(self, message: FailedMessage) -> bool:
        """A compute has ended badly; False where this is about no compute in flight."""
        if message.sense is None or message.trigger_id is None:
            return False
        ended = self._end_if(message.sense, message.trigger_id, self._ledger.boot)
        if ended is not None:
            outcome = "error" if message.outcome == "refused" else message.outcome
            self._ledger.take_outcome(ended, outcome, message.at_us, message.fault)
        return ended is not None

    def lose_worker(self, death: Death, verdict: Verdict) -> Running | None:
        """The worker is dead: what ran is suspect from now on, and is returned.

        This is one of its attempts only where the worker had begun it. What it never came to has
        harmed nobody, whatever ended the worker.
        """
        if self.running is None:
            return None
        has_begun = verdict.running == self.running.sense
        self.running.trigger.attempts += has_begun
        was_killed = death.killing is not None or is_overdue(death)
        kind = "killed" if was_killed and has_begun else "crashed"
        self.running.bad_end = Fault(kind=kind, message=verdict.message)
        suspect, self.running = self.running, None
        self.suspects[suspect.sense] = suspect
        return suspect

    def resolve(self, ready: ReadyMessage) -> None:
        """The replacement says what is in the suspects' databases.

        Not of those whose sense it has not loaded, as that rests, nor of those whose database it
        could not read for the time being: they stay suspect until one can tell.
        """
        self._out_of_reach = {r.name for r in ready.senses if is_out_of_reach(r)}
        if not self.suspects:
            return
        reports = {report.name: report for report in ready.senses}
        for suspect in list(self.suspects.values()):
            report = reports.get(suspect.sense)
            key = (self._ledger.boot, suspect.trigger_id)
            if report is None or suspect.sense in self._out_of_reach:
                continue
            if (report.boot, report.trigger_id) != key:
                self._end_badly(suspect)
            elif not report.signalled:  # else the signal follows from the outbox: the outcome
                del self.suspects[suspect.sense]
                self._ledger.take_outcome(suspect, "no_signal", self._clock.now_us())

    def awaits_outcome(self, loaded: Container[str]) -> bool:
        """Whether a worker that has loaded these senses is yet to tell of a suspect."""
        return any(self.is_to_be_told(sense, loaded) for sense in self.suspects)

    def is_to_be_told(self, sense: str, loaded: Container[str]) -> bool:
        """Whether a worker that has loaded these senses can tell what has become of this one."""
        return sense in loaded and sense not in self._out_of_reach

    @property
    def is_unclear(self) -> bool:
        """Whether an outcome is still to come, and not only once a fault of storage is over."""
        return self.running is not None or not self.suspects.keys() <= self._out_of_reach

    def give_up(self, senses: Container[str] | None = None) -> None:
        """No replacement follows, of all or of these senses: what is unclear has ended badly."""
        gone = [s for s in self.suspects.values() if senses is None or s.sense in senses]
        for suspect in gone:
            # Its cursors stay: should the database say at the next start that it was
            # committed, they move then, and otherwise its signals are offered again.
            suspect.trigger.positions.clear()
            self._end_badly(suspect)

    def _end_badly(self, suspect: Running) -> None:
        del self.suspects[suspect.sense]
        fault = suspect.bad_end or CRASHED
        self._ledger.take_outcome(suspect, fault.kind, self._clock.now_us(), fault)

    def _end_if(self, sense: str, trigger_id: int, boot: str) -> Running | None:
        """End the compute that this is the outcome of; None for a repeat or a stray."""
        key = (sense, trigger_id, boot)
        if self._is(self.running, key):
            ended, self.running = self.running, None
            self._ended(sense)
            return ended
        if self._is(self.suspects.get(sense), key):
            return self.suspects.pop(sense)
        return None

    def _is(self, running: Running | None, key: tuple[str, int, str]) -> bool:
        return running is not None and key == (
            running.sense,
            running.trigger_id,
            self._ledger.boot,
        )


def may_pass(report: SenseReport) -> bool:
    """Whether a sense is unavailable by a fault of storage that may be over at a later start."""
    return report.fault is not None and report.fault.kind in PASSING_FAULTS


def is_out_of_reach(report: SenseReport) -> bool:
    """Whether its database could not even be read, and may be later."""
    return may_pass(report) and not report.epoch
