"""One group: its queue, what it runs, and the states and restarts of its worker.

Parent. The senses of a group run one after another, so a group sends its worker one
compute at a time and waits for the outcome; a sense stands in the queue at most
once (`nerve.reflex.flow`), so the queue is as long as the group at most.

A worker that dies is replaced. What it was running is kept as the *suspect* until
the replacement has looked into the sense's database: a compute that was committed
before the death has its outcome there, one that was not is `crashed`, or `killed`
when the hard deadline was the reason. Either way it has exactly one outcome.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from nerve.clock import MS_PER_S, Clock
from nerve.config.models import SenseConfig
from nerve.errors import NerveError, WireError
from nerve.supervisor.child import Child, ChildEvents, Exit
from nerve.supervisor.hub import Hub, Running
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.restarts import DEATHS_WINDOW_S, MAX_DEATHS, Restarts
from nerve.supervisor.states import IllegalMove, WorkerEvent, WorkerState, move
from nerve.wire.messages import (
    AcknowledgeMessage,
    BootFailedMessage,
    CauseSignal,
    ComputeMessage,
    FailedMessage,
    Fault,
    Message,
    NoSignalMessage,
    ReadyMessage,
    SignalMessage,
    StopMessage,
    Up,
    WorkerSpec,
)

BOOT_TIMEOUT_S = 120.0
"""From the fork to `ready`: imports and migrations of a whole group."""
KILL_TIMEOUT_S = 10.0
"""For a killed worker to be gone; one that waits for a dead disk may never be."""
STOP_MARGIN_S = 5.0
"""For a checkpoint and a clean exit, beyond the running compute's hard deadline."""


class Group:
    """The senses that share one worker."""

    def __init__(
        self,
        name: str,
        senses: dict[str, SenseConfig],
        hub: Hub,
        ledger: Ledger,
        *,
        spec_for: Callable[[int], WorkerSpec],
        clock: Clock,
        threads: Executor,
    ) -> None:
        self.name = name
        self.senses = senses
        self.state = WorkerState.STOPPED
        self.generation = 0
        self.stopped = asyncio.Event()
        self._hub = hub
        self._ledger = ledger
        self._spec_for = spec_for
        self._clock = clock
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._queue: deque[str] = deque()
        self._child: Child | None = None
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._running: Running | None = None
        self._suspect: Running | None = None
        self._restarts = Restarts()
        self._kill_timer: asyncio.TimerHandle | None = None
        self._ran_at_deaths: deque[str] = deque(maxlen=MAX_DEATHS)
        self._says_stopped = False
        self._was_ready = False

    # --- what the supervisor asks ---------------------------------------------------

    def start(self) -> None:
        """Start a worker, a new generation."""
        self._move(WorkerEvent.START)
        self.generation += 1
        self._says_stopped = self._was_ready = False
        self._timer = self._loop.call_later(BOOT_TIMEOUT_S, self._on_boot_timeout)
        self._starting = self._loop.create_task(self._launch(self.generation))

    def enqueue(self, sense: str) -> None:
        """Put a sense with a waiting trigger into the queue."""
        self._queue.append(sense)
        self.pump()

    def pump(self) -> None:
        """Dispatch the next compute, if the worker is free and there is one."""
        if (
            self.state is WorkerState.IDLE
            and self._queue
            and self._suspect is None  # its outcome is on the way, and there is room for one
            and self._child is not None
            and not self._child.is_gone
            and self._hub.may_dispatch()
        ):
            self._dispatch(self._queue.popleft())

    def acknowledge(self, sense: str, epoch: str, seq: int) -> None:
        """Tell the worker that a sense's signals up to `seq` are durable."""
        self._send(AcknowledgeMessage(sense=sense, epoch=epoch, seq=seq))

    def pause(self, *, paused: bool) -> None:
        """Stop, or go on, reading from the worker."""
        if self._child is not None:
            self._child.pause(paused=paused)

    def stop(self) -> None:
        """Let the running compute end, then the worker; `stopped` is set in bounded time."""
        self._queue.clear()
        was = self.state
        self._move(WorkerEvent.STOP)
        if self.state is WorkerState.STOPPED:
            self._cancel_timer()
            self._conclude()
        elif was is not WorkerState.STOPPING:
            self._rearm_timer(self._stop_allowance_s(), self.kill)
            self._send(StopMessage())

    def kill(self) -> None:
        """End the worker at once; one that cannot be killed is given up after a while."""
        if self._child is not None:
            self._child.kill()
            if self._kill_timer is None:
                self._kill_timer = self._loop.call_later(KILL_TIMEOUT_S, self._on_kill_timeout)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs, waits, or is being found out about."""
        return not (self._queue or self._running or self._suspect)

    # --- starting -------------------------------------------------------------------

    async def _launch(self, generation: int) -> None:
        events = ChildEvents(
            message=self._on_message,
            broken=self._on_broken,
            printed=self._on_printed,
            record=self._on_record,
            records_left_out=self._on_records_left_out,
            exited=self._on_exit,
        )
        try:
            spec = self._spec_for(generation)
            child = Child(spec, events, clock=self._clock, threads=self._threads)
            await child.start()
        except Exception as error:  # noqa: BLE001  no thread, no descriptor, no fork server, ...
            fault = {"message": f"the worker could not be started: {error!r}"}
            self._ledger.log(self.name, "worker.launch_failed", "error", fault)
            self._on_exit(Exit(None))
            return
        self._child = child
        if self.state is WorkerState.STOPPING:  # asked to stop while it was being forked
            self._rearm_timer(STOP_MARGIN_S, self.kill)
            self._send(StopMessage())

    def _on_boot_timeout(self) -> None:
        senses = ", ".join(self.senses)
        text = f"not ready within {BOOT_TIMEOUT_S:.0f} s, killed; it loads and migrates: {senses}"
        message = {"message": text, "hint": "`nerve check` tells which one hangs"}
        self._ledger.log(self.name, "worker.boot_timeout", "error", message)
        self._hub.failed(self.name)
        self.kill()

    # --- computes -------------------------------------------------------------------

    def _dispatch(self, sense: str) -> None:
        trigger_id, trigger = self._hub.start_trigger(sense)
        self._running = Running(sense, trigger_id, trigger)
        self._move(WorkerEvent.DISPATCH)
        config = self.senses[sense]
        allowance_s = (config.timeout_ms + config.grace_period_ms) / MS_PER_S
        self._running.hard_deadline = self._loop.call_later(
            allowance_s, self._on_hard_deadline, self._running
        )
        self._send(_compute_message(self._running))

    def _on_hard_deadline(self, running: Running) -> None:
        running.killed = True
        config = self.senses[running.sense]
        pid = self._child.pid if self._child else None
        limits = {"timeout_ms": config.timeout_ms, "grace_period_ms": config.grace_period_ms}
        message = f"{running.sense} did not end within timeout and grace_period; worker killed"
        payload = {"message": message, **limits, "pid": pid}
        ref = self._ledger.trigger_ref(running.trigger_id)
        self._ledger.log(running.sense, "worker.hard_timeout", "error", payload, ref=ref)
        self.kill()

    def _on_message(self, message: Up) -> None:
        if message.generation != self.generation:
            return  # a late word of an earlier worker changes nothing
        sense = getattr(message, "sense", None)
        if sense is not None and sense not in self.senses:
            self._on_broken(WireError(f"it speaks of {sense!r}, which is not in its group"))
            return
        try:
            self._take(message)
        except IllegalMove as error:  # a valid message at the wrong time, such as a second `ready`
            self._on_broken(error)

    def _take(self, message: Up) -> None:
        match message:
            case ReadyMessage():
                self._on_ready(message)
            case SignalMessage():
                self._ledger.take_signal(
                    message, self._end_if(message.sense, message.cause.trigger, message.cause.boot)
                )
                self.pump()
            case NoSignalMessage():
                if ended := self._end_if(message.sense, message.trigger_id, self._ledger.boot):
                    self._ledger.take_outcome(ended, "no_signal", message.at_us)
                self.pump()
            case FailedMessage():
                self._on_failed(message)
                self.pump()
            case BootFailedMessage():
                self._ledger.log(
                    self.name, "worker.boot_failed", "error", message.fault.model_dump()
                )
            case _:
                self._says_stopped = True

    def _on_failed(self, message: FailedMessage) -> None:
        ended = None
        if message.sense is not None and message.trigger_id is not None:
            ended = self._end_if(message.sense, message.trigger_id, self._ledger.boot)
        if ended is not None:
            outcome = "error" if message.outcome == "refused" else message.outcome
            self._ledger.take_outcome(ended, outcome, message.at_us, message.fault)
        else:
            self._ledger.log(self.name, "message.refused", "error", message.fault.model_dump())

    def _end_if(self, sense: str, trigger_id: int, boot: str) -> Running | None:
        """End the compute that this is the outcome of; None for a repeat or a stray."""
        for running in (self._running, self._suspect):
            if running and (running.sense, running.trigger_id, self._ledger.boot) == (
                sense,
                trigger_id,
                boot,
            ):
                self._end(running)
                return running
        return None

    def _end(self, running: Running) -> None:
        if running.hard_deadline is not None:
            running.hard_deadline.cancel()
        if running is self._suspect:
            self._suspect = None
        else:
            self._running = None
            self._move(WorkerEvent.OUTCOME)

    def _on_ready(self, ready: ReadyMessage) -> None:
        self._move(WorkerEvent.READY)
        self._was_ready = True
        if self.state is WorkerState.IDLE:
            self._cancel_timer()
        self._resolve_suspect(ready)
        self._hub.came_up(self.name, ready)
        self.pump()

    def _resolve_suspect(self, ready: ReadyMessage) -> None:
        suspect = self._suspect
        if suspect is None:
            return
        report = next((r for r in ready.senses if r.name == suspect.sense), None)
        key = (self._ledger.boot, suspect.trigger_id)
        committed = report is not None and (report.boot, report.trigger_id) == key
        if committed and report is not None and report.signalled:
            return  # the signal follows from the outbox, and is the outcome
        self._end(suspect)
        at_us = self._clock.now_us()
        if committed:
            self._ledger.take_outcome(suspect, "no_signal", at_us)
        else:
            self._give_bad_outcome(suspect, at_us)

    def _give_bad_outcome(self, running: Running, at_us: int) -> None:
        if running.killed:
            fault = Fault(kind="killed", message="did not end within timeout and grace_period")
            self._ledger.take_outcome(running, "killed", at_us, fault)
        else:
            fault = Fault(kind="crashed", message="the worker died while this ran")
            self._ledger.take_outcome(running, "crashed", at_us, fault)

    # --- what else a worker does ----------------------------------------------------

    def _on_broken(self, error: NerveError) -> None:
        self._ledger.log(self.name, "message.invalid", "error", {"message": str(error)})
        self.kill()

    def _on_printed(self, stream: str, lines: list[str], left_out: int) -> None:
        source = self._running.sense if self._running else self.name
        for line in lines:
            self._ledger.log(source, "output", "info", {"stream": stream, "text": line})
        if left_out:
            payload = {
                "stream": stream,
                "left_out": left_out,
                "message": f"{left_out} lines left out",
            }
            self._ledger.log(source, "output.left_out", "warning", payload)

    def _on_records_left_out(self, left_out: int) -> None:
        message = f"{left_out} log records left out"
        self._ledger.log(self.name, "log.left_out", "warning", {"message": message})

    def _on_record(self, record: logging.LogRecord) -> None:
        source = record.name.removeprefix("sense.")
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        trigger_id = getattr(record, "trigger_id", None)
        ref = self._ledger.trigger_ref(trigger_id) if isinstance(trigger_id, int) else None
        self._ledger.log(source, "log", level, {"message": record.getMessage()}, ref=ref)

    # --- the end of a worker --------------------------------------------------------

    def _on_kill_timeout(self) -> None:
        """Killed, and still there: in the kernel's hands, or the fork server is stopped."""
        if self._child is not None:
            message = f"process {self._child.pid} does not end although it was killed; given up"
            self._ledger.log(self.name, "worker.unkillable", "error", {"message": message})
            self._child.abandon()
            self._on_exit(Exit(None))

    def _on_exit(self, ended: Exit) -> None:
        pid = self._child.pid if self._child else None
        self._child = None
        self._cancel_timer()
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None
        self._set_suspect()
        was_asked = self.state is WorkerState.STOPPING
        self._move(WorkerEvent.EXIT)
        if was_asked:
            self._on_asked_exit(ended, pid)
        else:
            self._on_death(ended, pid)

    def _set_suspect(self) -> None:
        if self._running is not None:
            if self._running.hard_deadline is not None:
                self._running.hard_deadline.cancel()
            self._suspect, self._running = self._running, None

    def _on_asked_exit(self, ended: Exit, pid: int | None) -> None:
        clean = self._says_stopped and ended.code == 0
        payload = {"pid": pid, "how": str(ended), "clean": clean}
        self._ledger.log(self.name, "worker.stopped", "info" if clean else "warning", payload)
        self._conclude()

    def _on_death(self, ended: Exit, pid: int | None) -> None:
        running = self._suspect.sense if self._suspect else None
        doing = f" while {running} ran" if running else ""
        if not self._was_ready:
            doing = f" while it loaded and migrated {', '.join(self.senses)}"
        self._ran_at_deaths.append(running or "nothing")
        payload = {"pid": pid, "how": str(ended), "running": running}
        payload["message"] = f"the worker {ended}{doing}"
        self._ledger.log(self.name, "worker.died", "error", payload)
        if not self._was_ready:
            self._hub.failed(self.name)
        delay_s = self._restarts.delay_s(self._clock.monotonic(), was_ready=self._was_ready)
        if delay_s is None:
            self._give_up()
        else:
            self._timer = self._loop.call_later(delay_s, self.start)

    def _give_up(self) -> None:
        self._move(WorkerEvent.GIVE_UP)
        ran = ", ".join(dict.fromkeys(self._ran_at_deaths))
        message = f"{MAX_DEATHS} deaths in a row or within {DEATHS_WINDOW_S:.0f} s"
        payload = {
            "message": f"{message}; not started again; running at the deaths: {ran}",
            "hint": "mend the sense, restart nerve",
        }
        self._ledger.log(self.name, "group.fatal", "error", payload)
        self._conclude()
        self._hub.gave_up(self.name)

    def _conclude(self) -> None:
        """No worker follows: what is unclear now is a crash, and nobody waits any more."""
        if self._suspect is not None:
            suspect, self._suspect = self._suspect, None
            # Its cursors stay: should the database say at the next start that it was
            # committed, they move then, and otherwise its signals are offered again.
            suspect.trigger.positions.clear()
            self._give_bad_outcome(suspect, self._clock.now_us())
        self._queue.clear()
        self.stopped.set()

    # --- mechanics ------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        if self._child is None:
            return
        try:
            self._child.send(message)
        except WireError:
            # Dead, and its exit is on its way; or it reads nothing, and has to go.
            self.kill()

    def _move(self, event: WorkerEvent) -> None:
        self.state = move(self.state, event)

    def _stop_allowance_s(self) -> float:
        if self._running is None:
            return STOP_MARGIN_S
        config = self.senses[self._running.sense]
        return (config.timeout_ms + config.grace_period_ms) / MS_PER_S + STOP_MARGIN_S

    def _rearm_timer(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._loop.call_later(delay_s, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _compute_message(running: Running) -> ComputeMessage:
    trigger = running.trigger
    return ComputeMessage(
        sense=running.sense,
        trigger_id=running.trigger_id,
        kind=trigger.kind,
        signals=tuple(
            CauseSignal(id=s.id, sense=s.sense, at_us=s.at_us, payload=s.payload)
            for s in trigger.signals
        ),
        left_out=trigger.left_out,
        merged=trigger.merged,
        depth=trigger.depth,
        positions=trigger.positions,
    )
