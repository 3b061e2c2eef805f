"""One group: its queue, what it runs, and the states of its worker.

Parent. The senses of a group run one after another, so a group sends its worker one
compute at a time and waits for the outcome; a sense stands in the queue at most
once (`nerve.reflex.flow`), so the queue is as long as the group at most.

A worker that dies is replaced. What it was running has its one outcome all the same
(`inflight`); what the death was, and who answers for it, `deaths` finds out; that a compute ends
in time, `deadline` sees to. The worker itself sits in the `seat`; here is what it is told, what
follows from its words, and when another one takes its place.

A reload replaces it in two steps: `retire`, after which the group stands still, and, when no worker
is left that has any of its senses open, `take_over` and `start`. What waits is kept meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable
from collections.abc import Set as AbstractSet

from nerve.clock import Clock
from nerve.config.models import SenseConfig
from nerve.errors import NerveError, WireError
from nerve.supervisor.child import ChildEvents, Threads
from nerve.supervisor.deadline import Deadline
from nerve.supervisor.deaths import Deaths, Loss
from nerve.supervisor.generation import Generation, GenerationEvents
from nerve.supervisor.hub import Hub, Running
from nerve.supervisor.inflight import InFlight
from nerve.supervisor.inquest import Exit, Killing, Reason, Verdict
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.renewal import RETRY_WHEN_BUSY_S, Renewal
from nerve.supervisor.seat import Seat, SpecFor
from nerve.supervisor.states import IllegalMove, WorkerEvent, WorkerState, move
from nerve.supervisor.telling import Acknowledgements, compute_message
from nerve.supervisor.voice import Voice
from nerve.wire.messages import (
    MEMORY_FAULT,
    Acknowledged,
    AcknowledgeMessage,
    BootFailedMessage,
    FailedMessage,
    Fault,
    NoSignalMessage,
    PlacedMessage,
    PlaceMessage,
    ReadyMessage,
    SignalMessage,
    Up,
    UpdateMessage,
)

STOP_MARGIN_S = 5.0
"""For a checkpoint and a clean exit, beyond the running compute's hard deadline."""

Settled = Callable[[ReadyMessage | None], None]


class Group:
    """The senses that share one worker.

    Attributes:
        senses: by name; set anew by a reload that changes them without another worker.
        state: where the worker stands.
        stopped: set once no worker follows any more.
        deaths: of its workers, as far as they count.
    """

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
        self.stopped = asyncio.Event()
        self._hub = hub
        self._ledger = ledger
        self._voice = Voice(name, ledger)
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue: deque[str] = deque()
        self._early: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._acknowledgements = Acknowledgements(self._acknowledge)
        self._in_flight = InFlight(ledger, clock=clock, ended=self._on_ended)
        self._deadline = Deadline(
            ledger,
            clock=clock,
            senses=lambda: self.senses,
            in_hand=lambda: (self._seat.worker, self._in_flight.running),
        )
        self.deaths = Deaths(
            name, hub, ledger, self._in_flight, clock=clock, allowance_s=self._deadline.allowance_s
        )
        self._seat = Seat(
            name,
            ledger,
            self._child_events(),
            GenerationEvents(
                lambda stack: self.deaths.tell_boot_timeout(self._seat.worker, stack),
                self.deaths.tell_unkillable,
            ),
            senses=self._loadable,
            spec_for=spec_for,
            launched=self._on_launched,
            clock=clock,
            threads=threads,
        )
        self._renewal = Renewal()
        self._harmful = set(senses)
        self._then: Callable[[], None] | None = None
        self._settled: list[Settled] = []
        self._is_used_up = False

    def _child_events(self) -> ChildEvents:
        return ChildEvents(
            message=self._on_message,
            broken=self._on_broken,
            printed=self._on_printed,
            record=self._voice.record,
            records_left_out=self._voice.records_left_out,
            records_broken=self._voice.records_broken,
            exited=self._on_exit,
            left_behind=self._voice.left_behind,
        )

    # --- what the supervisor asks ---------------------------------------------------

    def start(self) -> None:
        """Start a worker, a new generation; without the senses that are not to be loaded."""
        self._move(WorkerEvent.START)
        self._cancel_timer()
        self.stopped.clear()
        self._is_used_up = False
        self._seat.take()

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
        if not (self._queue or self._is_used_up) or self.state is not WorkerState.IDLE:
            return
        worker = self._seat.worker
        if worker is None or not worker.is_usable:
            return
        if self._is_used_up:
            self._begin_anew()
        elif self._in_flight.awaits_outcome(worker.spec.senses):
            return  # of what an earlier worker died over
        elif self._queue and self._hub.may_dispatch():
            self._dispatch_next(worker)

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
        self._acknowledgements.add(sense, epoch, seq)

    def _acknowledge(self, acknowledged: Acknowledged) -> None:
        if self._seat.worker is not None:
            self._seat.worker.send(AcknowledgeMessage(acknowledged=acknowledged))

    def pause(self, *, paused: bool) -> None:
        """Stop, or go on, reading from the worker."""
        if self._seat.worker is not None:
            self._seat.worker.child.pause(paused=paused)

    def tell(self, message: UpdateMessage) -> None:
        """Tell the worker what has changed around it; a later one reads it in its specification."""
        self._seat.tell(message)

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
        self.deaths.forget()
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
        """Nobody waits for these senses any more: what is unclear of them has ended badly.

        But for what the worker has said to be committed: the signal that tells it is on its way.
        """
        worker = self._seat.worker
        loaded = worker.spec.senses if worker is not None else {}
        is_told = self._in_flight.is_to_be_told
        suspects = self._in_flight.suspects
        self._in_flight.give_up([s for s in suspects if s in senses and not is_told(s, loaded)])

    def _end_worker(self, then: Callable[[], None]) -> None:
        self._cancel_timer()
        self._then = then
        was = self.state
        self._move(WorkerEvent.STOP)
        if self.state is WorkerState.STOPPED:
            self._go_on()
        elif was is not WorkerState.STOPPING and self._seat.worker is not None:
            self._acknowledgements.tell()
            self._seat.worker.ask_to_stop(self._stop_allowance_s())

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
        self.deaths.forget()
        self._renewal.forget()
        match self.state:
            case WorkerState.IDLE | WorkerState.BUSY if self._seat.worker is not None:
                self._begin_anew()
            case WorkerState.STARTING if self._seat.worker is not None:
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
        worker, is_up = self._seat.worker, self.state in {WorkerState.IDLE, WorkerState.BUSY}
        if worker is None or not is_up or message.sense not in worker.spec.senses:
            return False
        worker.send(message)
        return True

    def bring_in(self, sense: str) -> None:
        """Load a sense that rested when the worker was started, and so was left out."""
        if self._seat.worker is not None and sense not in self._seat.worker.spec.senses:
            self._renew()

    def kill(self, reason: Reason, told: str, *, is_old: bool = False) -> None:
        """End the worker at once; `told` as in "the worker <told>"."""
        if self._seat.worker is not None:
            self._seat.worker.kill(Killing(reason, told, is_old=is_old))

    @property
    def runs_since(self) -> float | None:
        """Since when a compute runs, on the monotonic clock; None when none does."""
        return self._seat.worker.computes_since if self._seat.worker else None

    @property
    def doing(self) -> str:
        """Which sense computes, and how long it has and may, in words; empty when none does."""
        return self._deadline.doing

    @property
    def generation(self) -> int:
        """How many workers it has had."""
        return self._seat.generation

    @property
    def worker_pid(self) -> int | None:
        """Process id of a worker that lives and is to go on living, else None."""
        worker = self._seat.usable
        return worker.child.pid if worker is not None else None

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
    def is_quiet(self) -> bool:
        """Whether nothing runs, waits, or is being found out about."""
        return not (self._queue or self._early or self._in_flight.is_unclear)

    # --- starting -------------------------------------------------------------------

    def _loadable(self) -> set[str]:
        """Which senses a worker may load now: not one that rests and may do harm at once."""
        return {s for s in self.senses if s not in self._harmful or not self._hub.rests_s(s)}

    def _on_launched(self, worker: Generation) -> None:
        if self.state is WorkerState.STOPPING:  # asked to stop while it was being forked
            worker.ask_to_stop(STOP_MARGIN_S)

    def _renew_later(self, ready: ReadyMessage) -> None:
        """Have senses brought up that this worker has not, once what kept them may be over."""
        loaded = self._seat.worker.spec.senses if self._seat.worker is not None else {}
        left_out = [sense for sense in self._in_flight.suspects if sense not in loaded]
        delay_s = self._renewal.delay_s(ready, [self._hub.rests_s(sense) for sense in left_out])
        if delay_s is not None:
            self._after(delay_s, self._renew)

    def _renew(self) -> None:
        """Replace the worker as soon as it is idle."""
        if self.state is WorkerState.IDLE and self._seat.usable is not None:
            self._begin_anew()
        elif self.state in {WorkerState.BUSY, WorkerState.STARTING}:
            self._after(RETRY_WHEN_BUSY_S, self._renew)

    def _begin_anew(self) -> None:
        """Replace the worker: by one with all senses, or with all its memory, and no crash."""
        assert self._seat.worker is not None  # noqa: S101  it is IDLE or BUSY
        self._then = self.start
        self._move(WorkerEvent.STOP)
        self._acknowledgements.tell()
        self._seat.worker.ask_to_stop(self._stop_allowance_s())

    # --- computes -------------------------------------------------------------------

    def _dispatch(self, worker: Generation, sense: str) -> None:
        trigger_id, trigger = self._hub.start_trigger(sense)
        running = Running(sense, trigger_id, trigger)
        try:
            message = compute_message(running, self._acknowledgements.untold)
        except ValueError as error:  # what no message takes must not look as if it ran
            fault = Fault(kind="trigger_invalid", message=f"it cannot be told to a worker: {error}")
            self._ledger.take_outcome(running, "error", self._clock.now_us(), fault)
            self._loop.call_soon(self.pump)
            return
        self._in_flight.running = running
        self._move(WorkerEvent.DISPATCH)
        self._deadline.set(sense)
        self._acknowledgements.told()
        worker.send(message)

    def _on_message(self, message: Up) -> None:
        if message.generation != self._seat.generation:
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
                if self._seat.worker is not None:
                    self._seat.worker.says_stopped = True
        self.pump()

    def _on_failed(self, message: FailedMessage) -> None:
        # Or its neighbours would have to do with the memory that it has left.
        self._is_used_up = self._is_used_up or message.fault.kind == MEMORY_FAULT
        if not self._in_flight.take_failed(message):
            self._ledger.log(self.name, "message.refused", "error", message.fault.model_dump())

    def _on_ended(self, sense: str) -> None:
        worker = self._seat.worker
        if worker is not None and worker.killing is None:
            self._hub.absolve(sense)
        self._move(WorkerEvent.OUTCOME)
        self.pump()  # before the outcome is recorded: the worker need not wait for that

    def _on_ready(self, ready: ReadyMessage) -> None:
        self._move(WorkerEvent.READY)
        worker = self._seat.worker
        if worker is not None and self.state is WorkerState.IDLE:
            worker.became_ready()
            self.deaths.came_up()
            self._harmful -= worker.spec.senses.keys()
        self._hub.came_up(self.name, ready)
        # Only then: what follows must not run again what one of the databases answers for.
        self._in_flight.resolve(ready)
        if self.state is not WorkerState.STOPPING:  # it may be BUSY by now
            self._settle(ready)
            self._renew_later(ready)

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

    # --- the end of a worker --------------------------------------------------------

    def _on_exit(self, ended: Exit) -> None:
        worker = self._seat.leave()
        loss = self.deaths.inquire(worker, ended)
        was_asked = self.state is WorkerState.STOPPING
        self._move(WorkerEvent.EXIT)
        if was_asked:
            self.deaths.tell_stop(loss, is_last=self._then == self._conclude)
            self._go_on()
        else:
            self._on_death(loss)

    def _on_death(self, loss: Loss) -> None:
        verdict = loss.verdict
        if verdict.loading and verdict.running is not None:
            self._harmful.add(verdict.running)
        delay_s = self.deaths.take(loss)
        if delay_s is None:
            self._give_up(verdict)
        elif delay_s:
            self._after(delay_s, self.start)
        else:
            self.start()

    def _give_up(self, verdict: Verdict) -> None:
        self._move(WorkerEvent.GIVE_UP)
        self.deaths.tell_given_up(verdict)
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

    def _stop_allowance_s(self) -> float:
        return self._deadline.allowance_s(self._in_flight.sense) + STOP_MARGIN_S
