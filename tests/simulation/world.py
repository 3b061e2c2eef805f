"""A nerve on a machine without time or processes.

Real are the triggers, the ledger, the listening and the journal. Made up are the machine, the
workers with their databases, and the turn of the loop in which the journal's thread commits. A crash takes all but the journal and the databases; it can fall between any two callbacks,
so before and after each commit of a worker, each word of it to the parent, and each commit there.
"""

import random
import shutil
from collections import Counter, deque
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from nerve.config.models import Config
from nerve.config.secrets import Redactor
from nerve.reflex.flow import Decision
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader
from nerve.supervisor.hub import Running
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.listening import Listening
from nerve.supervisor.recorder import COUNTS_EVERY_S
from nerve.supervisor.triggers import Triggers
from nerve.wire.messages import Fault, SenseReport, SignalMessage, StoredCause
from tests.simulation.machine import Machine

PIPE_S = 0.000_1
COMMIT_S = 0.002
RESTART_S = 0.02
REST_S = 1.0


@dataclass
class Doing:
    """What a compute will do: how long, and with which end.

    Of a worker that did not survive: `killed` where the compute had begun and was not committed,
    `crashed` where it had not begun.
    """

    seconds: float = 0.01
    outcome: str = "no_signal"
    payload: object = None


@dataclass
class Start:
    """A compute as the one who sees everything has seen it."""

    sense: str
    at_s: float
    wall_us: int
    trigger: object
    due_us: int | None
    merged: int
    signals: tuple
    left_out: int
    outcome: str = ""
    is_committed: bool = False


@dataclass
class Database:
    """Of one sense: what its worker has committed."""

    seq: int = 0
    outbox: list = field(default_factory=list)
    positions: dict = field(default_factory=dict)


class TurnRecorder:
    """In the place of `Recorder`: everything of one turn is one commit, and told after it."""

    def __init__(self, machine, journal, committed):
        self._machine, self._journal, self._committed = machine, journal, committed
        self._batch, self._flush, self._is_urgent = Batch(), None, False
        self.is_healthy = True

    def signal(self, entry):
        self._batch.entries.append(entry)
        self._soon()

    log = signal

    def cursor(self, target, source, signal_id):
        before = self._batch.cursors.get((target, source), 0)
        self._batch.cursors[target, source] = max(signal_id, before)
        self._soon()

    def count(self, sense, outcome, at_us, number=1, detail=""):
        self._batch.count(sense, outcome, at_us, number, detail)
        if self._flush is None:
            self._flush = self._machine.call_later(COUNTS_EVERY_S, self.commit)

    def unwritten_cursors(self):
        return dict(self._batch.cursors)

    def forget(self, target, source):
        self._batch.forgotten.add((target, source))
        self._soon()

    def fact(self, name, value):
        self._batch.meta[name] = value
        self._soon()

    def _soon(self):
        if not self._is_urgent:
            self._is_urgent = True
            if self._flush is not None:
                self._flush.cancel()
            self._flush = self._machine.call_later(0, self.commit)

    def commit(self):
        batch, self._batch = self._batch, Batch()
        self._flush, self._is_urgent = None, False
        ids = self._journal.commit(batch)
        self._machine.call_later(COMMIT_S, partial(self._committed, batch, ids))


class Parent:
    """One run of nerve, wired as `Supervisor` wires it."""

    def __init__(self, world):
        self.world, self.machine = world, world.machine
        self.boot = f"{len(world.boots):012x}"
        world.boots.append(self.boot)
        self.journal = Journal(world.path)
        self.journal._raw.execute("PRAGMA synchronous = OFF")  # no power fails here
        self.recorder = TurnRecorder(self.machine, self.journal, self._on_committed)
        self.ledger = Ledger(
            self.recorder, Redactor(), boot=self.boot, clock=self.machine, ended=self._on_ended
        )
        self.queues = {sense.group: deque() for sense in world.config.senses.values()}
        self.running = dict.fromkeys(self.queues)
        self.triggers = Triggers(
            world.config,
            clock=self.machine,
            recorder=self.recorder,
            enqueue=self._enqueue,
            withdraw=lambda sense: self.queues[self._group_of(sense)].remove(sense),
            log=self.ledger.log,
            call_later=self.machine.call_later,
        )
        self.triggers.paused |= dict.fromkeys(world.paused, "")
        self.listening = Listening(
            world.config,
            world.path,
            clock=self.machine,
            triggers=self.triggers,
            recorder=self.recorder,
            ledger=self.ledger,
        )
        self.is_stopping = False
        self.trigger_id = 0

    def start(self):
        last_seen_us, cursors = self.journal.last_seen_us(), self.journal.cursors()
        now_us = self.machine.now_us()
        self.journal.begin_boot(self.boot, pid=1, version="0", at_us=now_us)
        self.ledger.log("nerve", "nerve.started", "info", {})
        for sense in self.world.config.senses:
            self._take_report(sense)
        self.listening.take_up(self.world.config.senses)
        self.triggers.begin(self.listening.positions.of_timers(cursors), last_seen_us)

    def stop(self):
        """Let what runs end, commit, close."""
        self.is_stopping = True
        self.triggers.end()
        while any(self.running.values()):
            assert self.machine.step()
        self.ledger.log("nerve", "nerve.stopped", "info", {})
        self.recorder.commit()
        self.machine.lose_all()
        self.journal.end_boot(self.boot, how="stopped", at_us=self.machine.now_us())
        self.journal.close()

    def crash(self):
        self.machine.lose_all()
        self.journal._raw.close()

    def reload(self, config):
        """Go on with another configuration of the same senses; as `Switching.switch` does."""
        waiting = [sense for queue in self.queues.values() for sense in queue]
        self.world.config = Config(**config)
        groups = {sense.group for sense in self.world.config.senses.values()}
        self.queues = {group: deque() for group in groups}
        self.running = {group: self.running.get(group) for group in groups}
        for sense in waiting:
            self.queues[self._group_of(sense)].append(sense)
        self.triggers.adopt(self.world.config)
        self.listening.adopt(self.world.config, self.journal.newest_id)
        for group in groups:
            self._pump(group)

    def lose(self, sense):
        """A sense cannot be loaded any more."""
        self.triggers.unavailable[sense] = ""
        self.triggers.forget([sense])

    def regain(self, sense):
        self.triggers.unavailable.pop(sense, None)
        self._take_report(sense)
        self.listening.take_up({sense})

    def pause(self, sense):
        """While all goes on."""
        self.triggers.pause(sense, "")

    def resume(self, sense):
        self.triggers.paused.pop(sense, None)
        self.listening.take_up({sense})

    # --- what the supervisor does -----------------------------------------------------

    def _take_report(self, sense):
        database = self.world.databases[sense]
        report = SenseReport(name=sense, epoch="e", positions=database.positions)
        self.listening.positions.take_report(
            report, self.journal.newest_id, self.world.machine.now_us()
        )
        for message in database.outbox:
            if not self.world.is_reported(self.journal, message):
                self.ledger.take_signal(message, None)

    def _on_committed(self, batch, ids):
        for entry_id, entry in zip(ids, batch.entries, strict=True):
            if isinstance(entry, SignalEntry):
                outbox = self.world.databases[entry.sense].outbox
                outbox[:] = [message for message in outbox if message.seq > entry.seq]
                if entry_id is not None and not self.is_stopping:
                    self.listening.hear(entry_id, entry)
            elif isinstance(entry, LogEntry):
                assert entry.type != "reflex.backlog_unreadable", entry.payload
                self.world.logged.append(entry)

    def _on_ended(self, sense, again):
        self.triggers.finish(sense, again)

    # --- what a group and its worker do -----------------------------------------------

    def _group_of(self, sense):
        return self.world.config.senses[sense].group

    def _enqueue(self, sense):
        group = self._group_of(sense)
        assert sense not in self.queues[group], "a sense stands in the queue at most once"
        self.queues[group].append(sense)
        self._pump(group)

    def _pump(self, group):
        if self.running[group] or self.is_stopping or not self.queues[group]:
            return
        sense = self.queues[group].popleft()
        self.trigger_id += 1
        trigger = self.triggers.take(sense)
        running = Running(sense, self.trigger_id, trigger)
        self.running[group] = running
        start = self.world.saw_start(sense, trigger)
        doing = self.world.behave(sense, trigger)
        # The worker got its message now: what the trigger comes to cover later is not in it.
        ended = partial(self._end, running, start, doing, dict(trigger.positions))
        self.machine.call_later(doing.seconds, ended)

    def _end(self, running, start, doing, positions):
        if doing.outcome in ("signal", "no_signal"):
            self._commit(running, doing, positions)
            start.is_committed = True
        if doing.outcome == "killed":
            self.triggers.rest(running.sense, REST_S, Decision.RESTING)
            running.trigger.attempts += 1
        pause_s = RESTART_S if doing.outcome in ("killed", "crashed") else PIPE_S
        self.machine.call_later(pause_s, partial(self._tell, running, start, doing))

    def _commit(self, running, doing, positions):
        database = self.world.databases[running.sense]
        for source, position in positions.items():
            database.positions[source] = max(position, database.positions.get(source, 0))
        if doing.outcome == "signal":
            database.seq += 1
            database.outbox.append(self._message(running, database.seq, doing.payload))

    def _message(self, running, seq, payload):
        trigger = running.trigger
        cause = StoredCause(
            kind=trigger.kind,
            boot=self.boot,
            trigger=running.trigger_id,
            depth=len(trigger.chain),
            chain=trigger.chain,
        )
        return SignalMessage(
            generation=1,
            sense=running.sense,
            epoch="e",
            seq=seq,
            at_us=self.machine.now_us(),
            payload=payload,
            cause=cause,
        )

    def _tell(self, running, start, doing):
        group = self._group_of(running.sense)
        start.outcome, self.running[group] = doing.outcome, None
        if doing.outcome == "signal":
            self.ledger.take_signal(self.world.databases[running.sense].outbox[-1], running)
        else:
            fault = Fault(kind=doing.outcome, message="made up")
            told = None if doing.outcome == "no_signal" else fault
            self.ledger.take_outcome(running, doing.outcome, self.machine.now_us(), told)
        self._pump(group)


class World:
    """What lasts: a machine, a journal, databases, and one who has seen everything."""

    def __init__(self, folder, template, start_us, behaviour=None, *, seed=0, **config):
        folder.mkdir(parents=True)
        self.path = folder / "logs.db"
        shutil.copy(template, self.path)
        self.config = Config(**config)
        self.machine = Machine(start_us)
        self.databases = {sense: Database() for sense in self.config.senses}
        self.behaviour = behaviour or (lambda *_: Doing())
        self.random = random.Random(seed)
        self.paused = set()
        self.boots, self.starts, self.logged = [], [], []
        self.parent = None

    def start(self):
        self.parent = Parent(self)
        self.parent.start()
        return self.parent

    def stop(self):
        self.parent.stop()
        self.parent = None

    def crash(self):
        self.parent.crash()
        self.parent = None

    def restart(self, down_s, *, crash=False):
        self.crash() if crash else self.stop()
        self.machine.run(down_s)
        return self.start()

    def behave(self, sense, trigger):
        return self.behaviour(self.random, sense, trigger)

    def saw_start(self, sense, trigger):
        start = Start(
            sense,
            self.machine.monotonic(),
            self.machine.now_us(),
            trigger,
            trigger.due_us,
            trigger.merged,
            tuple(signal.id for signal in trigger.signals),
            trigger.left_out,
        )
        self.starts.append(start)
        return start

    def is_reported(self, journal, message):
        return journal.received().get(message.sense, {}).get(message.epoch, 0) >= message.seq

    def of(self, sense):
        return [start for start in self.starts if start.sense == sense]

    def query(self, sql, *arguments):
        with closing(open_reader(self.path)) as reader:
            return reader.execute(sql, arguments).fetchall()

    def counts(self, sense):
        """What `outcomes` says of a sense."""
        return Counter(
            dict(self.query("SELECT outcome, count FROM outcomes WHERE sense = ?", sense))
        )
