"""What whoever asked for a restart is told."""

from types import SimpleNamespace

from nerve.config.models import Config, SenseConfig
from nerve.supervisor.asking import Parent
from nerve.supervisor.replacing import Replacing
from nerve.supervisor.states import WorkerState
from nerve.wire.control import RestartRequest
from nerve.wire.messages import Fault, ReadyMessage, SenseReport
from tests.supervisor.test_by_hand import Answer, Books


class FakeGroup:
    def __init__(self, name, senses, state):
        self.name, self.senses, self.state = name, senses, state
        self.running, self.generation, self.restarts = None, 4, 0
        self.deaths = SimpleNamespace(trouble="")

    def restart(self):
        self.restarts += 1


class Bench:
    def __init__(self, *, web=WorkerState.IDLE):
        self.groups = {
            "web": FakeGroup("web", {"http": SenseConfig(), "dns": SenseConfig()}, web),
            "host": FakeGroup("host", {"disk": SenseConfig()}, WorkerState.IDLE),
        }
        senses = {s: {"group": g.name} for g in self.groups.values() for s in g.senses}
        config, self.books, self.taken_up = Config(senses=senses, reflexes=[]), Books(), []
        self.triggers = SimpleNamespace(unavailable={})
        self.replacing = Replacing(
            Parent(
                config=lambda: config,
                groups=self.groups,
                triggers=self.triggers,
                recorder=self.books,
                ledger=SimpleNamespace(
                    log=lambda *row: self.books.logged.append(row),
                    tally=SimpleNamespace(unavailable=set()),
                ),
                warden=None,
                clock=None,
                positions=None,
                take_up=lambda *taken: self.taken_up.append(taken),
                newest_id=lambda: 0,
                is_ready=lambda: True,
                is_stopping=lambda: False,
                call_later=lambda *_: SimpleNamespace(cancel=lambda: None),
            )
        )

    def ask(self, *groups):
        answer = Answer()
        self.replacing.restart(RestartRequest(groups=groups), answer)
        return answer

    def come_up(self, name, **faults):
        reports = tuple(
            SenseReport(name=sense, fault=faults.get(sense))
            for sense in self.groups[name].senses
            if faults.get(sense) != "rests"
        )
        self.replacing.came_up(name, ReadyMessage(generation=5, preloaded=True, senses=reports))
        self.books.write()


def test_it_is_done_when_all_groups_are_back_and_tells_how_each_sense_came_up():
    """RUN-8, CTL-1"""
    bench = Bench()
    answer = bench.ask("web", "host", "web")
    assert [group.restarts for group in bench.groups.values()] == [1, 1]
    bench.come_up("web")
    assert answer.reply is None
    assert answer.told[-1] == "web: worker 5 is ready"
    bench.come_up("host", disk=Fault(kind="import_raised", message="no module named x"))
    assert not answer.reply.is_good
    assert answer.reply.message == "host: worker 5 is ready; not available: disk"
    facts = {told["group"]: told["senses"] for told in answer.reply.facts["groups"]}
    assert facts == {"web": {"http": "", "dns": ""}, "host": {"disk": "no module named x"}}


def test_whoever_asks_meanwhile_joins_and_is_told_the_same():
    bench = Bench()
    first, second = bench.ask("web"), bench.ask("web")
    bench.come_up("web")
    assert first.reply == second.reply
    bench.come_up("web")  # a later start is nobody's


def test_a_worker_that_dies_before_it_is_ready_is_told_with_the_reason():
    """RUN-8"""
    bench = Bench(web=WorkerState.BACKOFF)
    answer = bench.ask("web")
    bench.groups["web"].deaths.trouble = "the worker exited with 3 before it was ready"
    bench.replacing.failed("web")
    bench.books.write()
    assert not answer.reply.is_good
    assert "exited with 3 before it was ready; it is tried again" in answer.reply.message


def give_up(bench):
    bench.triggers.unavailable |= {"http": "given up", "dns": "given up"}
    bench.replacing.failed("web")


def test_a_sense_that_rests_is_not_lost_with_the_group_that_is_back():
    """RUN-8, RUN-9"""
    bench = Bench(web=WorkerState.FATAL)
    give_up(bench)
    answer = bench.ask("web")
    assert "it was given up; its worker is started" in answer.told[0]
    del bench.triggers.unavailable["http"]  # as the supervisor does for each that is reported
    bench.come_up("web", dns="rests")
    assert answer.reply.is_good
    assert bench.triggers.unavailable == {}
    assert bench.taken_up == [({"dns"}, "")]


def test_nor_is_it_where_a_reload_has_started_the_group_or_moved_the_sense():
    """RUN-8, RUN-9, CTL-4"""
    bench = Bench(web=WorkerState.FATAL)
    give_up(bench)
    bench.groups["host"].senses["dns"] = bench.groups["web"].senses.pop("dns")
    bench.come_up("host", dns="rests")
    assert bench.triggers.unavailable == {"http": "given up"}
    bench.come_up("web", http="rests")
    assert bench.triggers.unavailable == {}
    assert bench.taken_up == [({"dns"}, ""), ({"http"}, "")]
