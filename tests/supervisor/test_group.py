import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from nerve.clock import SystemClock
from nerve.config.models import SenseConfig
from nerve.errors import WireError
from nerve.process.slate import Line, Phase
from nerve.reflex.causes import Cause, PendingTrigger
from nerve.sense import TriggerKind
from nerve.supervisor import group as group_module
from nerve.supervisor.child import ChildEvents, Threads
from nerve.supervisor.generation import Generation, GenerationEvents
from nerve.supervisor.group import Group
from nerve.supervisor.inquest import Exit, Reason
from nerve.supervisor.states import WorkerState
from nerve.wire.channel import ChannelClosed
from nerve.wire.messages import (
    AcknowledgeMessage,
    Fault,
    NoSignalMessage,
    ReadyMessage,
    SenseReport,
    SignalMessage,
    StopMessage,
    StoppedMessage,
    StoredCause,
    UpdateMessage,
    WorkerSpec,
)


class FakeHub:
    boot = "boot"

    def __init__(self):
        self.outcomes = []
        self.logged = []
        self.ready = []
        self.given_up = []
        self.strikes = []
        self.resting = {}

    def may_dispatch(self):
        return True

    def start_trigger(self, sense):
        return 1, PendingTrigger(Cause(TriggerKind.MANUAL))

    def came_up(self, name, ready):
        self.ready.append(ready.generation)

    def failed(self, name):
        self.logged.append("failed")

    def gave_up(self, name):
        self.given_up.append(name)

    def rests_s(self, sense):
        return self.resting.get(sense, 0)

    def defer(self, sense):
        self.logged.append(f"deferred {sense}")

    def strike(self, sense, *, loading, reason, ref):
        self.strikes.append((sense, loading))

    def absolve(self, sense):
        self.strikes.append((sense, None))

    def lost_fork_server(self, name, pid, running):
        self.logged.append(f"lost {pid} {running}")

    def take_signal(self, message, running):
        self.outcomes.append(("signal", running))

    def take_outcome(self, running, outcome, at_us, fault=None):
        self.outcomes.append((outcome, running.trigger_id))

    def trigger_ref(self, trigger_id):
        return f"trigger:{trigger_id}"

    def log(self, source, type_, level, payload, *, ref=None):
        self.logged.append(type_)


class FakeChild:
    """In the place of a process; `doing` is what stands on its slate."""

    pid = 4711
    slate = Path("/nowhere")
    has_slate = True
    is_alive = True

    def __init__(self):
        self.sent = []
        self.killed = 0
        self.is_dead = False
        self.is_gone = False
        self.doing = None

    def send(self, message):
        if self.is_dead:
            raise ChannelClosed("dead")
        self.sent.append(message)

    def kill(self):
        self.killed += 1

    def kill_with_stack(self, told):
        self.killed += 1
        told("a stack")

    def abandon(self):
        self.abandoned = True

    def mask(self, secrets):
        self.masked = secrets


def ready(generation, **more):
    report = SenseReport(name="disk", epoch="e", **more)
    return ReadyMessage(generation=generation, preloaded=True, senses=(report,))


async def die_in_compute(grouped, group):
    """The first worker comes up, is given a compute and dies; the next is on its way."""
    group._on_message(ready(1))
    group.enqueue("disk")
    group._on_exit(Exit(-9))
    await grouped.restarted()


def computing(trigger_id=1):
    return Line(Phase.COMPUTING, "disk", trigger_id, SystemClock().monotonic())


class Grouped:
    """A group with fakes on both sides, its worker started by hand."""

    def __init__(self, threads):
        self.hub = FakeHub()
        self.group = Group(
            "g",
            {"disk": SenseConfig()},
            self.hub,
            self.hub,
            spec_for=self._spec,
            clock=SystemClock(),
            threads=Threads(threads, threads, threads, None),
        )
        self.group._seat._launch = self._launch
        self.children = []

    def _spec(self, generation, senses):
        return WorkerSpec(
            generation=generation,
            boot="boot",
            group="g",
            folder="",
            blobs="",
            senses=dict.fromkeys(senses, SenseConfig()),
            databases={},
        )

    async def _launch(self):
        events = ChildEvents(*[self.group._on_exit] * len(fields(ChildEvents)))
        worker = Generation(
            self._spec(self.group.generation, self.group.senses),
            events,
            GenerationEvents(
                lambda stack: self.group.deaths.tell_boot_timeout(worker, stack),
                self.group.deaths.tell_unkillable,
            ),
            clock=SystemClock(),
            threads=None,
        )
        self.children.append(FakeChild())
        worker.child = self.children[-1]
        worker.line = lambda: worker.child.doing
        self.group._seat.worker = worker

    async def start(self):
        self.group.start()
        await self.group._seat._launching

    async def restarted(self):
        while self.group.state is not WorkerState.STARTING:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0)
        await self.group._seat._launching


@pytest.fixture
def play():
    def run(scene):
        async def whole():
            with ThreadPoolExecutor(1) as threads:
                grouped = Grouped(threads)
                await grouped.start()
                await scene(grouped, grouped.group, grouped.hub)
                if grouped.group._timer:
                    grouped.group._timer.cancel()

        asyncio.run(whole())

    return run


def test_a_late_message_of_an_earlier_worker_is_ignored(play):
    """MSG-4"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group._on_exit(Exit(-9))
        await grouped.restarted()
        group._on_message(ready(1))
        assert (group.state, hub.ready) == (WorkerState.STARTING, [1])
        group._on_message(ready(2))
        group.enqueue("disk")
        group._on_message(
            NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1)
        )
        assert (group.state, hub.outcomes) == (WorkerState.BUSY, [])

    play(scene)


def test_a_send_to_a_worker_that_has_just_died_is_no_exception_of_the_parent(play):
    """MSG-5"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        grouped.children[-1].is_dead = True
        group.enqueue("disk")
        group.acknowledge("disk", "e", 1)
        assert group.state is WorkerState.BUSY
        group._on_exit(Exit(-9))
        await grouped.restarted()
        group._on_message(ready(2))
        assert hub.outcomes == [("crashed", 1)]

    play(scene)


def test_acknowledgements_go_with_the_next_compute_and_by_themselves_where_none_follows(play):
    """MSG-1: a message that tells nothing else wakes a worker for nothing."""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        sent = grouped.children[-1].sent
        for seq in (1, 2):
            group.acknowledge("disk", "e", seq)
        group.enqueue("disk")
        (compute,) = sent
        assert compute.acknowledged == {"disk": ("e", 2)}
        group._on_message(NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1))  # fmt: skip
        group.acknowledge("disk", "e", 3)
        while len(sent) < 2:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0.01)
        assert sent[1] == AcknowledgeMessage(acknowledged={"disk": ("e", 3)})
        group.acknowledge("disk", "e", 4)
        group.stop()
        assert sent[2:] == [AcknowledgeMessage(acknowledged={"disk": ("e", 4)}), StopMessage()]

    play(scene)


def test_the_next_compute_is_sent_before_the_last_outcome_is_recorded(play):
    """RUN-1: the worker need not wait for what the parent does with it."""

    async def scene(grouped, group, hub):
        group.senses["cpu"] = SenseConfig()
        group._on_message(ready(1))
        group._seat.worker.spec.senses["cpu"] = SenseConfig()
        for sense in ("disk", "cpu"):
            group.enqueue(sense)
        sent, recorded = grouped.children[-1].sent, []
        hub.take_outcome = lambda *outcome: recorded.append((outcome, len(sent)))
        group._on_message(NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1))  # fmt: skip
        ((outcome, sent_by_then),) = recorded
        assert (outcome[0].sense, sent_by_then) == ("disk", 2)
        assert [message.sense for message in sent] == ["disk", "cpu"]

    play(scene)


def test_the_replacement_tells_whether_the_compute_was_committed(play):
    """RUN-7, SIG-2"""

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        group._on_message(ready(2, boot="boot", trigger_id=1))
        assert hub.outcomes == [("no_signal", 1)]

    play(scene)


def test_what_the_databases_say_is_heard_before_anything_follows_from_a_death(play):
    """SIG-2: a trigger that waits may be answered already, as a report of the same start says."""

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        heard = []
        hub.take_outcome = lambda *_: (group.enqueue("disk"), heard.append(hub.ready[-1]))
        group._on_message(ready(2))
        assert (heard, len(grouped.children[-1].sent)) == ([2], 1)

    play(scene)


def test_an_outcome_is_taken_once(play):
    """RUN-1"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        ended = NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1)
        group._on_message(ended)
        group._on_message(ended)
        assert hub.outcomes == [("no_signal", 1)]

    play(scene)


def test_a_worker_that_lies_is_ended_and_changes_nothing(play):
    """MSG-2"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        stray = {"trigger_id": 1, "at_us": 1, "duration_us": 1}
        group._on_message(NoSignalMessage(generation=1, sense="cpu", **stray))
        assert grouped.children[-1].killed == 1
        group._on_message(ready(1))
        assert grouped.children[-1].killed == 2
        assert (group.state, hub.outcomes) == (WorkerState.IDLE, [])

    play(scene)


def test_nonsense_on_the_channel_ends_that_worker(play):
    """MSG-2"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group._on_broken(WireError("nonsense"))
        assert grouped.children[-1].killed == 1
        assert hub.logged[-1] == "message.invalid"

    play(scene)


def test_a_death_before_ready_keeps_nobody_waiting(play):
    """BOOT-2"""

    async def scene(grouped, group, hub):
        group._on_exit(Exit(3))
        assert hub.logged == ["worker.died", "failed"]
        await grouped.restarted()
        group._on_message(ready(2))
        group._on_exit(Exit(3))
        assert hub.logged.count("failed") == 1

    play(scene)


def test_nothing_is_dispatched_while_an_outcome_is_unclear(play):
    """RUN-1"""

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        group._on_message(ready(2, boot="boot", trigger_id=1, signalled=True))
        group.enqueue("disk")
        assert group.state is WorkerState.IDLE  # until the signal has come from the outbox

    play(scene)


def test_nothing_is_dispatched_to_a_worker_that_is_gone(play):
    """MSG-5"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        grouped.children[-1].is_gone = True
        group.enqueue("disk")
        assert group.state is WorkerState.IDLE

    play(scene)


def test_a_worker_that_cannot_be_killed_is_given_up(play, monkeypatch):
    """BOOT-5"""
    monkeypatch.setattr("nerve.supervisor.generation.KILL_TIMEOUT_S", 0.0)

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.stop()
        group.kill(Reason.HURRY, "was killed")
        await group.stopped.wait()
        assert grouped.children[-1].abandoned
        assert "worker.unkillable" in hub.logged

    play(scene)


def test_an_exit_by_signal_is_never_success_and_an_asked_one_is_never_a_crash(play):
    """RUN-7"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.stop()
        group._on_exit(Exit(-11))
        assert group.state is WorkerState.STOPPED
        assert hub.logged == ["worker.stopped"]
        assert group.stopped.is_set()

    play(scene)


def test_a_death_during_a_compute_is_held_against_its_sense_and_not_against_the_group(play):
    """RUN-9"""

    async def scene(grouped, group, hub):
        for generation in range(1, 8):
            group._on_message(ready(generation))
            group.enqueue("disk")
            grouped.children[-1].doing = computing()
            group._on_exit(Exit(-11))
            await grouped.restarted()
        assert hub.strikes == [("disk", False)] * 7
        assert hub.given_up == []

    play(scene)


@pytest.mark.parametrize(
    ("doing", "ended", "attempts"),
    [
        (computing(), Exit(-9), 1),
        (computing(), Exit(None, bereft_of=99), 1),
        (None, Exit(-9), 1),  # the slate was scribbled over, and who does that is not innocent
        (computing(trigger_id=7), Exit(-9), 0),
        (Line(Phase.IDLE, "disk", 0, 0.0), Exit(-9), 0),
        (Line(Phase.IDLE, "", 0, 0.0), Exit(None, bereft_of=99), 0),
    ],
)
def test_a_death_is_an_attempt_of_a_trigger_only_where_its_compute_had_begun(
    play, doing, ended, attempts
):
    """SIG-2: else three kills from outside would have its signals given up."""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        trigger = group._in_flight.running.trigger
        grouped.children[-1].doing = doing
        group._on_exit(ended)
        assert trigger.attempts == attempts

    play(scene)


def test_a_death_between_computes_is_held_against_nobody_and_five_are_fatal(play):
    """RUN-8"""

    async def scene(grouped, group, hub):
        for generation in range(1, 6):
            group._on_message(ready(generation))
            group._on_exit(Exit(3))
            if generation < 5:
                await grouped.restarted()
        assert hub.strikes == []
        assert (group.state, hub.given_up) == (WorkerState.FATAL, ["g"])

    play(scene)


def test_a_trigger_that_no_worker_lives_to_begin_is_tried_until_the_group_is_fatal(play):
    """RUN-8: its attempts are not counted, and the deaths are."""

    async def scene(grouped, group, hub):
        for generation in range(1, 6):
            group._on_message(ready(generation))
            group.enqueue("disk")  # as the ledger has it offered again
            grouped.children[-1].doing = Line(Phase.IDLE, "", 0, 0.0)
            group._on_exit(Exit(-9))
            if generation < 5:
                await grouped.restarted()
        assert (group.state, hub.given_up, group.is_quiet) == (WorkerState.FATAL, ["g"], True)
        assert hub.outcomes == [("crashed", 1)] * 5

    play(scene)


def test_workers_that_go_with_the_fork_server_are_nobodys_fault(play):
    """RUN-7"""

    async def scene(grouped, group, hub):
        for generation in range(1, 8):
            group._on_message(ready(generation))
            group.enqueue("disk")
            grouped.children[-1].doing = computing()
            group._on_exit(Exit(None, bereft_of=99))
            await grouped.restarted()
        assert hub.strikes == []
        assert hub.logged.count("lost 99 disk") == 7
        assert hub.given_up == []

    play(scene)


def test_the_hard_deadline_counts_from_the_start_that_the_worker_reports_once(play):
    """RUN-3"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        child = grouped.children[-1]
        child.doing = computing(group._in_flight.running.trigger_id)
        group._deadline.strike()
        assert child.killed == 0
        group._deadline.strike()
        assert child.killed == 1
        assert hub.logged[-1] == "worker.hard_timeout"
        group._on_exit(Exit(-9))
        await grouped.restarted()
        group._on_message(ready(2))
        assert hub.outcomes == [("killed", 1)]

    play(scene)


def test_a_worker_that_is_being_killed_gets_nothing_more_to_do(play):
    """RUN-3"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        group._deadline.strike()
        ended = NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1)
        group._on_message(ended)
        group.enqueue("disk")
        assert group.state is WorkerState.IDLE
        group._on_exit(Exit(-9))
        await grouped.restarted()
        assert hub.strikes == [("disk", False)]  # late is late, though it came to an end

    play(scene)


def test_a_sense_whose_database_is_out_of_reach_is_brought_up_again(play, monkeypatch):
    """LOG-6"""
    monkeypatch.setattr("nerve.supervisor.renewal.RETRY_FIRST_S", 0.0)

    async def scene(grouped, group, hub):
        fault = Fault(kind="disk_full", message="no space")
        report = SenseReport(name="disk", fault=fault)
        group._on_message(ReadyMessage(generation=1, preloaded=True, senses=(report,)))
        while group.state is not WorkerState.STOPPING:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0)
        assert [message.type for message in grouped.children[-1].sent] == ["stop"]
        group._on_message(StoppedMessage(generation=1))
        group._on_exit(Exit(0))
        await grouped.restarted()
        group._on_message(ready(2))
        assert group.state is WorkerState.IDLE
        assert (hub.ready, hub.given_up, hub.strikes) == ([1, 2], [], [])

    play(scene)


def test_a_worker_that_has_not_begun_at_the_hard_deadline_is_not_its_fault(play):
    """RUN-3: a thread left behind may hold the worker between computes."""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        child = grouped.children[-1]
        child.doing = Line(Phase.IDLE, "disk", 0, SystemClock().monotonic())
        group._deadline.strike()
        assert child.killed == 0  # the answer may be on its way
        group._deadline.strike()
        assert child.killed == 1
        group._on_exit(Exit(-9))
        assert hub.strikes == []

    play(scene)


def test_a_replacement_waits_for_the_compute_that_runs_and_keeps_what_waits(play):
    """RUN-8: and it tells once how that went."""

    async def scene(grouped, group, hub):
        settled = []
        group._on_message(ready(1))
        group.enqueue("disk")
        group.when_settled(settled.append)
        group.retire(group.start)
        group.enqueue("disk")
        assert [message.type for message in grouped.children[-1].sent] == ["compute", "stop"]
        group._on_message(NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1))  # fmt: skip
        group._on_exit(Exit(0))
        await grouped.restarted()
        assert settled == []
        group._on_message(ready(2))
        assert [message.generation for message in settled] == [2]
        assert [message.type for message in grouped.children[-1].sent] == ["compute"]
        assert (hub.strikes, hub.given_up) == ([("disk", None)], [])

    play(scene)


@pytest.mark.parametrize("deaths", [2, 5], ids=["backoff", "fatal"])
def test_a_replacement_ends_backoff_and_fatal_and_the_deaths_are_forgotten(play, deaths):
    """RUN-8"""

    async def scene(grouped, group, hub):
        for generation in range(1, deaths + 1):
            group._on_message(ready(generation))
            group._on_exit(Exit(3))
            if generation < deaths and group.state is not WorkerState.BACKOFF:
                await grouped.restarted()
            elif generation < deaths:
                group._timer.cancel()
                group.start()
                await group._seat._launching
        assert group.state is (WorkerState.BACKOFF if deaths == 2 else WorkerState.FATAL)
        group.retire(group.start)
        assert (group.state, group.stopped.is_set()) == (WorkerState.STARTING, False)
        await group._seat._launching
        group._on_message(ready(deaths + 1))
        group._on_exit(Exit(3))
        assert group.state is WorkerState.STARTING  # the first death of a new count

    play(scene)


def test_whoever_waits_for_a_group_that_is_stopped_or_given_up_hears_that_none_comes(play):
    """RUN-8"""

    async def scene(grouped, group, hub):
        settled = []
        group._on_message(ready(1))
        group.when_settled(settled.append)
        group.retire(group.start)
        group.stop()
        group._on_exit(Exit(0))
        assert (settled, group.state) == ([None], WorkerState.STOPPED)

    play(scene)


def test_a_retired_group_stands_still_until_it_takes_over(play):
    """CTL-4: a sense that comes from elsewhere is not run before, and nothing of it is lost."""

    async def scene(grouped, group, hub):
        gone = []
        group._on_message(ready(1))
        group.enqueue("heat")  # which another group still has
        assert grouped.children[-1].sent == []
        group.retire(lambda: gone.append(group.state))
        assert gone == []
        group._on_exit(Exit(0))
        group.enqueue("disk")
        assert (gone, group.generation) == ([WorkerState.STOPPED], 1)
        group.take_over({"disk": SenseConfig(), "heat": SenseConfig()})
        group.start()
        await group._seat._launching
        group._on_message(ready(2))
        assert grouped.children[-1].sent[0].sense == "disk"
        assert not group.is_quiet
        assert group.withdraw("heat")
        assert not group.withdraw("heat")

    play(scene)


def test_the_outcome_of_a_sense_that_moved_is_found_by_its_new_group(play):
    """SIG-2"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        group.retire(lambda: None)
        group._on_exit(Exit(-9))
        suspect = group.give_away("disk")
        assert group.give_away("disk") is None
        group.take_over({"disk": SenseConfig()}, [suspect])
        group.start()
        await group._seat._launching
        assert hub.outcomes == []
        group._on_message(ready(2, boot="boot", trigger_id=1))
        assert hub.outcomes == [("no_signal", 1)]

    play(scene)


def test_the_outcome_of_a_sense_that_rests_before_it_is_loaded_is_found_when_it_is(
    play, monkeypatch
):
    """SIG-2: its replacement has died while it loaded the sense."""
    monkeypatch.setattr(group_module, "RETRY_WHEN_BUSY_S", 0.01)

    async def scene(grouped, group, hub):
        group.senses["heat"] = SenseConfig()
        await die_in_compute(grouped, group)
        group._seat.worker.spec = grouped._spec(2, {"heat"})
        hub.resting["disk"] = 0.01
        group._on_message(ReadyMessage(generation=2, preloaded=True, senses=()))
        assert hub.outcomes == []
        group.enqueue("heat")
        assert group.running == "heat", "its neighbours do not wait"
        group._on_message(
            NoSignalMessage(generation=2, sense="heat", trigger_id=1, at_us=1, duration_us=1)
        )
        hub.resting.clear()
        while group.state is not WorkerState.STOPPING:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0.001)
        group._on_exit(Exit(0))
        await grouped.restarted()
        group._on_message(ready(3, boot="boot", trigger_id=1))
        assert hub.outcomes == [("no_signal", 1), ("no_signal", 1)]
        assert group.is_quiet

    play(scene)


def test_the_outcome_of_a_sense_that_cannot_be_loaded_any_more_is_what_was_committed(play):
    """SIG-2: its database is read all the same."""

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        fault = Fault(kind="import_raised", message="no such library")
        group._on_message(ready(2, fault=fault, boot="boot", trigger_id=1, signalled=True))
        assert hub.outcomes == []  # the signal follows
        cause = StoredCause(kind=TriggerKind.MANUAL, boot="boot", trigger=1, depth=0)
        signal = {"sense": "disk", "epoch": "e", "seq": 1, "at_us": 1, "payload": 1}
        group._on_message(SignalMessage(generation=2, cause=cause, **signal))
        ((outcome, running),) = hub.outcomes
        assert (outcome, running.trigger_id) == ("signal", 1)

    play(scene)


def test_an_outcome_that_the_worker_is_about_to_tell_is_not_given_up_for_one_that_it_is_not(play):
    """SIG-2: in a run that is to end a sense that has not come up is given up at once."""

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        fault = Fault(kind="import_raised", message="no such library")
        group._on_message(ready(2, fault=fault, boot="boot", trigger_id=1, signalled=True))
        group.give_up_on({"disk"})  # before its signal is here
        assert (hub.outcomes, group.is_quiet) == ([], False)
        group._on_exit(Exit(-9))
        group.give_up_on({"disk"})
        assert hub.outcomes == [("crashed", 1)]

    play(scene)


def test_a_sense_that_is_within_reach_again_is_not_taken_for_one_that_is_not(play, monkeypatch):
    """SIG-2"""
    monkeypatch.setattr("nerve.supervisor.renewal.RETRY_FIRST_S", 0.0)

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        report = SenseReport(name="disk", fault=Fault(kind="forbidden", message="no access"))
        group._on_message(ReadyMessage(generation=2, preloaded=True, senses=(report,)))
        group.give_up_on({"disk"})
        assert (hub.outcomes, group.is_quiet) == ([("crashed", 1)], True)
        while group.state is not WorkerState.STOPPING:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0)
        group._on_exit(Exit(0))
        await grouped.restarted()
        group._on_message(ready(3))
        group.enqueue("disk")
        group._on_exit(Exit(-9))
        assert not group.is_quiet  # what it has come to is yet to be found out

    play(scene)


def test_the_outcome_of_a_sense_whose_database_is_out_of_reach_is_found_when_it_is_not(
    play, monkeypatch
):
    """SIG-2: its neighbours do not wait for that, nor does a run that is to end."""
    monkeypatch.setattr("nerve.supervisor.renewal.RETRY_FIRST_S", 0.0)

    async def scene(grouped, group, hub):
        group.senses["heat"] = SenseConfig()
        await die_in_compute(grouped, group)
        fault = Fault(kind="forbidden", message="no access")
        report = SenseReport(name="disk", fault=fault)
        group._on_message(ReadyMessage(generation=2, preloaded=True, senses=(report,)))
        assert (hub.outcomes, group.is_quiet) == ([], True)
        group.enqueue("heat")
        assert group.running == "heat"
        group._on_message(
            NoSignalMessage(generation=2, sense="heat", trigger_id=1, at_us=1, duration_us=1)
        )
        while group.state is not WorkerState.STOPPING:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0)
        group._on_exit(Exit(0))
        await grouped.restarted()
        group._on_message(ready(3, boot="boot", trigger_id=1))
        assert hub.outcomes == [("no_signal", 1), ("no_signal", 1)]

    play(scene)


def test_the_compute_of_a_sense_whose_database_is_damaged_has_crashed(play):
    """RUN-7, BOOT-6: nobody will ever know better."""

    async def scene(grouped, group, hub):
        await die_in_compute(grouped, group)
        report = SenseReport(name="disk", fault=Fault(kind="corrupt", message="is damaged"))
        group._on_message(ReadyMessage(generation=2, preloaded=True, senses=(report,)))
        assert hub.outcomes == [("crashed", 1)]

    play(scene)


def test_a_worker_is_told_what_changes_around_it(play):
    """CTL-4"""
    message = UpdateMessage(databases={"heat": "/heat.db"}, masked=("secret",))

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.tell(message)
        assert (grouped.children[-1].sent, grouped.children[-1].masked) == ([message], ("secret",))

    play(scene)


def test_a_worker_that_only_starts_is_replaced_at_once_and_nobody_answers_for_that(play):
    """CTL-4, RUN-7"""

    async def scene(grouped, group, hub):
        group.retire(group.start)
        assert grouped.children[-1].killed == 1
        grouped.children[-1].doing = Line(Phase.MIGRATING, "disk", 0, 0.0)
        group._on_exit(Exit(-9))
        assert (group.state, hub.strikes) == (WorkerState.STARTING, [])

    play(scene)


def test_a_sense_that_hangs_as_its_worker_is_replaced_answers_for_that(play):
    """CTL-4, RUN-9"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        grouped.children[-1].doing = computing()
        group.retire(group.start)
        group._on_exit(Exit(-9))
        assert hub.strikes == [("disk", False)]

    play(scene)


def test_a_sense_that_another_group_has_loaded_is_loaded_though_it_rests(play):
    """CTL-4: it rests from computing, and has harmed nobody as it was loaded."""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.retire(lambda: None)
        group._on_exit(Exit(0))
        both = {"disk": SenseConfig(), "heat": SenseConfig(), "new": SenseConfig()}
        group.take_over(both, proven={"heat"})
        assert [sense for sense in both if group.has_loaded(sense)] == ["disk", "heat"]

    play(scene)


def test_whoever_waits_hears_of_a_worker_that_has_begun_to_compute_as_it_became_ready(play):
    """CTL-4: what it missed meanwhile is taken up at once."""

    async def scene(grouped, group, hub):
        settled = []
        group.when_settled(settled.append)
        hub.came_up = lambda name, ready: group.enqueue("disk")
        group._on_message(ready(1))
        assert (group.state, len(settled)) == (WorkerState.BUSY, 1)

    play(scene)


def exits_as_asked(group, generation):
    group._on_message(StoppedMessage(generation=generation))
    group._on_exit(Exit(0))


def test_a_restart_lets_a_compute_end_and_keeps_what_waits(play):
    """RUN-7, RUN-8"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.enqueue("disk")
        group._queue.append("disk")
        group.restart()
        assert group.state is WorkerState.STOPPING
        assert grouped.children[-1].sent[-1] == StopMessage()
        group._on_message(NoSignalMessage(generation=1, sense="disk", trigger_id=1, at_us=1, duration_us=1))  # fmt: skip
        group.restart()  # and asked for once more it is the same one
        exits_as_asked(group, 1)
        await grouped.restarted()
        group._on_message(ready(2))
        assert (group.state, group.generation) == (WorkerState.BUSY, 2)
        assert "worker.died" not in hub.logged
        assert hub.outcomes == [("no_signal", 1)]

    play(scene)


def test_a_compute_that_hangs_at_a_restart_is_killed_at_its_hard_deadline_and_answers_for_it(play):
    """RUN-3, RUN-7: asked to stop is the worker, and not what the sense does."""

    async def scene(grouped, group, hub):
        group.senses["disk"] = SenseConfig(timeout="20ms", grace_period="20ms")
        group._on_message(ready(1))
        group.enqueue("disk")
        grouped.children[-1].doing = computing()
        group.restart()
        while not grouped.children[-1].killed:  # noqa: ASYNC110  the group tells nobody
            await asyncio.sleep(0.01)
        group._on_exit(Exit(-9))
        await grouped.restarted()
        group._on_message(ready(2))
        assert hub.outcomes == [("killed", 1)]
        assert hub.strikes == [("disk", False)]
        assert group.state is WorkerState.IDLE

    play(scene)


def test_a_start_under_way_is_broken_off_at_a_restart_and_nobody_answers_for_it(play):
    """RUN-7, RUN-8"""

    async def scene(grouped, group, hub):
        grouped.children[-1].doing = Line(Phase.LOADING, "disk", 0, SystemClock().monotonic())
        group.restart()
        assert grouped.children[-1].killed
        group._on_exit(Exit(-9))
        await grouped.restarted()
        group._on_message(ready(2))
        assert (group.state, hub.strikes) == (WorkerState.IDLE, [])
        assert "worker.died" not in hub.logged
        assert "failed" not in hub.logged

    play(scene)


async def die_until(grouped, group, state):
    while group.state is not state:
        if group.state is WorkerState.STARTING:
            await grouped.restarted()
            group._on_exit(Exit(3))
        else:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("state", [WorkerState.BACKOFF, WorkerState.FATAL])
def test_a_group_that_waits_or_was_given_up_starts_at_once_with_its_deaths_forgotten(play, state):
    """RUN-8"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group._on_exit(Exit(3))
        await die_until(grouped, group, state)
        group.restart()
        assert group.state is WorkerState.STARTING
        assert not group.stopped.is_set()
        await grouped.restarted()
        group._on_message(ready(group.generation))
        group._on_exit(Exit(3))
        assert group.state is WorkerState.STARTING, "the first death in a while is answered at once"

    play(scene)


def test_a_sense_that_was_left_out_is_brought_in_when_the_worker_is_free(play):
    """RUN-9"""

    async def scene(grouped, group, hub):
        group._on_message(ready(1))
        group.bring_in("disk")
        assert group.state is WorkerState.IDLE, "it is there"
        group.senses["cpu"] = SenseConfig()
        group.bring_in("cpu")
        assert group.state is WorkerState.STOPPING
        exits_as_asked(group, 1)
        await grouped.restarted()
        assert "cpu" in group._seat.worker.spec.senses

    play(scene)
