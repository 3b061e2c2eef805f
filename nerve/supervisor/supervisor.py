"""The parent's events, and what follows from each.

Parent. One object that the loop calls. The way of one trigger:

    Triggers: a cause is accepted  ->  Group sends compute  ->  [worker]
    ->  take_signal or take_outcome: into this turn's batch, with the cursors it moves
    ->  _on_committed: acknowledge, show, and offer it to the senses that listen

Order of a start: all groups at once; nothing is dispatched before each has reported or failed
(`muster`), and then what nobody has answered yet is taken up (`_open_gate`).
Order of a stop: nothing new, running computes end or reach their limits, workers
checkpoint and exit, the journal is drained and closed.
"""

import asyncio
import gc
import os
import secrets
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nerve.clock import Clock
from nerve.config import Loaded
from nerve.errors import StateDeleted, StateError
from nerve.process.notify import Notifier
from nerve.reflex.causes import PendingTrigger
from nerve.reflex.flow import Decision
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.answers import Handlers
from nerve.supervisor.asking import Parent
from nerve.supervisor.bereaved import Bereaved
from nerve.supervisor.bounds import gate_patience_s, longest_stop_s
from nerve.supervisor.child import ENTRY, ENTRY_IN_RESERVE, Threads
from nerve.supervisor.closing import Closing
from nerve.supervisor.control import Control
from nerve.supervisor.herald import Condition, Herald
from nerve.supervisor.housekeeping import Housekeeping
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.listening import Listening
from nerve.supervisor.lookout import Lookout
from nerve.supervisor.meters import Meters
from nerve.supervisor.muster import Muster
from nerve.supervisor.operations import Operations
from nerve.supervisor.patrol import Patrol
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.recovery import recover
from nerve.supervisor.reloading import Reloading
from nerve.supervisor.reserve import Reserve
from nerve.supervisor.roster import Roster
from nerve.supervisor.states import WorkerState
from nerve.supervisor.status import Status
from nerve.supervisor.stopping import Stopping
from nerve.supervisor.switching import Switching, warn_of_workflows
from nerve.supervisor.triggers import Triggers
from nerve.supervisor.warden import Warden
from nerve.version import VERSION
from nerve.wire.messages import PlacedMessage, ReadyMessage

STARTER_THREADS = 4
"""Workers started at the same time, so that many groups do not fork all at once."""
ENDER_THREADS = 4
"""Workers killed at the same time."""
ONCE_PATIENCE_S = 10.0
"""With `once`, a sense that is to rest for longer is not waited for."""
REPLENISH_AFTER_S = 0.2
"""After a worker is ready, until another one is made for the reserve."""

Observe = Callable[[int | None, SignalEntry | LogEntry], None]


class Supervisor:
    """Runs one configuration until it is asked to stop."""

    def __init__(
        self,
        loaded: Loaded,
        state: StateDir,
        journal: Journal,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        observe: Observe,
        once: bool = False,
    ) -> None:
        """Wire everything; inside a running event loop.

        Workers get from `environ` the variables that their senses ask for.
        `observe` is called for every entry once it is durable; and with the id None for
        what cannot be recorded because the journal itself is in trouble.
        """
        self._state = state
        self._journal = journal
        self._clock = clock
        self._observe = observe
        self._once = once
        self._threads = Threads(
            starting=ThreadPoolExecutor(STARTER_THREADS, thread_name_prefix="starter"),
            ending=ThreadPoolExecutor(ENDER_THREADS, thread_name_prefix="ender"),
            sweeping=ThreadPoolExecutor(1, thread_name_prefix="sweeper"),
            reserve=Reserve(ENTRY, ENTRY_IN_RESERVE),
        )
        self._recorder = Recorder(
            journal,
            asyncio.get_running_loop(),
            committed=self._on_committed,
            troubled=self._on_trouble,
            recovered=self._on_recovery,
            restored=self._on_restored,
            filled=lambda: self._pause(paused=True),
        )
        self.ledger = Ledger(
            self._recorder,
            loaded.redactor,
            boot=secrets.token_hex(6),
            clock=clock,
            ended=self._on_ended,
        )
        self._roster = Roster(
            loaded,
            state,
            journal,
            self,
            self.ledger,
            clock=clock,
            environ=environ,
            threads=self._threads,
        )
        self._groups = self._roster.groups
        self._stopping = Stopping(
            self._groups,
            self.ledger,
            clock=clock,
            begun=lambda: self.herald.stopping(longest_stop_s(self._switching.loaded.config)),
        )
        self.triggers = Triggers(
            loaded.config,
            clock=clock,
            recorder=self._recorder,
            enqueue=lambda sense: self._roster.of(sense).enqueue(sense),
            withdraw=lambda sense: self._roster.of(sense).withdraw(sense),
            log=self.ledger.log,
            call_later=asyncio.get_running_loop().call_later,
        )
        self._warden = Warden(self._recorder, self.ledger, clock=clock, rest=self._let_rest)
        self._housekeeping = Housekeeping(loaded, state, self._recorder, self.ledger, clock=clock)
        self.status = Status(
            self.ledger.boot,
            clock=clock,
            loaded=loaded,
            groups=self._groups,
            triggers=self.triggers,
            is_ready=lambda: self._muster.is_complete,
            trouble=lambda: self._recorder.trouble,
            needs_restart=lambda: self.reloading.left,
        )
        self._patrol = Patrol(self._groups, self._roster.limits_of, clock=clock)
        self.meters = Meters(clock, self._groups, self.ledger.boot)
        self._listening = Listening(
            loaded.config,
            state.journal_path,
            clock=clock,
            triggers=self.triggers,
            recorder=self._recorder,
            ledger=self.ledger,
        )
        self._muster = Muster(
            self._groups,
            self.triggers,
            self._listening,
            self._recorder,
            self.ledger,
            clock=clock,
            newest_id=lambda: journal.newest_id,
            is_stopping=lambda: self._stopping.is_asked,
            opened=self._open_gate,
        )
        parent = self._parent()
        self._operations = Operations(parent, self._housekeeping, request_stop=self.request_stop)
        self._switching = Switching(
            loaded,
            state,
            parent,
            self._roster,
            self._listening,
            self._housekeeping,
            self.status,
            self.meters,
            self._operations.pauses,
        )
        self.reloading = Reloading(parent, self._switching, environ, once=once)
        self._control = Control(
            state.socket_path,
            self._handlers(),
            log=self.ledger.log,
            clock=clock,
            newest_id=journal.newest_id,
        )
        self._lookout = Lookout(
            state, self.ledger, clock=clock, lose=self._lose_state, look=self._control.look
        )
        self._bereaved = Bereaved(self._groups, self.ledger, self._warden, clock=clock)
        self._last_seen_us: int | None = None
        self._stored_cursors: dict[tuple[str, str], int] = {}
        self._trigger_id = 0
        self._is_paused = False
        self.herald = Herald(
            clock=clock,
            condition=self._condition,
            recording_since=lambda: self._recorder.busy_since,
        )
        self.reloading.on_change = self.herald.reload

    # --- start and stop -------------------------------------------------------------

    async def run(self, notifier: Notifier | None = None) -> None:
        """Start, run until `request_stop`, stop; returns when nothing is left running.

        `notifier` leads to the service manager, where there is one.
        """
        self.herald.begin(notifier or Notifier())
        self._log_start()
        self._control.begin()
        for group in self._groups.values():
            group.start()
        self._patrol.begin()
        self._muster.begin(gate_patience_s(self._switching.loaded.config))
        self._lookout.begin()
        await self._stopping.asked()
        self._muster.end()
        self._lookout.end()
        await self._stop()

    def request_stop(
        self, reason: str, *, at_once: bool = False, by: Mapping[str, Any] | None = None
    ) -> None:
        """Stop in an orderly way; a second time, at once. `by` is who asked, where it is known."""
        self._stopping.request(reason, at_once=at_once, by=by)

    async def _stop(self) -> None:
        self.reloading.end()
        self.triggers.end()
        self._patrol.end()
        for group in self._groups.values():
            group.stop()
        self._housekeeping.end()
        # Each group sets `stopped` within its own allowance, by killing if need be.
        await asyncio.gather(*(group.stopped.wait() for group in self._groups.values()))
        payload = {"signals": self.ledger.tally.signals, "failures": self.ledger.tally.failures}
        self.ledger.log("nerve", "nerve.stopped", "info", payload)
        closing = Closing(
            self._state,
            self._journal,
            self._recorder,
            self.ledger,
            self._control,
            self._housekeeping,
            self._lookout,
            self._threads,
            self._clock,
        )
        await closing.run()
        self.herald.end()

    def _log_start(self) -> None:
        now_us, pid = self._clock.now_us(), os.getpid()
        installation = self._journal.installation(secrets.token_hex(16))
        self._last_seen_us = self._journal.last_seen_us()
        self._stored_cursors = self._journal.cursors()
        self._operations.pauses.restore(self._journal.pauses())
        crashes = self._journal.begin_boot(self.ledger.boot, pid=pid, version=VERSION, at_us=now_us)
        started = {
            "boot": self.ledger.boot,
            "pid": pid,
            "version": VERSION,
            "installation": installation,
            "config": str(self._switching.loaded.path),
            "senses": len(self._switching.loaded.config.senses),
            "groups": len(self._groups),
        }
        self.ledger.log("nerve", "nerve.started", "info", started)
        recover(
            self._state,
            self._journal,
            self.ledger,
            self._warden,
            crashes,
            self._switching.loaded.config.senses,
        )
        warn_of_workflows(self.ledger, self._switching.loaded.config)

    def _parent(self) -> Parent:
        return Parent(
            config=lambda: self._switching.loaded.config,
            groups=self._groups,
            triggers=self.triggers,
            recorder=self._recorder,
            ledger=self.ledger,
            warden=self._warden,
            clock=self._clock,
            positions=self._listening.positions,
            take_up=self._take_up_live,
            newest_id=lambda: self._journal.newest_id,
            is_ready=lambda: self._muster.is_complete,
            is_reloading=lambda: self.reloading.is_under_way,
            is_stopping=lambda: self._stopping.is_asked,
            call_later=asyncio.get_running_loop().call_later,
        )

    def _handlers(self) -> Handlers:
        """Return what answers which request at the control socket."""
        handlers: Handlers = {"measures": self.meters.answer, "reload": self.reloading.request}
        return {**self._operations.handlers(), **handlers, "status": self.status.handle}

    def _open_gate(self) -> None:
        """Every group has reported: take up what nobody answered yet, and begin to tick."""
        self._listening.take_up(self._switching.loaded.config.senses)
        if self._once:
            self.triggers.begin_once()
            self._stop_if_done()
        else:
            positions = self._listening.positions.of_timers(self._stored_cursors)
            self.triggers.begin(positions, self._last_seen_us)
            self._housekeeping.begin()
            # What is there now stays: a collector that walked through all of it, 0.1 s with ten
            # thousand senses, would make every tick of that time late.
            gc.freeze()
        for group in self._groups.values():  # a trigger by hand may wait in any of them
            group.pump()
        self.herald.ready()
        self.reloading.go_on()

    def _condition(self) -> Condition:
        """How nerve is, in few words."""
        groups = {name: group.state for name, group in self._groups.items()}
        ailing = {*self.triggers.unavailable, *self._warden.quarantined()}
        senses = len(self._switching.loaded.config.senses)
        return Condition(senses, groups, self._recorder.trouble, ailing)

    def _take_up_live(self, targets: AbstractSet[str], source: str) -> None:
        if self._muster.is_complete:  # else the gate does it
            self._listening.take_up(targets, source, ticks=not source)

    def _on_ended(self, sense: str, again: PendingTrigger | None) -> None:
        self.meters.took(sense, self.triggers.finish(sense, again))
        if self._once:
            asyncio.get_running_loop().call_soon(self._stop_if_done)

    def _stop_if_done(self) -> None:
        """With `once`: stop when nothing runs and nothing is left to be answered."""
        if not self._once or not self._muster.is_complete or self._recorder.has_entries:
            return
        groups = (g for g in self._groups.values() if g.state is not WorkerState.FATAL)
        is_quiet = self.triggers.are_quiet and all(group.is_quiet for group in groups)
        if is_quiet and not self._stopping.is_asked:
            self.request_stop("every sense has run once")

    # --- what groups ask and tell (Hub) ---------------------------------------------

    def may_dispatch(self) -> bool:
        """Whether anything may be started: not before the gate, at the stop, in trouble."""
        goes_on = self._muster.is_complete and not self._stopping.is_asked
        return goes_on and self._recorder.is_healthy

    def start_trigger(self, sense: str) -> tuple[int, PendingTrigger]:
        """Take what waits for a sense; it counts as started now. Returns its id as well."""
        self._trigger_id += 1
        self.ledger.tally.computes += 1
        trigger = self.triggers.take(sense)
        self.meters.late(sense, self.triggers.flow(sense).timing.late_s)
        if trigger.tickets:
            self._operations.by_hand.started(trigger)
        return self._trigger_id, trigger

    def came_up(self, name: str, ready: ReadyMessage) -> None:
        """Record how the senses of a ready worker came up; the last group opens the gate."""
        for report in ready.senses:
            self.reloading.take_report(report)
        self._muster.came_up(name, ready)
        self._operations.replacing.came_up(name, ready)
        loop = asyncio.get_running_loop()
        if self._once:  # a sense that rests too long is not waited for, nor what it left unclear
            lost = frozenset(self.triggers.unavailable)
            loop.call_soon(self._groups[name].give_up_on, lost)
        else:
            loop.call_later(REPLENISH_AFTER_S, self._replenish)

    def _replenish(self) -> None:
        if not self._stopping.is_asked:
            self._threads.starting.submit(self._threads.reserve.replenish)

    def failed(self, name: str) -> None:
        """Nobody waits any longer for a group that did not come up at its first try."""
        self._muster.has_reported(name)
        self._operations.replacing.failed(name)

    def rests_s(self, sense: str) -> float:
        """For how many seconds more a sense is to be left alone; 0 when it may run."""
        return self._warden.rests_s(sense)

    def defer(self, sense: str) -> None:
        """Take back a trigger whose sense rests."""
        self._warden.defer(sense)

    def placed(self, message: PlacedMessage) -> None:
        """A worker has put back a position, or says why not."""
        self._operations.repositioning.placed(message)

    def strike(self, sense: str, *, loading: bool, reason: str, ref: str | None) -> None:
        """A worker has died over this sense; it rests before it is run or loaded again."""
        self._warden.strike(sense, loading=loading, reason=reason, ref=ref)

    def absolve(self, sense: str) -> None:
        """A sense has run to an end of its own."""
        self._warden.absolve(sense)

    def lost_fork_server(self, name: str, pid: int, running: str | None) -> None:
        """The worker of a group went with its fork server, while a sense ran or none did."""
        self._bereaved.note(name, pid, running)

    def _let_rest(self, sense: str, seconds: float, why: Decision) -> None:
        self.triggers.rest(sense, seconds, why)
        if self._once and seconds > ONCE_PATIENCE_S:
            self._muster.give_up(sense, "it rests for longer than `run --once` waits")

    def gave_up(self, name: str) -> None:
        """Nothing more comes from this group."""
        self._muster.lose(self._groups[name].senses, f"the group {name} was given up")
        self._muster.has_reported(name)
        self._operations.replacing.failed(name)
        self._stop_if_done()

    # --- what the recorder tells ----------------------------------------------------

    def _on_committed(self, batch: Batch, ids: list[int | None]) -> None:
        """What was recorded is durable: acknowledge it, show it, and let it be answered."""
        newest: dict[tuple[str, str], int] = {}
        for entry_id, entry in zip(ids, batch.entries, strict=True):
            if isinstance(entry, SignalEntry):
                newest[entry.sense, entry.epoch] = entry.seq
            if entry_id is not None:
                self._observe(entry_id, entry)
        for (sense, epoch), seq in newest.items():
            if self._roster.has(sense):  # else a reload has removed it
                self._roster.of(sense).acknowledge(sense, epoch, seq)
        for entry_id, entry in zip(ids, batch.entries, strict=True):
            if isinstance(entry, SignalEntry) and entry_id is not None:
                self._on_signal(entry_id, entry)
        self._control.moved(next((i for i in reversed(ids) if i is not None), 0))
        if self._is_paused:
            self._pause(paused=False)
        self._stop_if_done()

    def _on_signal(self, signal_id: int, entry: SignalEntry) -> None:
        self.ledger.tally.signals += 1
        self._operations.by_hand.signalled(signal_id, entry)
        if not self._muster.is_complete or self._stopping.is_asked:
            return  # the gate will take it up from the journal, or the next start will
        self._listening.hear(signal_id, entry)

    def _on_trouble(self, error: StateError) -> None:
        """The journal cannot be written: nothing new is started until it can."""
        payload = {"message": str(error), "fault": error.fault, "hint": error.hint}
        entry = self.ledger.entry("nerve", "storage.trouble", "error", payload)
        self._observe(None, entry)  # now, because recording it is what does not work
        self._recorder.log(entry)
        self._lookout.look_at_state()

    def _on_restored(self) -> None:
        message = "logs.db was deleted while nerve had it open; it was written back whole"
        hint = "to begin anew, stop nerve first"
        payload = {"message": message, "hint": hint}
        self.ledger.log("nerve", "database.restored", "warning", payload)

    def _lose_state(self, error: StateDeleted) -> None:
        """Stop: another nerve could start there, and what this one writes nobody would find."""
        payload = {"message": str(error), "hint": error.hint}
        self._observe(None, self.ledger.entry("nerve", "state.lost", "error", payload))
        self.request_stop("the state directory is lost")

    @property
    def lost(self) -> StateDeleted | None:
        """Why the state directory is not ours any more; None while it is."""
        return self._lookout.lost

    def _on_recovery(self) -> None:
        payload: dict[str, Any] = {"message": "the journal can be written again"}
        if self._recorder.left_out:
            payload["log_rows_left_out"] = self._recorder.left_out
            self._recorder.left_out = 0
        self.ledger.log("nerve", "storage.recovered", "info", payload)
        for group in self._groups.values():
            group.pump()

    def _pause(self, *, paused: bool) -> None:
        self._is_paused = paused
        for group in self._groups.values():
            group.pause(paused=paused)
