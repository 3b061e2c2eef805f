"""How a running nerve is, as the control socket tells it: the part that no file has.

Parent and commands; pure. What is durable (outcomes, pauses, quarantines, positions) a command
reads from logs.db, with or without a running nerve. Times are UTC microseconds, and lengths of
time microseconds.
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
        running_since_us: since when.
        waiting: senses in its queue.
        starts_at_us: when a group in backoff starts again.
        deaths: of its workers, as many as still count against it.
    """

    name: str
    state: str
    pid: Count | None
    generation: Count
    running: str | None = None
    running_since_us: Count | None = None
    waiting: Count = 0
    starts_at_us: Count | None = None
    deaths: Count = 0


class SenseStatus(Message):
    """One sense.

    Attributes:
        phase: of its flow, as `reflex.flow.Phase` has it.
        blocked: `unavailable` or `paused`; empty when it may run.
        why: why it is blocked, in a sentence; may be empty.
        ahead: senses before it in its group's queue; None when it does not stand there.
        waiting_since_us: since when a trigger could run, and waits for its turn.
        held_until_us: before that nothing of it is started.
        held_by: why, as `reflex.flow.Decision` has it: `throttled`, `resting`, ...; else empty.
        next_us: its next tick; None where no timer runs it.
        sources: the senses whose signals run it.
        started_us: its last start since nerve has run.
        late_us: how late that was, as `nerve.reflex.timing` has it.
        worst_late_us: how late the latest of the starts of the last minutes was.
        took_us: from a start to its outcome, the last time.
        runs: outcomes since nerve has run.
        busy_us: all of them together.
    """

    name: str
    group: str
    phase: str
    blocked: str = ""
    why: str = ""
    ahead: Count | None = None
    waiting_since_us: Count | None = None
    held_until_us: Count | None = None
    held_by: str = ""
    next_us: Count | None = None
    sources: tuple[str, ...] = ()
    started_us: Count | None = None
    late_us: Count | None = None
    worst_late_us: Count | None = None
    took_us: Count | None = None
    runs: Count = 0
    busy_us: Count = 0


class StatusReply(Message):
    """A page of the groups and a page of the senses, both by name.

    Attributes:
        started_us: when nerve was started.
        loaded_us: when it read its configuration, the last time that this held.
        config: the file.
        timezone: in which it shows times.
        is_ready: every group has reported once, so that senses run.
        trouble: what keeps the journal from being written; empty when nothing does.
        needs_restart: keys of the configuration that take effect at a restart of nerve.
        more: whether senses follow; they are asked for with `after` the last of these.
        more_groups: the same of groups, and `after_group`.
    """

    type: Literal["status"] = "status"
    pid: Count
    version: str
    boot: str
    started_us: Count
    loaded_us: Count
    now_us: Count
    config: str
    timezone: str
    is_ready: bool
    trouble: str = ""
    needs_restart: tuple[str, ...] = ()
    groups: tuple[GroupStatus, ...]
    senses: tuple[SenseStatus, ...]
    more: bool = False
    more_groups: bool = False
