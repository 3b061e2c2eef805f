"""The parent's events and what follows from each.

Parent. One object that the loop calls and that calls the pure decisions of
`nerve.reflex`; it is the only place where a decision becomes an action. The way of
one trigger:

    _on_time: schedule says what is due  ->  _offer: the flow says run, wait or join
    -> Group sends compute  ->  [worker]  ->  take_signal: into this turn's batch
    -> _on_committed: acknowledge, and offer it to the senses that listen

Order of a start: all groups at once; nothing is dispatched before each has
reported or failed, so that peers exist when they are first read (`_open_gate`).
Order of a stop: nothing new, running computes end or reach their limits, workers
checkpoint and exit, the journal is drained and closed.
"""

import asyncio
import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from nerve.clock import Clock
from nerve.config import Loaded
from nerve.config.models import Config, SenseConfig, WorkflowReflex
from nerve.errors import NerveError
from nerve.reflex.causes import MAX_ATTEMPTS, Cause, CausingSignal, PendingTrigger
from nerve.reflex.flow import Decision, Flow, Phase
from nerve.reflex.listeners import Listeners, Pair, is_loop, pairs_of
from nerve.reflex.schedule import NEVER, Schedule, Tick, timers_of
from nerve.sense import TriggerKind
from nerve.store.journal import Batch, Journal, LogEntry, SignalEntry, newest_id, signals_after
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir
from nerve.supervisor.group import Group, Running, trigger_ref
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.states import WorkerState
from nerve.version import VERSION
from nerve.wire.messages import (
    MAX_CAUSES,
    Fault,
    ReadyMessage,
    SenseReport,
    SignalMessage,
    WorkerSpec,
)

DRAIN_TIMEOUT_S = 10.0
"""How long a stop waits for a journal that cannot be written."""
LATE_TICK_MS = 10_000
"""A tick later than this, by a suspend or a stalled machine, is worth a log row."""
STARTER_THREADS = 4
"""Workers started or killed at the same time."""


@dataclass(slots=True)
class Tally:
    """What a run has come to, for its last line and its exit code."""

    signals: int = 0
    computes: int = 0
    failures: int = 0
    unavailable: set[str] = field(default_factory=set)


class Supervisor:
    """Runs one configuration until it is asked to stop."""

    def __init__(
        self,
        loaded: Loaded,
        state: StateDir,
        journal: Journal,
        *,
        clock: Clock,
        observe: Callable[[int | None, SignalEntry | LogEntry], None],
        once: bool = False,
    ) -> None:
        """Wire everything; inside a running event loop.

        `observe` is called for every entry once it is durable; and with the id None for
        what cannot be recorded because the journal itself is in trouble.
        """
        self.boot = secrets.token_hex(6)
        self.tally = Tally()
        self._config: Config = loaded.config
        self._loaded = loaded
        self._state = state
        self._journal = journal
        self._clock = clock
        self._observe = observe
        self._once = once
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(STARTER_THREADS, thread_name_prefix="starter")
        self._recorder = Recorder(
            journal,
            self._loop,
            committed=self._on_committed,
            troubled=self._on_trouble,
            recovered=self._on_recovery,
        )
        self._flows = {
            name: Flow((sense.throttle_ms or 0) / 1_000)
            for name, sense in self._config.senses.items()
        }
        self._groups = {
            name: self._group(name, senses) for name, senses in self._by_group().items()
        }
        self._pairs = pairs_of(self._config)
        self._listeners = Listeners(self._pairs)
        self._stored_cursors = journal.cursors()
        self._cursors: dict[Pair, int] = {}
        self._schedule: Schedule | None = None
        self._deferred: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._unreported = set(self._groups)
        self._trigger_id = 0
        self._stopping = asyncio.Event()
        self._is_paused = False

    # --- start and stop -------------------------------------------------------------

    async def run(self) -> None:
        """Start, run until `request_stop`, stop; returns when nothing is left running."""
        self._log_start()
        for group in self._groups.values():
            group.start()
        if not self._groups:
            self._open_gate()
        await self._stopping.wait()
        await self._stop()

    def request_stop(self, reason: str) -> None:
        """Stop in an orderly way; a second time, at once."""
        if self._stopping.is_set():
            self.log("nerve", "nerve.hurried", "warning", {"reason": reason})
            for group in self._groups.values():
                group.kill()
            return
        self.log("nerve", "nerve.stopping", "info", {"reason": reason})
        self._stopping.set()

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for group in self._groups.values():
            group.stop()
        # Each group sets `stopped` within its own allowance, by killing if need be.
        await asyncio.gather(*(group.stopped.wait() for group in self._groups.values()))
        payload = {"signals": self.tally.signals, "failures": self.tally.failures}
        self.log("nerve", "nerve.stopped", "info", payload)
        drained = await self._recorder.drain(DRAIN_TIMEOUT_S)
        # Threads first: those of ended workers may still hand over log records.
        await self._loop.run_in_executor(None, self._threads.shutdown)
        drained = drained and await self._recorder.drain(DRAIN_TIMEOUT_S)
        await self._loop.run_in_executor(None, self._recorder.close)
        if drained:
            self._journal.end_boot(self.boot, how="stopped", at_us=self._clock.now_us())
            self._journal.close()

    def _log_start(self) -> None:
        now_us = self._clock.now_us()
        installation = self._journal.installation(secrets.token_hex(16))
        crashes = self._journal.begin_boot(
            self.boot, pid=os.getpid(), version=VERSION, at_us=now_us
        )
        for crash in crashes:
            message = f"the run of process {crash.pid} ended without a word"
            payload = {"boot": crash.boot, "pid": crash.pid, "message": message}
            self.log("nerve", "nerve.crashed", "warning", payload)
        payload = {
            "boot": self.boot,
            "pid": os.getpid(),
            "version": VERSION,
            "installation": installation,
            "config": str(self._loaded.path),
            "senses": len(self._config.senses),
            "groups": len(self._groups),
        }
        self.log("nerve", "nerve.started", "info", payload)
        for reflex in self._config.reflexes:
            if isinstance(reflex, WorkflowReflex):
                message = "workflows do not run in this version; this reflex does nothing"
                self.log(reflex.workflow, "workflow.not_run", "warning", {"message": message})

    def _by_group(self) -> dict[str, dict[str, SenseConfig]]:
        groups: dict[str, dict[str, SenseConfig]] = {}
        for name, sense in self._config.senses.items():
            groups.setdefault(sense.group, {})[name] = sense
        return groups

    def _group(self, name: str, senses: dict[str, SenseConfig]) -> Group:
        return Group(
            name,
            senses,
            self,
            spec_for=lambda generation: self._spec(name, senses, generation),
            clock=self._clock,
            threads=self._threads,
        )

    def _spec(self, name: str, senses: dict[str, SenseConfig], generation: int) -> WorkerSpec:
        asked = {variable for sense in senses.values() for variable in sense.env}
        return WorkerSpec(
            generation=generation,
            boot=self.boot,
            group=name,
            folder=str(self._loaded.path.parent),
            blobs=str(self._state.blobs),
            senses=senses,
            databases={other: str(self._state.sense_db(other)) for other in self._config.senses},
            env={variable: os.environ[variable] for variable in asked if variable in os.environ},
            masked=tuple(self._loaded.redactor.values),
        )

    # --- time -----------------------------------------------------------------------

    def _open_gate(self) -> None:
        """Every group has reported: begin to tick, and take up what nobody answered yet."""
        self._take_up_signals()
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        timers = timers_of(self._config)
        if self._once:
            for sense in dict.fromkeys(timer.sense for timer in timers):
                self._offer(sense, Cause(TriggerKind.MANUAL))
            self._stop_if_done()
            return
        self._schedule = Schedule(timers, now=now, now_us=now_us)
        self._on_time()

    def _on_time(self) -> None:
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        if self._schedule is not None:
            for tick in self._schedule.pop_due(now, now_us):
                self._on_tick(tick, now_us)
        for sense in [s for s in self._deferred if self._flows[s].wake(now)]:
            self._deferred.discard(sense)
            self._group_of(sense).enqueue(sense)
        self._set_timer()

    def _on_tick(self, tick: Tick, now_us: int) -> None:
        if tick.missed:
            self._recorder.count(tick.timer.sense, "missed", now_us, tick.missed)
        if tick.late_ms > LATE_TICK_MS:
            payload = {"late_ms": tick.late_ms, "missed": tick.missed}
            self.log(tick.timer.sense, "tick.late", "warning", payload)
        self._offer(tick.timer.sense, Cause(tick.timer.kind))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._schedule.next_due() if self._schedule is not None else NEVER
        due = min([due, *(self._flows[sense].due for sense in self._deferred)])
        if due != NEVER and not self._stopping.is_set():
            delay = max(0.0, due - self._clock.monotonic())
            self._timer = self._loop.call_later(delay, self._on_time)

    # --- triggers -------------------------------------------------------------------

    def _offer(self, sense: str, cause: Cause) -> None:
        """Let a cause in; every one that does not run at once leaves a count of why."""
        now_us = self._clock.now_us()
        if sense in self.tally.unavailable:
            self._recorder.count(sense, "unavailable", now_us)
        elif is_loop(cause):
            self._cut_loop(sense, cause, now_us)
        else:
            self._follow(sense, self._flows[sense].offer(cause, self._clock.monotonic()))

    def _follow(self, sense: str, decision: Decision) -> None:
        if decision is Decision.ACCEPTED:
            self._group_of(sense).enqueue(sense)
        elif decision is Decision.THROTTLED:
            self._deferred.add(sense)
            self._set_timer()
        if decision in {Decision.THROTTLED, Decision.COALESCED}:
            self._recorder.count(sense, decision, self._clock.now_us())

    def _cut_loop(self, sense: str, cause: Cause, now_us: int) -> None:
        self._recorder.count(sense, "loop", now_us)
        for source, signal_id in cause.positions.items():
            self._recorder.cursor(sense, source, signal_id)
        signal = cause.signals[-1]
        message = (
            f"a chain of {cause.depth} signals leads to {sense}, the last from {signal.sense}; cut"
        )
        payload = {"message": message, "depth": cause.depth, "signal": signal.id}
        self.log(sense, "reflex.loop", "error", payload)

    def _group_of(self, sense: str) -> Group:
        return self._groups[self._config.senses[sense].group]

    # --- what groups ask and tell (Hub) ---------------------------------------------

    def may_dispatch(self) -> bool:
        """Whether anything may be started: not before the gate, at the stop, in storage trouble."""
        return not (self._unreported or self._stopping.is_set()) and self._recorder.is_healthy

    def start_trigger(self, sense: str) -> tuple[int, PendingTrigger]:
        """Take what waits for a sense; it counts as started now."""
        self._trigger_id += 1
        self.tally.computes += 1
        return self._trigger_id, self._flows[sense].take(self._clock.monotonic())

    def came_up(self, group: Group, ready: ReadyMessage) -> None:
        """Record how the senses of a ready worker came up; the last group opens the gate."""
        for report in ready.senses:
            self._take_report(report)
        payload = {"generation": ready.generation, "senses": [r.name for r in ready.senses]}
        self.log(group.name, "worker.ready", "info", payload)
        if not ready.preloaded:
            message = "the fork server's preload did not work; workers start slowly"
            self.log(group.name, "worker.not_preloaded", "warning", {"message": message})
        self._has_reported(group)

    def gave_up(self, group: Group) -> None:
        """Nothing more comes from this group."""
        self.tally.unavailable.update(group.senses)
        self._has_reported(group)
        self._stop_if_done()

    def take_signal(self, message: SignalMessage, running: Running | None) -> None:
        """Record a signal; the outcome of `running`, or a repeat from an outbox."""
        entry = SignalEntry(
            sense=message.sense,
            epoch=message.epoch,
            seq=message.seq,
            at_us=message.at_us,
            payload=_to_json(message.payload),
            cause=_to_json(message.cause),
        )
        self._recorder.signal(entry)
        if running is not None:
            self._conclude(running, "signal", message.at_us)
        self._pause_if_full()

    def take_outcome(
        self, running: Running, outcome: str, at_us: int, fault: Fault | None = None
    ) -> None:
        """Record an outcome other than a signal."""
        if fault is not None:
            self.tally.failures += 1
            payload = {**fault.model_dump(exclude_defaults=True), "kind": fault.kind}
            ref = trigger_ref(self.boot, running.trigger_id)
            self.log(running.sense, f"compute.{outcome}", "error", payload, ref=ref)
        self._conclude(running, outcome, at_us)
        self._pause_if_full()

    def _conclude(self, running: Running, outcome: str, at_us: int) -> None:
        """With the outcome go the cursors, in one transaction, and then the next in line."""
        self._recorder.count(running.sense, outcome, at_us)
        again = running.trigger if self._deserves_another(running, outcome) else None
        if again is None:
            for source, signal_id in running.trigger.positions.items():
                self._recorder.cursor(running.sense, source, signal_id)
        decision = self._flows[running.sense].finish(self._clock.monotonic(), again)
        if decision is not None:
            self._follow(running.sense, decision)
        self._loop.call_soon(self._stop_if_done)

    def _deserves_another(self, running: Running, outcome: str) -> bool:
        """Whether signals are offered again, because the worker died over them, or was killed.

        A death is often nobody's fault here (memory was short, somebody killed it), and a
        reaction to a signal must not be lost by it. But not for ever: it may be the signals.
        """
        if outcome not in {"crashed", "killed"} or not running.trigger.positions:
            return False
        if running.trigger.attempts < MAX_ATTEMPTS:
            return True
        newest = max(running.trigger.positions.values())
        message = f"given up after {MAX_ATTEMPTS} attempts; goes on after signal {newest}"
        payload = {"message": message, "positions": running.trigger.positions}
        self.log(running.sense, "reflex.given_up", "error", payload)
        return False

    def log(
        self,
        source: str,
        type_: str,
        level: str,
        payload: dict[str, Any],
        *,
        ref: str | None = None,
    ) -> None:
        """Write a log row, with secrets masked."""
        text = _to_json(self._loaded.redactor.json(payload))
        self._recorder.log(LogEntry(self._clock.now_us(), source, type_, level, ref, text))

    def _take_report(self, report: SenseReport) -> None:
        if report.fault is not None:
            self.tally.unavailable.add(report.name)
            payload = report.fault.model_dump(exclude_defaults=True)
            self.log(report.name, "sense.unavailable", "error", payload)
            return
        self.tally.unavailable.discard(report.name)
        for revision in report.migrated:
            self.log(report.name, "migration.applied", "info", {"revision": revision})
        for source, signal_id in report.positions.items():
            self._cursors[report.name, source] = max(
                signal_id, self._cursors.get((report.name, source), 0)
            )

    def _has_reported(self, group: Group) -> None:
        if group.name in self._unreported:
            self._unreported.discard(group.name)
            if not self._unreported and not self._stopping.is_set():
                self._open_gate()

    # --- signals ----------------------------------------------------------------

    def _on_committed(self, batch: Batch, ids: list[int | None]) -> None:
        """What was recorded is durable: acknowledge it, show it, and let it be answered."""
        newest: dict[tuple[str, str], int] = {}
        for entry_id, entry in zip(ids, batch.entries, strict=True):
            if isinstance(entry, SignalEntry):
                newest[entry.sense, entry.epoch] = entry.seq
            if entry_id is not None:
                self._observe(entry_id, entry)
        for (sense, epoch), seq in newest.items():
            self._group_of(sense).acknowledge(sense, epoch, seq)
        for entry_id, entry in zip(ids, batch.entries, strict=True):
            if isinstance(entry, SignalEntry) and entry_id is not None:
                self._on_signal(entry_id, entry)
        self._resume_if_paused()
        self._stop_if_done()

    def _on_signal(self, signal_id: int, entry: SignalEntry) -> None:
        self.tally.signals += 1
        if self._unreported or self._stopping.is_set():
            return  # the gate will take it up from the journal, or the next start will
        signal = _causing(signal_id, entry.sense, entry.at_us, entry.payload, entry.cause)
        for target, cause in self._listeners.hear(signal):
            self._offer(target, cause)

    def _take_up_signals(self) -> None:
        """Continue each pair of target and source where the last run left it."""
        with closing(open_reader(self._state.journal_path)) as reader:
            newest = newest_id(reader)
            cursors = self._known_cursors(newest)
            self._listeners.start_at(cursors)
            for pair in self._pairs:
                self._take_up(reader, pair, cursors[pair])

    def _known_cursors(self, newest: int) -> dict[Pair, int]:
        """Join what the journal and the senses' databases know; a new pair starts now."""
        stored = self._stored_cursors
        cursors: dict[Pair, int] = {}
        for pair in self._pairs:
            # A journal that was deleted begins its ids anew; a position beyond them means nothing.
            told = self._cursors.get(pair, 0)
            known = max(stored.get(pair, 0), told if told <= newest else 0)
            cursors[pair] = known if pair in stored or known else newest
            if cursors[pair] != stored.get(pair):
                self._recorder.cursor(*pair, cursors[pair])
        return cursors

    def _take_up(self, reader: sqlite3.Connection, pair: Pair, cursor: int) -> None:
        target, source = pair
        rows, left_out = signals_after(reader, source, cursor, MAX_CAUSES)
        signals = tuple(s for s in (self._causing_row(source, row) for row in rows) if s)
        if not signals:
            return
        total = len(rows) + left_out
        message = f"{total} signals of {source} came while {target} could not answer"
        payload = {"message": message, "source": source, "signals": total, "after": cursor}
        self.log(target, "reflex.backlog", "info", payload)
        self._offer(target, self._listeners.backlog(pair, signals, left_out))

    def _causing_row(self, sense: str, row: tuple[int, int, str, str]) -> CausingSignal | None:
        signal_id, at_us, payload, cause = row
        try:
            return _causing(signal_id, sense, at_us, payload, cause)
        except (ValueError, TypeError, AttributeError):
            message = f"row {signal_id} of signals is damaged; it was skipped"
            self.log(sense, "row.invalid", "error", {"message": message, "id": signal_id})
            return None

    # --- trouble --------------------------------------------------------------------

    def _on_trouble(self, error: NerveError) -> None:
        """The journal cannot be written: nothing new is started until it can."""
        payload = _to_json({"message": str(error), "hint": error.hint})
        entry = LogEntry(self._clock.now_us(), "nerve", "storage.trouble", "error", None, payload)
        self._observe(None, entry)  # now, because recording it is what does not work
        self._recorder.log(entry)

    def _on_recovery(self) -> None:
        payload: dict[str, Any] = {"message": "the journal can be written again"}
        if self._recorder.left_out:
            payload["log_rows_left_out"] = self._recorder.left_out
            self._recorder.left_out = 0
        self.log("nerve", "storage.recovered", "info", payload)
        for group in self._groups.values():
            group.pump()

    def _pause_if_full(self) -> None:
        if self._recorder.is_full and not self._is_paused:
            self._is_paused = True
            for group in self._groups.values():
                group.pause(paused=True)

    def _resume_if_paused(self) -> None:
        if self._is_paused and not self._recorder.is_full:
            self._is_paused = False
            for group in self._groups.values():
                group.pause(paused=False)

    def _stop_if_done(self) -> None:
        """With `once`: stop when nothing runs and nothing is left to be answered."""
        if not self._once or self._unreported or self._recorder.has_entries:
            return
        quiet = all(flow.phase is Phase.QUIET for flow in self._flows.values())
        groups = (g for g in self._groups.values() if g.state is not WorkerState.FATAL)
        if quiet and all(group.is_quiet for group in groups) and not self._stopping.is_set():
            self.request_stop("every sense has run once")


def _causing(signal_id: int, sense: str, at_us: int, payload: str, cause: str) -> CausingSignal:
    depth = json.loads(cause).get("depth", 0)
    return CausingSignal(signal_id, sense, at_us, json.loads(payload), int(depth), len(payload))


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
