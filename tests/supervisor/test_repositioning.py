"""What becomes of a cursor that is being moved when its sense goes meanwhile."""

from types import SimpleNamespace

from nerve.config.models import Config, SenseConfig
from nerve.supervisor.asking import Parent
from nerve.supervisor.repositioning import Repositioning
from nerve.wire.control import CursorRequest
from tests.supervisor.test_by_hand import Answer, Books


class Bench:
    def __init__(self):
        self.config = Config(senses={"told": {}, "heard": {}}, reflexes=[])
        self.offered, self.callbacks = [], []
        self.triggers = SimpleNamespace(moving=set(), answered=self.answered)
        self.group = SimpleNamespace(
            name="g", senses={"heard": SenseConfig()}, running=None, place=lambda _: True
        )
        self.repositioning = Repositioning(
            Parent(
                config=lambda: self.config,
                groups={"heard": self.group, "default": self.group},
                triggers=self.triggers,
                recorder=Books(),
                ledger=None,
                warden=None,
                clock=None,
                positions=SimpleNamespace(has=lambda _: True),
                take_up=lambda *taken: self.offered.append(taken),
                newest_id=lambda: 9,
                is_ready=lambda: True,
                is_stopping=lambda: False,
                call_later=self.call_later,
            )
        )

    def answered(self, sense, *_):
        if sense not in self.config.senses:
            raise KeyError(sense)

    def call_later(self, _delay_s, callback):
        self.callbacks.append(callback)
        return SimpleNamespace(cancel=lambda: None)


def test_a_move_whose_sense_a_reload_has_removed_is_answered_all_the_same():
    """SIG-7, CTL-4"""
    bench, answer = Bench(), Answer()
    bench.repositioning.place(CursorRequest(target="heard", source="told", position=3), answer)
    assert bench.triggers.moving == {("heard", "told")}
    bench.config = Config(senses={"told": {}}, reflexes=[])
    bench.callbacks.pop()()
    assert answer.reply.kind == "not_moved"
    assert (bench.triggers.moving, bench.offered) == (set(), [])


def test_a_move_that_takes_too_long_is_given_up_and_what_waits_is_offered_again():
    """SIG-7"""
    bench, answer = Bench(), Answer()
    bench.repositioning.place(CursorRequest(target="heard", source="told", position=3), answer)
    bench.callbacks.pop()()
    assert "took too long" in answer.reply.message
    assert bench.offered == [({"heard"}, "told")]
