"""How a running nerve is, as the control socket tells it: the part that no file has.

Parent and commands; pure. What is durable (outcomes, pauses, quarantines, positions) a command
reads from logs.db, with or without a running nerve.
"""

from typing import Literal

from nerve.wire.model import Count, Message


class GroupStatus(Message):
    """One group.

    Attributes:
        state: of its worker, as `WorkerState` has it.
        pid: of its worker, None without one.
        generation: how often a worker was started.
        running: the sense that computes; None when none does.
        running_since_us: since when, UTC microseconds.
        waiting: senses in its queue.
        starts_at_us: when a group in backoff starts again.
    """

    name: str
    state: str
    pid: Count | None
    generation: Count
    running: str | None = None
    running_since_us: Count | None = None
    waiting: Count = 0
    starts_at_us: Count | None = None


class SenseStatus(Message):
    """One sense.

    Attributes:
        phase: of its flow, as `reflex.flow.Phase` has it.
        deferred_until_us: when a deferred trigger will run, UTC microseconds.
        next_us: its next tick; None where no timer runs it.
        blocked: `unavailable` or `paused`; empty when it may run.
        late_us: how late its last tick was started.
    """

    name: str
    group: str
    phase: str
    blocked: str = ""
    deferred_until_us: Count | None = None
    next_us: Count | None = None
    late_us: Count | None = None


class StatusReply(Message):
    """All groups, and a page of the senses.

    Attributes:
        trouble: what keeps the journal from being written; empty when nothing does.
        more: whether senses follow; they are asked for with `after` the last of these.
    """

    type: Literal["status"] = "status"
    pid: Count
    version: str
    boot: str
    started_us: Count
    now_us: Count
    config: str
    is_ready: bool
    trouble: str = ""
    groups: tuple[GroupStatus, ...]
    senses: tuple[SenseStatus, ...]
    more: bool = False
