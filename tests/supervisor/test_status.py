from types import SimpleNamespace

import pytest

from nerve.config.models import Config
from nerve.config.secrets import Redactor
from nerve.reflex.causes import Cause
from nerve.reflex.flow import Decision
from nerve.sense import TriggerKind
from nerve.supervisor.status import Status
from nerve.supervisor.triggers import Triggers
from nerve.wire.control import MAX_PAGE, MAX_REPLY_BYTES, StatusRequest
from nerve.wire.model import dump
from tests.reflex.zones import US, us
from tests.simulation.machine import Machine
from tests.supervisor.test_triggers import Books

START = us(2026, 10, 1, 12)
MANUAL = Cause(TriggerKind.MANUAL)
SENSES = {"disk": {"group": "host", "throttle": "10s"}, "cpu": {"group": "host"}, "heat": {}}
REFLEXES = [
    {"kind": "sense", "sense": ["disk", "heat"], "interval": "60s"},
    {"kind": "sense", "sense": "cpu", "on": ["disk", "heat"], "debounce": "5s"},
    {"kind": "sense", "sense": "heat", "cron": "0 13 * * *"},
]


class FakeGroup:
    state, worker_pid, generation, starts_in_s = "idle", 4711, 1, None
    deaths = SimpleNamespace(number=0)

    def __init__(self, name):
        self.name, self.queue, self.running = name, [], None


class Nerve:
    """The parts of a parent that are asked, and a made-up Answer."""

    def __init__(self, senses=SENSES, reflexes=REFLEXES):
        self.config = Config(senses=senses, reflexes=reflexes)
        self.machine = Machine(START)
        names = {sense.group for sense in self.config.senses.values()}
        self.groups = {name: FakeGroup(name) for name in sorted(names)}
        self.triggers = Triggers(
            self.config,
            clock=self.machine,
            recorder=Books(),
            enqueue=lambda sense: self.group_of(sense).queue.append(sense),
            withdraw=lambda sense: self.group_of(sense).queue.remove(sense),
            log=lambda *_: None,
            call_later=self.machine.call_later,
        )
        self.loaded = SimpleNamespace(
            config=self.config, path="/srv/nerve.yaml", redactor=Redactor(["hunter2-hunter2"])
        )
        self.trouble, self.is_ready, self.replies = "", True, []
        self.status = Status(
            "boot",
            clock=self.machine,
            loaded=self.loaded,
            groups=self.groups,
            triggers=self.triggers,
            is_ready=lambda: self.is_ready,
            trouble=lambda: self.trouble,
            needs_restart=tuple,
        )

    def group_of(self, sense):
        return self.groups[self.config.senses[sense].group]

    def end(self, reply):
        self.replies.append(reply)

    def ask(self, *targets, **more):
        self.status.handle(StatusRequest(targets=targets, **more), self)
        return self.replies.pop()

    def sense(self, name):
        (found,) = (sense for sense in self.ask(name).senses if sense.name == name)
        return found

    def run(self, sense, seconds):
        """Have the sense that waits computed, for so long."""
        group = self.group_of(sense)
        group.queue.remove(sense)
        self.triggers.take(sense)
        group.running = sense
        self.machine.run(seconds)
        self.triggers.finish(sense, None)
        group.running = None


@pytest.fixture
def nerve():
    return Nerve()


def test_all_groups_and_senses_are_told_by_name(nerve):
    reply = nerve.ask()
    assert [group.name for group in reply.groups] == ["default", "host"]
    assert [(s.name, s.group) for s in reply.senses] == [
        ("cpu", "host"),
        ("disk", "host"),
        ("heat", "default"),
    ]
    assert (reply.boot, reply.timezone, reply.started_us) == ("boot", "UTC", START)
    assert (reply.more, reply.more_groups) == (False, False)


def test_what_is_asked_about_is_told_with_its_group_and_a_group_with_its_senses(nerve):
    reply = nerve.ask("host")
    assert [sense.name for sense in reply.senses] == ["cpu", "disk"]
    assert [group.name for group in reply.groups] == ["host"]
    reply = nerve.ask("heat")
    assert [sense.name for sense in reply.senses] == ["heat"]
    assert [group.name for group in reply.groups] == ["default"]


def test_a_name_that_nothing_bears_is_refused_with_what_may_have_been_meant(nerve):
    reply = nerve.ask("disc")
    assert (reply.kind, reply.exit_code) == ("unknown_target", 2)
    assert reply.hint == 'did you mean "disk"?'


def test_trouble_and_a_start_under_way_are_told(nerve):
    nerve.trouble, nerve.is_ready = "disk full", False
    reply = nerve.ask()
    assert (reply.trouble, reply.is_ready) == ("disk full", False)


def test_the_next_tick_is_the_first_of_all_timers_and_signals_are_named(nerve):
    nerve.triggers.begin({}, None)
    nerve.machine.run(1)
    assert nerve.sense("disk").next_us == START + 60 * US
    assert nerve.sense("heat").next_us == START + 60 * US
    assert nerve.sense("cpu").next_us is None
    assert nerve.sense("cpu").sources == ("disk", "heat")


def test_the_next_tick_by_the_clock_is_that_of_the_clock_however_often_it_is_looked_at():
    nerve = Nerve({"x": {}}, [{"kind": "sense", "sense": "x", "cron": "0 13 * * *"}])
    nerve.triggers.begin({}, None)
    nerve.machine.run(25)
    assert nerve.sense("x").next_us == us(2026, 10, 1, 13)


def test_what_computes_and_what_waits_behind_it_is_told_with_since_when(nerve):
    nerve.triggers.offer("cpu", MANUAL)
    nerve.triggers.offer("disk", MANUAL)
    host = nerve.groups["host"]
    host.queue.remove("cpu")
    nerve.triggers.take("cpu")
    host.running, host.state = "cpu", "busy"
    nerve.machine.run(3)
    reply = nerve.ask("host")
    (group,), (cpu, disk) = reply.groups, reply.senses
    assert (group.running, group.running_since_us, group.waiting) == ("cpu", START, 1)
    assert (cpu.phase, cpu.started_us) == ("running", START)
    assert (disk.phase, disk.ahead, disk.waiting_since_us) == ("waiting", 0, START)


def test_lateness_is_what_was_waited_for_the_group_and_not_for_the_throttle(nerve):
    nerve.triggers.offer("disk", MANUAL)
    nerve.machine.run(2)
    nerve.run("disk", 1)
    disk = nerve.sense("disk")
    assert (disk.late_us, disk.took_us, disk.runs, disk.busy_us) == (2 * US, US, 1, US)
    nerve.triggers.offer("disk", MANUAL)
    disk = nerve.sense("disk")
    assert (disk.held_by, disk.held_until_us) == ("throttled", START + 12 * US)
    nerve.machine.run(9)
    nerve.run("disk", 1)
    disk = nerve.sense("disk")
    assert (disk.late_us, disk.worst_late_us) == (0, 2 * US)
    nerve.machine.run(700)
    assert nerve.sense("disk").worst_late_us == 0


def test_a_trigger_that_comes_while_the_sense_runs_is_late_from_then_on(nerve):
    nerve.triggers.offer("cpu", MANUAL)
    nerve.groups["host"].queue.remove("cpu")
    nerve.triggers.take("cpu")
    nerve.triggers.offer("cpu", MANUAL)
    nerve.machine.run(4)
    nerve.triggers.finish("cpu", None)
    nerve.run("cpu", 1)
    assert nerve.sense("cpu").late_us == 4 * US


def test_a_sense_that_rests_says_until_when(nerve):
    nerve.triggers.rest("cpu", 30, Decision.QUARANTINED)
    cpu = nerve.sense("cpu")
    assert (cpu.held_by, cpu.held_until_us) == ("quarantined", START + 30 * US)
    nerve.machine.run(31)
    assert nerve.sense("cpu").held_by == ""


def test_why_a_sense_is_blocked_is_told_without_secrets(nerve):
    nerve.triggers.unavailable["cpu"] = "no access with hunter2-hunter2"
    nerve.triggers.paused["disk"] = "until Friday"
    cpu, disk = nerve.ask("cpu", "disk").senses
    assert cpu.blocked == "unavailable"
    assert "no access" in cpu.why
    assert "hunter2" not in cpu.why
    assert (disk.blocked, disk.why) == ("paused", "until Friday")


def test_thousands_of_senses_come_in_pages_each_once_and_each_far_below_the_limit():
    senses = {f"sense-{n}": {"group": f"group-{n % 700}"} for n in range(2_100)}
    nerve = Nerve(senses, [])
    for sense in senses:
        nerve.triggers.unavailable[sense] = "x" * 10_000
    seen, groups, reply = [], [], None
    while reply is None or reply.more or reply.more_groups:
        after = seen[-1] if seen else ""
        reply = nerve.ask(after=after, after_group=groups[-1] if groups else "")
        assert len(dump(reply)) < MAX_REPLY_BYTES // 4
        assert len(reply.senses) <= MAX_PAGE
        seen += [sense.name for sense in reply.senses]
        groups += [group.name for group in reply.groups]
    assert seen == sorted(senses)
    assert groups == sorted(nerve.groups)


def test_a_new_configuration_is_told_with_when_it_was_read(nerve):
    nerve.machine.run(5)
    assert nerve.ask().loaded_us == START
    nerve.status.adopt(nerve.loaded)
    nerve.machine.run(5)
    assert nerve.ask().loaded_us == START + 5 * US
