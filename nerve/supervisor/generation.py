"""One start of a group's worker, from the launch to the verdict over its death.

Parent, on the loop. Everything here belongs to one process and is never used again, so
nothing late of an earlier worker can be taken for a word of the next. It keeps the times
that the worker has to become ready, to stop, and to be gone when it was killed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from nerve.clock import Clock
from nerve.errors import WireError
from nerve.process.slate import Line, Phase, read_line, read_stacks
from nerve.process.stack import readable
from nerve.supervisor.boot import time_left_s
from nerve.supervisor.child import Child, ChildEvents, Threads
from nerve.supervisor.inquest import Death, Exit, Killing, Reason
from nerve.wire.channel import ChannelClosed
from nerve.wire.messages import StopMessage, UpdateMessage, WorkerSpec
from nerve.wire.model import Message

BOOT_LOOK_S = 1.0
"""Between two looks at how far a worker is."""
KILL_TIMEOUT_S = 10.0
"""For a killed worker to be gone; one that waits for a dead disk may never be."""


@dataclass(frozen=True, slots=True)
class GenerationEvents:
    """What a generation tells its group, on the loop, besides what its child does.

    Attributes:
        boot_timeout: it is not ready in time and is being killed; with its stacks.
        unkillable: it was killed and is still there; `exited` of the child follows.
    """

    boot_timeout: Callable[[str], None]
    unkillable: Callable[[int], None]


class Generation:
    """A worker and what the parent knows of it."""

    def __init__(
        self,
        spec: WorkerSpec,
        child_events: ChildEvents,
        events: GenerationEvents,
        *,
        clock: Clock,
        threads: Threads,
    ) -> None:
        self.spec = spec
        self.was_ready = False
        self.says_stopped = False
        self._is_over = self._is_doomed = False
        self.killing: Killing | None = None
        self._events = events
        self._exited = child_events.exited
        self._clock = clock
        self._began = clock.monotonic()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        self.child = Child(spec, child_events, clock=clock, threads=threads)

    async def launch(self) -> None:
        """Start the process; raises OSError, EOFError or TimeoutError when that fails."""
        await self.child.start()
        if self.killing is not None:
            self.kill(self.killing)
        else:
            self._watch_boot()

    @property
    def is_usable(self) -> bool:
        """Whether it lives, as far as one knows, and is to go on living."""
        lives = bool(self.child.pid) and not self.child.is_gone
        return lives and self.killing is None and not self._is_doomed

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs, though no exit has been told yet."""
        return self.child.is_alive

    def send(self, message: Message) -> None:
        """Send a message; a worker that does not read is killed."""
        if not self.child.pid:
            return
        try:
            self.child.send(message)
        except ChannelClosed:
            # Dead, and its exit tells more than this would; or it has closed its own channel.
            self._is_doomed = True
            self.child.kill()
            self._expect_death()
        except WireError:
            self.kill(Killing(Reason.DEAF, "was killed, as it read nothing of what it was sent,"))

    def update(self, message: UpdateMessage) -> None:
        """Tell it what has changed around it."""
        self.child.mask(message.masked)
        self.send(message)

    def became_ready(self) -> None:
        """It has loaded and migrated what it could."""
        self.was_ready = True
        self._cancel(self._timer)

    def ask_to_stop(self, allowance_s: float) -> None:
        """Have it finish and go, within so many seconds."""
        if self._is_over:
            return
        late = Killing(Reason.STOP_TIMEOUT, "was killed, as it did not stop in time,")
        self._after(allowance_s, lambda: self.kill(late))
        self.send(StopMessage())

    def kill(self, killing: Killing) -> None:
        """End it at once; one that cannot be killed is given up after KILL_TIMEOUT_S."""
        self.killing = self.killing or killing
        if self.child.pid:  # else as soon as it has started
            self.child.kill()
            self._expect_death()

    def kill_with_stack(self, killing: Killing, tell: Callable[[str], None]) -> None:
        """The same, once, after `tell` was called with its stacks."""
        if self.killing is None:
            self.killing = killing
            self.child.kill_with_stack(tell)
            self._expect_death()

    @property
    def _is_readable(self) -> bool:
        return bool(self.child.pid) and self.child.has_slate

    def line(self) -> Line | None:
        """What its slate says it does; None where that cannot be read, or is none of its senses."""
        line = read_line(self.child.slate) if self._is_readable else None
        known = line is not None and (not line.sense or line.sense in self.spec.senses)
        return line if known else None

    @property
    def computes_since(self) -> float | None:
        """Since when it computes, on the monotonic clock; None where it does not."""
        line = self.line()
        return line.since if line and line.phase is Phase.COMPUTING else None

    def last_words(self) -> str:
        """The stacks that a fatal signal has left; empty where nerve has killed it."""
        if self.killing is not None or not self._is_readable:
            return ""
        return readable(read_stacks(self.child.slate), self.spec.folder)

    def death(
        self, ended: Exit, *, dispatched: str | None, trigger_id: int, allowance_s: float
    ) -> Death:
        """Gather what is known of its death; nothing of it goes on."""
        self._is_over = True
        self._cancel(self._timer)
        self._cancel(self._kill_timer)
        return Death(
            exit=ended,
            line=self.line(),
            dispatched=dispatched,
            trigger_id=trigger_id,
            killing=self.killing,
            was_ready=self.was_ready,
            now=self._clock.monotonic(),
            allowance_s=allowance_s,
        )

    def _watch_boot(self) -> None:
        """Look how far it is whenever its time for that might be over."""
        now = self._clock.monotonic()
        left_s = time_left_s(self.line(), self.spec, began=self._began, now=now)
        if left_s > 0:
            self._after(min(left_s, BOOT_LOOK_S), self._watch_boot)
        else:
            killing = Killing(Reason.BOOT_TIMEOUT, "was killed, as it was not ready in time,")
            self.kill_with_stack(killing, self._events.boot_timeout)

    def _expect_death(self) -> None:
        if self._kill_timer is None and not self._is_over:
            self._kill_timer = self._loop.call_later(KILL_TIMEOUT_S, self._give_up_killing)

    def _give_up_killing(self) -> None:
        """It is in the kernel's hands, or the fork server is stopped and tells of no exit."""
        self._events.unkillable(self.child.pid)
        self.child.abandon()
        self._exited(Exit(None))

    def _after(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._cancel(self._timer)
        self._timer = self._loop.call_later(delay_s, callback)

    def _cancel(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
