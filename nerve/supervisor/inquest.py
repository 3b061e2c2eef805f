"""What a worker died of, and whether one of its senses has to answer for it.

Parent; pure. The witnesses are the slate, which says what the worker was doing whatever
killed it; the reason for which the parent killed it, if it did; and how the process
ended. A sense answers for what happens while it is loaded or computes. What happens between
computes may be the work of a thread or a child that any of them has left behind:
then nobody is blamed, and it is said what is known.
"""

import signal
from dataclasses import dataclass
from enum import StrEnum

from nerve.process.slate import Line, Phase
from nerve.wire.channel import LOST_CHANNEL_EXIT


class Reason(StrEnum):
    """Why the parent has killed a worker."""

    HARD_TIMEOUT = "hard_timeout"
    BOOT_TIMEOUT = "boot_timeout"
    MEMORY = "memory"
    PROCESSES = "processes"
    NONSENSE = "nonsense"
    DEAF = "deaf"
    HURRY = "hurry"
    STOP_TIMEOUT = "stop_timeout"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Killing:
    """A kill by the parent.

    Attributes:
        told: what the worker did, as in "the worker <told>".
        sense: who answers for it, where that is clear before the worker is dead.
        is_old: it began before what ran then; so that does not answer for it.
    """

    reason: Reason
    told: str
    sense: str | None = None
    is_old: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended.

    Attributes:
        code: as subprocess has it, negative for a signal; None when it is not known.
        bereft_of: process id of the fork server that was gone, its workers with it; else None.
    """

    code: int | None
    bereft_of: int | None = None

    def __str__(self) -> str:
        if self.bereft_of is not None:
            return "went with the fork server, which has ended"
        if self.code is None:
            return "ended in an unknown way"
        if self.code == LOST_CHANNEL_EXIT:
            return "lost its channel to nerve, which a sense has closed, and exited"
        if self.code >= 0:
            return f"exited with {self.code}"
        return f"was ended by signal {-self.code} ({_signal_name(-self.code)})"


@dataclass(frozen=True, slots=True)
class Death:
    """What is known of a death.

    Attributes:
        line: the slate's last line; None where it cannot be read.
        dispatched: the sense that the parent had told it to run, and that had not answered.
        trigger_id: of that compute; 0 without one.
        now: seconds on the monotonic clock.
        allowance_s: timeout and grace_period of the dispatched sense.
    """

    exit: Exit
    line: Line | None = None
    dispatched: str | None = None
    trigger_id: int = 0
    killing: Killing | None = None
    was_ready: bool = False
    now: float = 0.0
    allowance_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from it.

    Attributes:
        running: the sense that ran or was being loaded, or None.
        guilty: the same where it has to answer for it, else None.
        loading: it was being loaded or migrated, not run.
        counts: whether it is one of the deaths after which a group is given up.
        message: one line for the log.
    """

    message: str
    running: str | None = None
    guilty: str | None = None
    loading: bool = False
    counts: bool = False


def judge(death: Death) -> Verdict:
    """Tell what a worker died of and who answers for it."""
    if death.killing and death.killing.sense and death.exit.bereft_of is None:
        sense = death.killing.sense
        return Verdict(f"the worker {death.killing.told}", running=sense, guilty=sense)
    phase, sense = _doing(death)
    told = death.killing.told if death.killing else str(death.exit)
    if is_overdue(death):
        told = "ended itself, as nerve was held up and did not,"
    doing = _DOING.get(phase)
    if not doing:
        return Verdict(_between(death, told), counts=_counts(death))
    message = f"the worker {told} while {sense} {doing}"
    loading = phase is not Phase.COMPUTING
    if death.exit.bereft_of is not None or _was_wanted(death):
        return Verdict(message, running=sense, loading=loading)
    return Verdict(message, running=sense, guilty=sense, loading=loading)


def is_overdue(death: Death) -> bool:
    """Whether the last resort in the worker has ended it, the parent being too late."""
    line = death.line
    return (
        death.killing is None
        and death.exit.code == -signal.SIGKILL
        and line is not None
        and line.phase is Phase.COMPUTING
        and death.now - line.since > death.allowance_s
    )


_DOING = {
    Phase.LOADING: "was loaded",
    Phase.MIGRATING: "was migrated",
    Phase.COMPUTING: "ran",
}


def _was_wanted(death: Death) -> bool:
    """Whether a person has asked for it, whatever ran."""
    return death.killing is not None and death.killing.reason in {Reason.HURRY, Reason.REPLACED}


def _doing(death: Death) -> tuple[Phase, str]:
    line = death.line
    if death.killing and death.killing.is_old:
        return Phase.IDLE, ""
    if line is not None and line.phase is Phase.COMPUTING and line.trigger_id != death.trigger_id:
        return Phase.IDLE, line.sense  # it has answered, and had no time to write that down
    if line is not None:
        return line.phase, line.sense
    if death.dispatched:  # a sense has scribbled over the slate
        return Phase.COMPUTING, death.dispatched
    return (Phase.IDLE if death.was_ready else Phase.STARTING), ""


def _counts(death: Death) -> bool:
    return death.exit.bereft_of is None and not _was_wanted(death)


def _between(death: Death, told: str) -> str:
    if not death.was_ready:
        return f"the worker {told} before it was ready"
    if death.killing and death.killing.is_old:
        return f"the worker {told}; that began before {death.dispatched or 'anything'} ran"
    if death.line is None or not death.line.sense:
        return f"the worker {told} between computes"
    ago_ms = (death.now - death.line.since) * 1_000
    return (
        f"the worker {told} between computes, {ago_ms:.0f} ms after {death.line.sense} ran; "
        "whether a thread or child left behind did it is not known"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "no name"
