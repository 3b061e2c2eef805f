"""One group: its queue, what it runs, and the states and restarts of its worker.

Parent. The senses of a group run one after another, so a group sends its worker one
compute at a time and waits for the outcome; a sense stands in the queue at most
once (`nerve.reflex.flow`), so the queue is as long as the group at most.

A worker that dies is replaced. What it was running has its one outcome all the same
(`inflight`); who answers for the death is judged (`inquest`), and that sense rests (`warden`).

A reload replaces it in two steps: `retire`, after which the group stands still, and, when no worker
is left that has any of its senses open, `take_over` and `start`. What waits is kept meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable
from collections.abc import Set as AbstractSet

from nerve.clock import MS_PER_S, Clock
from nerve.config.models import SenseConfig
from nerve.errors import NerveError, WireError
from nerve.process.slate import Line, Phase
from nerve.reflex.causes import PendingTrigger
from nerve.supervisor.alarm import Alarm
from nerve.supervisor.child import ChildEvents, Threads
from nerve.supervisor.generation import Generation, GenerationEvents
from nerve.supervisor.hub import Hub, Running
from nerve.supervisor.inflight import InFlight
from nerve.supervisor.inquest import Death, Exit, Killing, Reason, Verdict, judge
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.restarts import DEATHS_WINDOW_S, MAX_DEATHS, Restarts
from nerve.supervisor.states import IllegalMove, WorkerEvent, WorkerState, move
from nerve.supervisor.voice import Voice
from nerve.wire.messages import (
    MEMORY_FAULT,
    Acknowledged,
    AcknowledgeMessage,
    BootFailedMessage,
    CauseSignal,
    ComputeMessage,
    FailedMessage,
    Fault,
    Given,
    NoSignalMessage,
    PlacedMessage,
    PlaceMessage,
    ReadyMessage,
    SignalMessage,
    Up,
    UpdateMessage,
    WorkerSpec,
)

STOP_MARGIN_S = 5.0
"""For a checkpoint and a clean exit, beyond the running compute's hard deadline."""

PASSING_FAULTS = frozenset({"disk_full", "read_only", "forbidden", "locked", "io_error"})
"""Of a sense's database at the start of its worker; the others do not go away by themselves."""
RETRY_FIRST_S = 10.0
RETRY_MAX_S = 600.0
RETRY_WHEN_BUSY_S = 1.0
ANSWER_PATIENCE_S = 1.0
"""At the hard deadline, for the answer of a compute that has ended as its worker reports."""
ACKNOWLEDGE_WITHIN_S = 0.1
"""How long an acknowledgement waits for a compute that it can go with."""
LATE_START_S = 0.002
"""A compute that the worker started so much later than it was sent is not worth another timer."""

SpecFor = Callable[[int, Collection[str]], WorkerSpec]
Settled = Callable[[ReadyMessage | None], None]


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
        self._early: list[str] = []
        self._worker: Generation | None = None
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = Alarm(self._on_alarm)
        self._acknowledged: Acknowledged = {}
        self._acknowledging: asyncio.TimerHandle | None = None
        self.trouble = ""
        """What the last worker died of that did."""
        self._in_flight = InFlight(ledger, clock=clock, ended=self._on_ended)
        self._restarts = Restarts()
        self._harmful = set(senses)
        self._then: Callable[[], None] | None = None
        self._settled: list[Settled] = []
        self._untold: UpdateMessage | None = None
        self._is_used_up = False
        self._retry_s = RETRY_FIRST_S

    # --- what the supervisor asks ---------------------------------------------------

    def start(self) -> None:
        """Start a worker, a new generation; without the senses that are not to be loaded."""
        self._move(WorkerEvent.START)
        self._cancel_timer()
        self.stopped.clear()
        self._is_used_up = False
        self._untold = None
        self.generation += 1
        self._starting = self._loop.create_task(self._launch(self.generation))

    def enqueue(self, sense: str) -> None:
        """Put a sense with a waiting trigger into the queue; one that is yet to come waits."""
        if sense not in self.senses:
            self._early.append(sense)
            return
        self._queue.append(sense)
        self.pump()

    def withdraw(self, sense: str) -> bool:
        """Take a sense out of the queue: its trigger waits elsewhere now. False: it is not there.

        Nobody waits any more once the group has stopped.
        """
        for queue in (self._queue, self._early):
            if sense in queue:
                queue.remove(sense)
                return True
        return False

    def pump(self) -> None:
        """Dispatch the next compute, if the worker is free and there is one."""
        if self.state is not WorkerState.IDLE or self._worker is None or not self._worker.is_usable:
            return
        if self._is_used_up:
            self._begin_anew()
        elif (
            self._queue
            and not self._in_flight.suspects  # their outcomes are on the way
            and self._hub.may_dispatch()
        ):
            self._dispatch_next(self._worker)

    def _dispatch_next(self, worker: Generation) -> None:
        sense = self._queue.popleft()
        if sense in worker.spec.senses:
            self._dispatch(worker, sense)
        elif self._hub.rests_s(sense) > 0:  # the wall clock, by which it rests, was set back
            self._hub.defer(sense)
        else:
            self._queue.appendleft(sense)
            self._begin_anew()

    def acknowledge(self, sense: str, epoch: str, seq: int) -> None:
        """Tell the worker soon that a sense's signals up to `seq` are durable."""
        self._acknowledged[sense] = (epoch, seq)
        if self._acknowledging is None:
            later = self._loop.call_later
            self._acknowledging = later(ACKNOWLEDGE_WITHIN_S, self._tell_acknowledged)

    def _tell_acknowledged(self) -> None:
        """Tell what no compute has told."""
        self._acknowledging = None
        if self._acknowledged and self._worker is not None:
            self._worker.send(AcknowledgeMessage(acknowledged=self._acknowledged))
        self._acknowledged = {}

    def pause(self, *, paused: bool) -> None:
        """Stop, or go on, reading from the worker."""
        if self._worker is not None:
            self._worker.child.pause(paused=paused)

    def tell(self, message: UpdateMessage) -> None:
        """Tell the worker what has changed around it; a later one reads it in its specification."""
        if self._worker is not None and self._worker.child.pid:
            self._worker.update(message)
        elif self._worker is not None:  # it is being forked, with a specification of before
            self._untold = message

    def stop(self) -> None:
        """Let the running compute end, then the worker; `stopped` is set in bounded time."""
        self._queue.clear()
        self._early.clear()
        self._end_worker(then=self._conclude)

    def retire(self, then: Callable[[], None]) -> None:
        """Let the running compute end, then the worker; call `then` once it is gone.

        In bounded time: whoever does not stop is killed, and one that only starts at once. The
        group stands still afterwards, what waits in it stays, and all that it had waited for
        itself (backoff, FATAL) is over.
        """
        self._restarts = Restarts()
        was_starting = self.state is WorkerState.STARTING
        self._end_worker(then=then)
        if was_starting:
            self.kill(Reason.REPLACED, "was killed, as it was to be replaced,")

    def when_settled(self, settled: Settled) -> None:
        """Have `settled` called at the next `ready`, or with None if no worker comes any more."""
        self._settled.append(settled)

    def take_over(
        self,
        senses: dict[str, SenseConfig],
        suspects: Iterable[Running] = (),
        proven: AbstractSet[str] = frozenset(),
    ) -> None:
        """Have these senses from the next start on; only while the group stands still.

        `suspects` are computes of theirs whose outcome the database of the sense will tell;
        `proven` those that a worker of another group has loaded without harm.
        """
        self._harmful |= senses.keys() - self.senses.keys() - proven
        self.senses = senses
        self._harmful &= senses.keys()
        self._in_flight.suspects.update({suspect.sense: suspect for suspect in suspects})
        self._queue.extend(sense for sense in self._early if sense in senses)
        self._early.clear()

    def give_away(self, sense: str) -> Running | None:
        """Take out the compute of a sense that has no outcome yet, for another group to find it."""
        return self._in_flight.suspects.pop(sense, None)

    def has_loaded(self, sense: str) -> bool:
        """Whether a worker of this group has loaded a sense and has lived on."""
        return sense not in self._harmful

    def give_up_on(self, senses: Container[str]) -> None:
        """These senses are loaded by nobody any more: what is unclear of them has ended badly."""
        self._in_flight.give_up(senses)

    def _end_worker(self, then: Callable[[], None]) -> None:
        self._cancel_timer()
        self._then = then
        was = self.state
        self._move(WorkerEvent.STOP)
        if self.state is WorkerState.STOPPED:
            self._go_on()
        elif was is not WorkerState.STOPPING and self._worker is not None:
            self._tell_acknowledged()
            self._worker.ask_to_stop(self._stop_allowance_s())

    def _go_on(self) -> None:
        """The worker has ended as it was asked to."""
        then, self._then = self._then, None
        if then is not None:
            then()

    def restart(self) -> None:
        """Replace the worker, and forget its deaths. `came_up`, `failed` or `gave_up` follows.

        One that computes may do so to the end, or to its hard deadline; every other one goes at
        once. Not after `stop`.
        """
        self._restarts = Restarts()
        self._retry_s = RETRY_FIRST_S
        match self.state:
            case WorkerState.IDLE | WorkerState.BUSY if self._worker is not None:
                self._begin_anew()
            case WorkerState.STARTING if self._worker is not None:
                self._then = self.start
                self._move(WorkerEvent.STOP)
                self.kill(Reason.REPLACED, "was killed, as it was to be replaced,")
            case WorkerState.BACKOFF | WorkerState.FATAL | WorkerState.STOPPED:
                self.stopped.clear()
                self.start()
            case _:
                pass  # another one is being started

    def place(self, message: PlaceMessage) -> bool:
        """Have the worker put back a position; `placed` of the hub follows, should it live so long.

        False where there is no worker that could.
        """
        worker, is_up = self._worker, self.state in {WorkerState.IDLE, WorkerState.BUSY}
        if worker is None or not is_up or message.sense not in worker.spec.senses:
            return False
        worker.send(message)
        return True

    def bring_in(self, sense: str) -> None:
        """Load a sense that rested when the worker was started, and so was left out."""
        if self._worker is not None and sense not in self._worker.spec.senses:
            self._renew()

    def kill(self, reason: Reason, told: str, *, is_old: bool = False) -> None:
        """End the worker at once; `told` as in "the worker <told>"."""
        if self._worker is not None:
            self._worker.kill(Killing(reason, told, is_old=is_old))

    @property
    def runs_since(self) -> float | None:
        """Since when a compute runs, on the monotonic clock; None when none does."""
        line = self._worker.line() if self._worker else None
        return line.since if line and line.phase is Phase.COMPUTING else None

    @property
    def doing(self) -> str:
        """Which sense computes, and how long it has and may, in words; empty when none does."""
        sense, since = self._in_flight.sense, self.runs_since
        if sense is None or since is None:
            return ""
        seconds = self._clock.monotonic() - since
        return f"{sense} has run for {seconds:.0f} s, and may for {self._allowance_s(sense):.0f} s"

    @property
    def worker_pid(self) -> int | None:
        """Process id of a worker that lives and is to go on living, else None."""
        return self._worker.child.pid if self._worker and self._worker.is_usable else None

    @property
    def running(self) -> str | None:
        """The sense that computes, as far as the parent knows; None when none does."""
        return self._in_flight.sense

    @property
    def queue(self) -> Collection[str]:
        """The senses that wait for their turn, the next one first."""
        return self._queue

    @property
    def starts_in_s(self) -> float | None:
        """For how many seconds more a group in backoff waits; None for one that is in none."""
        if self.state is not WorkerState.BACKOFF or self._timer is None:
            return None
        return max(0.0, self._timer.when() - self._loop.time())

    @property
    def deaths(self) -> int:
        """How many deaths of its workers count against it now."""
        return self._restarts.recent(self._clock.monotonic())

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs, waits, or is being found out about."""
        waits = self._queue or self._early
        return not (waits or self._in_flight.running or self._in_flight.suspects)

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
        if self._untold is not None:
            self._worker.update(self._untold)
            self._untold = None
        if self.state is WorkerState.STOPPING:  # asked to stop while it was being forked
            self._worker.ask_to_stop(STOP_MARGIN_S)

    def _on_boot_timeout(self, stack: str) -> None:
        self.trouble = "its worker was not ready in time, and was killed"
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
        elif self.state in {WorkerState.BUSY, WorkerState.STARTING}:
            self._after(RETRY_WHEN_BUSY_S, self._renew)

    def _begin_anew(self) -> None:
        """Replace the worker: by one with all senses, or with all its memory, and no crash."""
        assert self._worker is not None  # noqa: S101  it is IDLE or BUSY
        self._then = self.start
        self._move(WorkerEvent.STOP)
        self._tell_acknowledged()
        self._worker.ask_to_stop(self._stop_allowance_s())

    # --- computes -------------------------------------------------------------------

    def _dispatch(self, worker: Generation, sense: str) -> None:
        trigger_id, trigger = self._hub.start_trigger(sense)
        running = Running(sense, trigger_id, trigger)
        try:
            message = _compute_message(running, self._acknowledged)
        except ValueError as error:  # what no message takes must not look as if it ran
            fault = Fault(kind="trigger_invalid", message=f"it cannot be told to a worker: {error}")
            self._ledger.take_outcome(running, "error", self._clock.now_us(), fault)
            self._loop.call_soon(self.pump)
            return
        self._in_flight.running = running
        self._move(WorkerEvent.DISPATCH)
        self._alarm.set(self._allowance_s(sense))
        self._acknowledged = {}
        worker.send(message)

    def _on_alarm(self) -> None:
        if self._in_flight.running is not None:
            self._on_hard_deadline(self._in_flight.running)

    def _on_hard_deadline(self, running: Running) -> None:
        if self._worker is None or not self._worker.is_alive:
            return  # it has ended itself meanwhile, and its exit is on the way
        line = self._worker.line()
        left_s = 0.0 if running.is_extended else self._left_s(running, line)
        if left_s > LATE_START_S:
            # Once: a sense that writes into the slate must not live for ever.
            running.is_extended = True
            self._alarm.set(left_s)
            return
        runs = line is None or line.trigger_id == running.trigger_id
        told = f"was killed: {running.sense} did not end within timeout and grace_period"
        self._worker.kill_with_stack(
            Killing(Reason.HARD_TIMEOUT, told, running.sense if runs else None),
            lambda stack: self._tell_hard_timeout(running, stack),
        )

    def _left_s(self, running: Running, line: Line | None) -> float:
        """How much time a compute has left, as the worker reports it."""
        if line is None:
            return 0.0
        if line.trigger_id == running.trigger_id:
            return line.since + self._allowance_s(running.sense) - self._clock.monotonic()
        has_ended = line.phase is Phase.IDLE and line.sense == running.sense
        return ANSWER_PATIENCE_S if has_ended else 0.0

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
                self._in_flight.take_signal(message)
            case NoSignalMessage():
                self._in_flight.take_no_signal(message)
            case FailedMessage():
                self._on_failed(message)
            case PlacedMessage():
                self._hub.placed(message)
            case BootFailedMessage():
                self._ledger.log(
                    self.name, "worker.boot_failed", "error", message.fault.model_dump()
                )
            case _:
                if self._worker is not None:
                    self._worker.says_stopped = True
        self.pump()

    def _on_failed(self, message: FailedMessage) -> None:
        # Or its neighbours would have to do with the memory that it has left.
        self._is_used_up = self._is_used_up or message.fault.kind == MEMORY_FAULT
        if not self._in_flight.take_failed(message):
            self._ledger.log(self.name, "message.refused", "error", message.fault.model_dump())

    def _on_ended(self, sense: str) -> None:
        if self._worker is not None and self._worker.killing is None:
            self._hub.absolve(sense)
        self._move(WorkerEvent.OUTCOME)
        self.pump()  # before the outcome is recorded: the worker need not wait for that

    def _on_ready(self, ready: ReadyMessage) -> None:
        self._move(WorkerEvent.READY)
        if self._worker is not None and self.state is WorkerState.IDLE:
            self._worker.became_ready()
            self._restarts.came_up()
            self._harmful -= self._worker.spec.senses.keys()
        self._hub.came_up(self.name, ready)
        # Only then: what follows must not run again what one of the databases answers for.
        self._in_flight.resolve(ready)
        if self.state is not WorkerState.STOPPING:  # it may be BUSY by now
            self._settle(ready)
            self._try_again_later(ready)

    def _settle(self, ready: ReadyMessage | None) -> None:
        waiting, self._settled = self._settled, []
        for settled in waiting:
            settled(ready)

    # --- what goes wrong ------------------------------------------------------------

    def _on_broken(self, error: NerveError) -> None:
        self._ledger.log(self.name, "message.invalid", "error", {"message": str(error)})
        self.kill(Reason.NONSENSE, "was killed, as it sent what is no message,")

    def _on_printed(self, stream: str, lines: list[str], left_out: int) -> None:
        self._voice.printed(self._in_flight.sense, stream, lines, left_out)

    def _on_unkillable(self, pid: int) -> None:
        message = f"process {pid} does not end although it was killed; given up"
        self._ledger.log(self.name, "worker.unkillable", "error", {"message": message})

    # --- the end of a worker --------------------------------------------------------

    def _on_exit(self, ended: Exit) -> None:
        worker, self._worker = self._worker, None
        death = self._death_of(worker, ended)
        verdict = judge(death)
        suspect = self._in_flight.lose_worker(death, verdict)
        was_asked = self.state is WorkerState.STOPPING
        self._move(WorkerEvent.EXIT)
        if was_asked:
            self._on_asked_exit(worker, ended, verdict)
        else:
            self._on_death(worker, ended, verdict, suspect)

    def _death_of(self, worker: Generation | None, ended: Exit) -> Death:
        if worker is None:
            return Death(exit=ended)
        sense, running = self._in_flight.sense, self._in_flight.running
        return worker.death(
            ended,
            dispatched=sense,
            trigger_id=running.trigger_id if running else 0,
            allowance_s=self._allowance_s(sense),
        )

    def _on_asked_exit(self, worker: Generation | None, ended: Exit, verdict: Verdict) -> None:
        clean = worker is not None and worker.says_stopped and ended.code == 0
        payload = {"pid": worker.child.pid if worker else None, "how": str(ended), "clean": clean}
        if not clean:
            payload["message"] = verdict.message
        was_wanted = worker is not None and _is_replaced(worker.killing)
        level = "info" if clean or was_wanted else "warning"
        self._ledger.log(self.name, "worker.stopped", level, payload)
        if verdict.guilty is not None and self._then != self._conclude:
            # That it was to stop does not excuse what it ran.
            suspect = self._in_flight.suspects.get(verdict.guilty)
            ref = self._ledger.trigger_ref(suspect.trigger_id) if suspect else None
            self._hold_against(verdict.guilty, verdict, ref)
        self._go_on()

    def _on_death(
        self, worker: Generation | None, ended: Exit, verdict: Verdict, suspect: Running | None
    ) -> None:
        ref = self._ledger.trigger_ref(suspect.trigger_id) if suspect else None
        payload = {
            "message": verdict.message,
            "pid": worker.child.pid if worker else None,
            "how": str(ended),
            "running": verdict.running,
            "guilty": verdict.guilty,
        }
        if worker is not None and worker.killing is not None:
            payload |= {"hint": hint} if (hint := self._hint_for(worker.killing.reason)) else {}
        if worker is not None and (stack := worker.last_words()):
            payload["stack"] = stack
        self._ledger.log(self.name, "worker.died", "error", payload, ref=ref)
        self.trouble = verdict.message
        was_ready = worker is not None and worker.was_ready
        if not was_ready:
            self._hub.failed(self.name)
        if verdict.guilty is not None:
            self._hold_against(verdict.guilty, verdict, ref)
        if verdict.loading and verdict.running is not None:
            self._harmful.add(verdict.running)
        if ended.bereft_of is not None:
            self._hub.lost_fork_server(self.name, ended.bereft_of, verdict.running)
        self._restart(verdict, ended, was_ready=was_ready)

    def _hint_for(self, reason: Reason) -> str:
        if reason in {Reason.MEMORY, Reason.PROCESSES}:
            return f"mend the sense, or raise groups.{self.name}.{reason} in nerve.yaml"
        if reason is Reason.HARD_TIMEOUT:
            return "its stack is in worker.hard_timeout; mend it, or raise its timeout"
        return ""

    def _hold_against(self, sense: str, verdict: Verdict, ref: str | None) -> None:
        self._hub.strike(sense, loading=verdict.loading, reason=verdict.message, ref=ref)

    def _restart(self, verdict: Verdict, ended: Exit, *, was_ready: bool) -> None:
        """At once where somebody answers for it; else by the rules of restarts."""
        now = self._clock.monotonic()
        delay_s: float | None = 0.0
        if ended.bereft_of is not None:
            delay_s = self._restarts.bereft_s(now)
        elif verdict.counts:
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
            "hint": "mend what ends it, see worker.died of this group; "
            f"then `nerve restart {self.name}`",
        }
        self._ledger.log(self.name, "group.fatal", "error", payload)
        self._conclude()
        self._hub.gave_up(self.name)

    def _conclude(self) -> None:
        """No worker follows: what is unclear now is a crash, and nobody waits any more."""
        self._in_flight.give_up()
        self._queue.clear()
        self.stopped.set()
        self._settle(None)

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
        return self._allowance_s(self._in_flight.sense) + STOP_MARGIN_S


def _is_replaced(killing: Killing | None) -> bool:
    return killing is not None and killing.reason is Reason.REPLACED


def _compute_message(running: Running, acknowledged: Acknowledged) -> ComputeMessage:
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
        chain=trigger.chain,
        due_us=trigger.due_us,
        given=_given(trigger),
        positions=trigger.positions,
        acknowledged=acknowledged,
    )


def _given(trigger: PendingTrigger) -> Given | None:
    if not trigger.payloads:
        return None
    payloads = tuple(payload.value for payload in trigger.payloads)
    return Given(payloads=payloads, left_out=trigger.payloads_left_out)
