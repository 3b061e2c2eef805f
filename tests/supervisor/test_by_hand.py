"""What becomes of a trigger that somebody asks for, and what whoever waits is told."""

from types import SimpleNamespace

import pytest

from nerve.config.models import Config
from nerve.config.secrets import Redactor
from nerve.config.targets import UnknownTarget
from nerve.reflex.causes import CausingSignal
from nerve.reflex.flow import Decision
from nerve.reflex.listeners import caused_by
from nerve.sense import TriggerKind
from nerve.store.batch import SignalEntry
from nerve.supervisor.asking import DURABLE_WITHIN_S, Parent, Refused
from nerve.supervisor.by_hand import WAIT_AT_MOST_S, ByHand
from nerve.supervisor.hub import Running
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.states import WorkerState
from nerve.supervisor.triggers import Triggers
from nerve.wire.control import DoneReply, TriggerRequest
from nerve.wire.messages import (
    MAX_CAUSES,
    MAX_PAYLOAD_BYTES,
    MAX_PAYLOAD_DEPTH,
    Fault,
    SignalMessage,
    StoredCause,
)
from tests.reflex.zones import us
from tests.simulation.machine import Machine

CONFIG = {
    "senses": {"a": {"throttle": "10s"}, "b": {}, "c": {"group": "other"}},
    "reflexes": [{"kind": "sense", "sense": "b", "on": "a"}],
}


class Answer:
    """Keeps what is answered."""

    def __init__(self):
        self.by = {"pid": 7, "uid": 8}
        self.told, self.reply, self.leave = [], None, lambda: None

    def progress(self, message, level="info"):
        self.told.append(message)

    def end(self, reply):
        assert self.reply is None, "one final reply"
        self.reply = reply

    def on_close(self, callback):
        self.leave = callback


class Books:
    """In the place of the recorder: durable as soon as `write` is called."""

    def __init__(self):
        self.counts, self.logged, self.waiting = {}, [], []
        self.is_healthy = True

    def count(self, sense, outcome, at_us, number=1, detail=""):
        key = (sense, str(outcome))
        self.counts[key] = self.counts.get(key, 0) + number

    def log(self, entry):
        self.logged.append(entry)

    def signal(self, entry):
        self.logged.append(entry)

    def cursor(self, *_):
        pass

    def when_durable(self, callback):
        self.waiting.append(callback)

    def write(self):
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Desk:
    """A parent whose workers are moved by hand."""

    def __init__(self):
        self.machine, self.books = Machine(us(2026, 10, 1, 12)), Books()
        self.config, self.queue, self.numbers = Config(**CONFIG), [], iter(range(1, 1_000))
        self.is_stopping = False
        self.ledger = Ledger(
            self.books,
            Redactor(),
            boot="boot",
            clock=self.machine,
            ended=lambda *ended: self.triggers.finish(*ended),
        )
        self.triggers = Triggers(
            self.config,
            clock=self.machine,
            recorder=self.books,
            enqueue=self.queue.append,
            withdraw=self.queue.remove,
            log=self.ledger.log,
            call_later=self.machine.call_later,
        )
        self.group = SimpleNamespace(state=WorkerState.IDLE, running=None, name="default")
        self.by_hand = ByHand(
            Parent(
                config=lambda: self.config,
                groups={"default": self.group, "other": self.group},
                triggers=self.triggers,
                recorder=self.books,
                ledger=self.ledger,
                warden=None,
                clock=self.machine,
                positions=None,
                take_up=lambda *_: None,
                newest_id=lambda: 0,
                is_ready=lambda: True,
                is_stopping=lambda: self.is_stopping,
                call_later=self.machine.call_later,
            )
        )

    def ask(self, sense, payload=None, *, wait=True):
        answer = Answer()
        self.by_hand.trigger(TriggerRequest(sense=sense, payload=payload, wait=wait), answer)
        return answer

    def run(self, sense):
        self.queue.remove(sense)
        trigger = self.triggers.take(sense)
        self.by_hand.started(trigger)
        return Running(sense, next(self.numbers), trigger)

    def end(self, running, outcome="no_signal", fault=None):
        self.ledger.take_outcome(running, outcome, self.machine.now_us(), fault)
        self.books.write()


@pytest.fixture
def desk():
    return Desk()


def given(running):
    return [payload.value for payload in running.trigger.payloads]


def test_whoever_waits_is_told_the_signal_once_it_is_durable(desk):
    """CTL-1"""
    answer = desk.ask("b", {"n": 1})
    running = desk.run("b")
    assert answer.told[-1] == "b: it runs now"
    assert given(running) == [{"n": 1}]
    desk.ledger.take_signal(
        SignalMessage(
            generation=1,
            sense="b",
            epoch="e",
            seq=4,
            at_us=1,
            payload={"free": 3},
            cause=StoredCause(kind=TriggerKind.MANUAL, boot="boot", trigger=1, depth=0),
        ),
        running,
    )
    assert answer.reply is None, "not before it is durable"
    (entry,) = [entry for entry in desk.books.logged if isinstance(entry, SignalEntry)]
    desk.by_hand.signalled(17, entry)
    desk.books.write()
    assert answer.reply.is_good
    assert answer.reply.message == "b: signal 17"
    assert answer.reply.facts["payload"] == {"free": 3}


def test_a_trigger_that_joins_another_has_the_same_outcome_and_all_payloads(desk):
    """SIG-6: and who joins a running sense gets the next outcome, not the one under way."""
    first = desk.ask("b", 1)
    running = desk.run("b")
    second, third = desk.ask("b", 2), desk.ask("b", 3)
    assert "runs already" in second.told[0]
    assert "joins the trigger that waits" in third.told[0]
    desk.end(running)
    assert first.reply.facts["outcome"] == "no_signal"
    assert second.reply is third.reply is None
    running = desk.run("b")
    assert given(running) == [2, 3]
    desk.end(running, "error", Fault(kind="error", message="oh", traceback="at line 1"))
    for answer in (second, third):
        assert not answer.reply.is_good
        assert answer.reply.facts["fault"]["traceback"] == "at line 1"
    assert desk.books.counts["b", "coalesced"] == 1


@pytest.mark.parametrize("outcome", ["soft_timeout", "killed", "crashed"])
def test_every_bad_end_is_told_by_its_name(desk, outcome):
    answer = desk.ask("b")
    desk.end(desk.run("b"), outcome, Fault(kind=outcome, message="it died"))
    assert answer.reply.facts["outcome"] == outcome
    assert not answer.reply.is_good
    assert "it died" in answer.reply.message


def test_what_it_waits_for_is_said(desk):
    """CTL-1, SIG-5"""
    desk.ask("a")
    desk.end(desk.run("a"))
    assert "a: throttled until 2026-10-01T12:00:10" in desk.ask("a").told[0]
    desk.triggers.rest("b", 60.0, Decision.QUARANTINED)
    answer = desk.ask("b")
    assert "in quarantine until 2026-10-01T12:01:00" in answer.told[0]
    assert "`nerve resume b` ends that" in answer.told[0]
    assert desk.books.counts["b", "quarantined"] == 1
    desk.group.state, desk.group.running = WorkerState.BUSY, "x"
    assert "waits for x, which its group default runs now" in desk.ask("c").told[0]


def test_without_waiting_it_is_done_when_the_row_of_the_log_is_durable(desk):
    answer = desk.ask("b", wait=False)
    assert answer.reply is None
    desk.books.write()
    assert answer.reply == DoneReply(
        message="b: it runs next", facts={"sense": "b", "decision": "accepted"}
    )
    (row,) = desk.books.logged
    assert (row.source, row.type) == ("b", "sense.triggered")
    assert '"by": {"command": "nerve trigger", "pid": 7, "uid": 8}' in row.payload


def test_of_a_paused_sense_nothing_is_run_and_the_reason_is_told_and_counted(desk):
    """SIG-8"""
    desk.triggers.pause("b", "the disk is rebuilt")
    with pytest.raises(Refused, match=r"b is paused \(the disk is rebuilt\)") as refused:
        desk.ask("b")
    assert refused.value.kind == "paused"
    assert "nerve resume b" in refused.value.hint
    assert desk.books.counts == {("b", "paused"): 1}
    desk.triggers.unavailable["c"] = "no compute"
    with pytest.raises(Refused, match="not available"):
        desk.ask("c")
    assert desk.books.counts["c", "unavailable"] == 1


def test_what_is_paused_or_stopped_before_it_ran_is_told(desk):
    """SIG-8"""
    answer, kept = desk.ask("b"), desk.ask("c")
    running = desk.run("c")
    desk.triggers.pause("b", "")
    desk.books.write()
    assert (answer.reply.facts["outcome"], answer.reply.is_good) == ("paused", False)
    late = desk.ask("a")
    desk.triggers.end()
    desk.books.write()
    assert late.reply.facts["outcome"] == "stopped"
    desk.end(running)
    assert kept.reply.facts["outcome"] == "no_signal", "what ran comes to its end"


def test_a_trigger_that_would_have_been_tried_again_is_told_when_its_sense_is_paused(desk):
    """SIG-8: its signals wait behind the cursor, what was asked for by hand does not."""
    answer = desk.ask("b")
    caused = CausingSignal(3, "a", 1, {}, (), 2)
    desk.triggers.offer("b", caused_by(caused))
    running = desk.run("b")
    assert running.trigger.positions == {"a": 3}
    desk.triggers.pause("b", "")
    desk.end(running, "crashed", Fault(kind="crashed", message="it died"))
    assert (answer.reply.facts["outcome"], answer.reply.is_good) == ("paused", False)
    assert not desk.queue


def test_whoever_goes_away_is_not_waited_for_and_the_compute_goes_on(desk):
    answer = desk.ask("b")
    answer.leave()
    running = desk.run("b")
    desk.end(running)
    assert answer.reply is None
    assert not running.trigger.tickets
    assert desk.books.counts["b", "no_signal"] == 1


def test_nobody_waits_for_ever(desk):
    desk.triggers.rest("b", 2 * WAIT_AT_MOST_S, Decision.RESTING)
    answer = desk.ask("b")
    desk.machine.run(WAIT_AT_MOST_S + 1)
    assert not answer.reply.is_good
    assert "no outcome yet" in answer.reply.message
    assert not [handle for handle in desk.machine.armed if handle.due_us > 3e15]


def test_an_outcome_that_cannot_be_stored_is_told_as_such(desk):
    """LOG-6"""
    answer = desk.ask("b")
    running = desk.run("b")
    desk.ledger.take_outcome(running, "no_signal", 1)
    desk.machine.run(DURABLE_WITHIN_S + 1)
    assert not answer.reply.is_good
    assert "logs.db cannot be written now" in answer.reply.message
    desk.books.write()


def test_nothing_is_begun_while_the_journal_cannot_be_written_or_nerve_stops(desk):
    """LOG-6, CTL-1"""
    desk.books.is_healthy = False
    with pytest.raises(Refused, match=r"logs.db cannot be written") as refused:
        desk.ask("b")
    assert (refused.value.kind, refused.value.exit_code) == ("journal", 74)
    desk.is_stopping = True
    with pytest.raises(Refused) as refused:
        desk.ask("b")
    assert (refused.value.kind, refused.value.exit_code) == ("stopping", 69)
    assert not desk.queue


def nested(depth):
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    "payload", [float("nan"), "x" * MAX_PAYLOAD_BYTES, nested(MAX_PAYLOAD_DEPTH + 1)]
)
def test_a_payload_that_no_sense_could_be_handed_is_refused(desk, payload):
    with pytest.raises(Refused) as refused:
        desk.ask("b", payload)
    assert (refused.value.kind, refused.value.exit_code) == ("invalid", 2)
    assert not desk.queue


def test_payloads_are_bounded_and_those_left_out_are_counted(desk):
    for number in range(MAX_CAUSES + 5):
        desk.ask("b", number, wait=False)
    running = desk.run("b")
    assert given(running) == list(range(5, MAX_CAUSES + 5))
    assert running.trigger.payloads_left_out == 5
    big = "x" * (MAX_PAYLOAD_BYTES - 2)
    desk.ask("b", "small", wait=False)
    desk.ask("b", big, wait=False)
    desk.end(running)
    running = desk.run("b")
    assert (given(running), running.trigger.payloads_left_out) == ([big], 1)


def test_a_slip_in_the_name_is_told(desk):
    with pytest.raises(UnknownTarget) as unknown:
        desk.ask("d")
    assert unknown.value.kind == "unknown_sense"
