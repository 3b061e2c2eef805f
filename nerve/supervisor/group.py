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
from collections import deque
from collections.abc import Callable, Collection

from nerve.clock import MS_PER_S, Clock
from nerve.config.models import SenseConfig
from nerve.errors import NerveError, WireError
from nerve.supervisor.child import ChildEvents, Threads
from nerve.supervisor.generation import Generation, GenerationEvents
from nerve.supervisor.hub import Hub, Running
from nerve.supervisor.inquest import Death, Exit, Killing, Reason, Verdict, is_overdue, judge
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.restarts import DEATHS_WINDOW_S, MAX_DEATHS, Restarts
from nerve.supervisor.states import IllegalMove, WorkerEvent, WorkerState, move
from nerve.supervisor.voice import Voice
from nerve.wire.messages import (
    MEMORY_FAULT,
    AcknowledgeMessage,
    BootFailedMessage,
    CauseSignal,
    ComputeMessage,
    FailedMessage,
    Fault,
    NoSignalMessage,
    ReadyMessage,
    SignalMessage,
    Up,
    WorkerSpec,
)

STOP_MARGIN_S = 5.0
"""For a checkpoint and a clean exit, beyond the running compute's hard deadline."""

PASSING_FAULTS = frozenset({"disk_full", "read_only", "forbidden", "locked", "io_error"})
"""Of a sense's database at the start of its worker; the others do not go away by themselves."""
RETRY_FIRST_S = 10.0
RETRY_MAX_S = 600.0
RETRY_WHEN_BUSY_S = 1.0
LATE_START_S = 0.002
"""A compute that the worker started so much later than it was sent is not worth another timer."""

SpecFor = Callable[[int, Collection[str]], WorkerSpec]


class Group:
    """The senses that share one worker."""

    def __init__(
        self,
        name: str,
        senses: dict[str, SenseConfig],
        hub: Hub,
        ledger: Ledger,
        *,
        spec_for: SpecFor,
        clock: Clock,
        threads: Threads,
    ) -> None:
        """`spec_for(generation, senses)` specifies a worker that loads these of the senses."""
        self.name = name
        self.senses = senses
        self.state = WorkerState.STOPPED
        self.generation = 0
        self.stopped = asyncio.Event()
        self._hub = hub
        self._ledger = ledger
        self._voice = Voice(name, ledger)
        self._spec_for = spec_for
        self._clock = clock
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._queue: deque[str] = deque()
        self._worker: Generation | None = None
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._running: Running | None = None
        self._suspect: Running | None = None
        self._restarts = Restarts()
        self._harmful = set(senses)
        self._begins_anew = False
        self._retry_s = RETRY_FIRST_S

    # --- what the supervisor asks ---------------------------------------------------

    def start(self) -> None:
        """Start a worker, a new generation; without the senses that are not to be loaded."""
        self._move(WorkerEvent.START)
        self._cancel_timer()
        self.generation += 1
        self._begins_anew = False
        self._starting = self._loop.create_task(self._launch(self.generation))

    def enqueue(self, sense: str) -> None:
        """Put a sense with a waiting trigger into the queue."""
        self._queue.append(sense)
        self.pump()

    def withdraw(self, sense: str) -> None:
        """Take a sense out of the queue: its trigger waits elsewhere now."""
        self._queue.remove(sense)

    def pump(self) -> None:
        """Dispatch the next compute, if the worker is free and there is one."""
        if (
            self.state is WorkerState.IDLE
            and self._queue
            and self._suspect is None  # its outcome is on the way, and there is room for one
            and self._worker is not None
            and self._worker.is_usable
            and self._hub.may_dispatch()
        ):
            if self._queue[0] in self._worker.spec.senses:
                self._dispatch(self._worker, self._queue.popleft())
            else:
                self._begin_anew()

    def acknowledge(self, sense: str, epoch: str, seq: int) -> None:
        """Tell the worker that a sense's signals up to `seq` are durable."""
        if self._worker is not None:
            self._worker.send(AcknowledgeMessage(sense=sense, epoch=epoch, seq=seq))

    def pause(self, *, paused: bool) -> None:
        """Stop, or go on, reading from the worker."""
        if self._worker is not None:
            self._worker.child.pause(paused=paused)

    def stop(self) -> None:
        """Let the running compute end, then the worker; `stopped` is set in bounded time."""
        self._queue.clear()
        self._begins_anew = False
        self._cancel_timer()
        was = self.state
        self._move(WorkerEvent.STOP)
        if self.state is WorkerState.STOPPED:
            self._conclude()
        elif was is not WorkerState.STOPPING and self._worker is not None:
            self._worker.ask_to_stop(self._stop_allowance_s())

    def kill(self, reason: Reason, told: str) -> None:
        """End the worker at once; `told` as in "the worker <told>"."""
        if self._worker is not None:
            self._worker.kill(Killing(reason, told))

    @property
    def worker_pid(self) -> int | None:
        """Process id of a worker that lives and is to go on living, else None."""
        return self._worker.child.pid if self._worker and self._worker.is_usable else None

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
            record=self._voice.record,
            records_left_out=self._voice.records_left_out,
            records_broken=self._voice.records_broken,
            exited=self._on_exit,
            left_behind=self._voice.left_behind,
        )
        events_of_generation = GenerationEvents(self._on_boot_timeout, self._on_unkillable)
        senses = {s for s in self.senses if s not in self._harmful or not self._hub.rests_s(s)}
        try:
            self._worker = Generation(
                self._spec_for(generation, senses),
                events,
                events_of_generation,
                clock=self._clock,
                threads=self._threads,
            )
            await self._worker.launch()
        except Exception as error:  # noqa: BLE001  no thread, no descriptor, no fork server, ...
            fault = {"message": f"the worker could not be started: {error!r}"}
            self._ledger.log(self.name, "worker.launch_failed", "error", fault)
            self._on_exit(Exit(None))
            return
        if self.state is WorkerState.STOPPING:  # asked to stop while it was being forked
            self._worker.ask_to_stop(STOP_MARGIN_S)

    def _on_boot_timeout(self, stack: str) -> None:
        line = self._worker.line() if self._worker else None
        doing = f", {line.phase.name.lower()} {line.sense}" if line and line.sense else ""
        payload = {
            "message": f"not ready in time, killed{doing}",
            "stack": stack,
            "hint": "`nerve check` tells which one hangs; a long migration can be made with "
            "`alembic -x sense=NAME upgrade head` while nerve does not run",
        }
        self._ledger.log(self.name, "worker.boot_timeout", "error", payload)
        self._hub.failed(self.name)

    def _try_again_later(self, ready: ReadyMessage) -> None:
        """A sense whose database is out of reach is brought up once that may be over.

        That costs its neighbours a restart of their worker, so the pauses grow.
        """
        faults = (report.fault for report in ready.senses if report.fault)
        if any(fault.kind in PASSING_FAULTS for fault in faults):
            self._after(self._retry_s, self._renew)
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        else:
            self._retry_s = RETRY_FIRST_S

    def _renew(self) -> None:
        """Replace the worker as soon as it is idle."""
        if self.state is WorkerState.IDLE and self._worker is not None and self._worker.is_usable:
            self._begin_anew()
        elif self.state is WorkerState.BUSY:
            self._after(RETRY_WHEN_BUSY_S, self._renew)

    def _begin_anew(self) -> None:
        """Replace the worker: by one with all senses, or with all its memory, and no crash."""
        assert self._worker is not None  # noqa: S101  it is IDLE
        self._begins_anew = True
        self._move(WorkerEvent.STOP)
        self._worker.ask_to_stop(STOP_MARGIN_S)

    # --- computes -------------------------------------------------------------------

    def _dispatch(self, worker: Generation, sense: str) -> None:
        trigger_id, trigger = self._hub.start_trigger(sense)
        self._running = Running(sense, trigger_id, trigger)
        self._move(WorkerEvent.DISPATCH)
        self._running.hard_deadline = self._loop.call_later(
            self._allowance_s(sense), self._on_hard_deadline, self._running
        )
        worker.send(_compute_message(self._running))

    def _on_hard_deadline(self, running: Running) -> None:
        late_s = self._began_late_s(running)
        if late_s > LATE_START_S and not running.is_extended:
            # Once: a sense that writes into the slate must not live for ever.
            running.is_extended = True
            running.hard_deadline = self._loop.call_later(late_s, self._on_hard_deadline, running)
            return
        if self._worker is not None:
            told = f"was killed: {running.sense} did not end within timeout and grace_period"
            self._worker.kill_with_stack(
                Killing(Reason.HARD_TIMEOUT, told),
                lambda stack: self._tell_hard_timeout(running, stack),
            )

    def _began_late_s(self, running: Running) -> float:
        """How much of its time a compute has left, counted from its start in the worker."""
        line = self._worker.line() if self._worker else None
        if line is None or line.trigger_id != running.trigger_id:
            return 0.0
        return line.since + self._allowance_s(running.sense) - self._clock.monotonic()

    def _tell_hard_timeout(self, running: Running, stack: str) -> None:
        config = self.senses[running.sense]
        payload = {
            "message": f"{running.sense} did not end within timeout and grace_period; killed",
            "timeout_ms": config.timeout_ms,
            "grace_period_ms": config.grace_period_ms,
            "stack": stack,
        }
        ref = self._ledger.trigger_ref(running.trigger_id)
        self._ledger.log(running.sense, "worker.hard_timeout", "error", payload, ref=ref)

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
                cause = message.cause
                ended = self._end_if(message.sense, cause.trigger, cause.boot)
                self._ledger.take_signal(message, ended)
            case NoSignalMessage():
                if ended := self._end_if(message.sense, message.trigger_id, self._ledger.boot):
                    self._ledger.take_outcome(ended, "no_signal", message.at_us)
            case FailedMessage():
                self._on_failed(message)
            case BootFailedMessage():
                self._ledger.log(
                    self.name, "worker.boot_failed", "error", message.fault.model_dump()
                )
            case _:
                if self._worker is not None:
                    self._worker.says_stopped = True
        self.pump()

    def _on_failed(self, message: FailedMessage) -> None:
        ended = None
        if message.sense is not None and message.trigger_id is not None:
            ended = self._end_if(message.sense, message.trigger_id, self._ledger.boot)
        if ended is not None:
            outcome = "error" if message.outcome == "refused" else message.outcome
            self._ledger.take_outcome(ended, outcome, message.at_us, message.fault)
            if message.fault.kind == MEMORY_FAULT and self.state is WorkerState.IDLE:
                self._begin_anew()  # or its neighbours would have to do with what it has left
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
            self._hub.absolve(running.sense)
            self._move(WorkerEvent.OUTCOME)

    def _on_ready(self, ready: ReadyMessage) -> None:
        self._move(WorkerEvent.READY)
        if self._worker is not None and self.state is WorkerState.IDLE:
            self._worker.became_ready()
            self._harmful -= self._worker.spec.senses.keys()
        self._resolve_suspect(ready)
        self._hub.came_up(self.name, ready)
        if self.state is WorkerState.IDLE:
            self._try_again_later(ready)

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
        fault = running.bad_end or Fault(kind="crashed", message="the worker died while this ran")
        self._ledger.take_outcome(running, fault.kind, at_us, fault)

    # --- what goes wrong ------------------------------------------------------------

    def _on_broken(self, error: NerveError) -> None:
        self._ledger.log(self.name, "message.invalid", "error", {"message": str(error)})
        self.kill(Reason.NONSENSE, "was killed, as it sent what is no message,")

    def _on_printed(self, stream: str, lines: list[str], left_out: int) -> None:
        sense = self._running.sense if self._running else None
        self._voice.printed(sense, stream, lines, left_out)

    def _on_unkillable(self, pid: int) -> None:
        message = f"process {pid} does not end although it was killed; given up"
        self._ledger.log(self.name, "worker.unkillable", "error", {"message": message})

    # --- the end of a worker --------------------------------------------------------

    def _on_exit(self, ended: Exit) -> None:
        worker, self._worker = self._worker, None
        death = self._death_of(worker, ended)
        verdict = judge(death)
        self._set_suspect(death, verdict)
        was_asked = self.state is WorkerState.STOPPING
        self._move(WorkerEvent.EXIT)
        if was_asked:
            self._on_asked_exit(worker, ended, verdict)
        else:
            self._on_death(worker, ended, verdict)

    def _death_of(self, worker: Generation | None, ended: Exit) -> Death:
        sense = self._running.sense if self._running else None
        if worker is None:
            return Death(exit=ended)
        return worker.death(ended, dispatched=sense, allowance_s=self._allowance_s(sense))

    def _set_suspect(self, death: Death, verdict: Verdict) -> None:
        if self._running is None:
            return
        if self._running.hard_deadline is not None:
            self._running.hard_deadline.cancel()
        was_killed = death.killing is not None or is_overdue(death)
        kind = "killed" if was_killed and verdict.guilty == self._running.sense else "crashed"
        self._running.bad_end = Fault(kind=kind, message=verdict.message)
        self._suspect, self._running = self._running, None

    def _on_asked_exit(self, worker: Generation | None, ended: Exit, verdict: Verdict) -> None:
        clean = worker is not None and worker.says_stopped and ended.code == 0
        payload = {"pid": worker.child.pid if worker else None, "how": str(ended), "clean": clean}
        if not clean:
            payload["message"] = verdict.message
        self._ledger.log(self.name, "worker.stopped", "info" if clean else "warning", payload)
        if self._begins_anew:
            self.start()
        else:
            self._conclude()

    def _on_death(self, worker: Generation | None, ended: Exit, verdict: Verdict) -> None:
        ref = self._ledger.trigger_ref(self._suspect.trigger_id) if self._suspect else None
        payload = {
            "message": verdict.message,
            "pid": worker.child.pid if worker else None,
            "how": str(ended),
            "running": verdict.running,
            "guilty": verdict.guilty,
        }
        if worker is not None and (stack := worker.last_words()):
            payload["stack"] = stack
        self._ledger.log(self.name, "worker.died", "error", payload, ref=ref)
        was_ready = worker is not None and worker.was_ready
        if not was_ready:
            self._hub.failed(self.name)
        if verdict.guilty is not None:
            self._hold_against(verdict.guilty, verdict, ref)
        if ended.bereft_of is not None:
            self._hub.lost_fork_server(ended.bereft_of, verdict.running)
        self._restart(verdict, was_ready=was_ready)

    def _hold_against(self, sense: str, verdict: Verdict, ref: str | None) -> None:
        if verdict.loading:
            self._harmful.add(sense)
        self._hub.strike(sense, loading=verdict.loading, reason=verdict.message, ref=ref)

    def _restart(self, verdict: Verdict, *, was_ready: bool) -> None:
        """At once where somebody answers for it, or nobody here; else by the rules of restarts."""
        delay_s: float | None = 0.0
        if verdict.counts:
            now = self._clock.monotonic()
            delay_s = self._restarts.delay_s(now, was_ready=was_ready)
        if delay_s is None:
            self._give_up(verdict)
        elif delay_s:
            self._after(delay_s, self.start)
        else:
            self.start()

    def _give_up(self, verdict: Verdict) -> None:
        self._move(WorkerEvent.GIVE_UP)
        message = f"{MAX_DEATHS} deaths in a row or within {DEATHS_WINDOW_S:.0f} s"
        payload = {
            "message": f"{message}; not started again; the last: {verdict.message}",
            "hint": "mend it, then start nerve again",
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

    def _after(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._loop.call_later(delay_s, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _move(self, event: WorkerEvent) -> None:
        self.state = move(self.state, event)

    def _allowance_s(self, sense: str | None) -> float:
        """Until the hard deadline, from the start of a compute; 0 without one."""
        if sense is None:
            return 0.0
        config = self.senses[sense]
        return (config.timeout_ms + config.grace_period_ms) / MS_PER_S

    def _stop_allowance_s(self) -> float:
        sense = self._running.sense if self._running else None
        return self._allowance_s(sense) + STOP_MARGIN_S


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
