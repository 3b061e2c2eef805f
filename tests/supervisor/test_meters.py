"""What a running nerve measures, and how it tells a page of it."""

from types import SimpleNamespace

import pytest

from nerve.supervisor import meters as meters_module
from nerve.supervisor.meters import DURATION_BOUNDS_S, LATENESS_BOUNDS_S, Meters
from nerve.supervisor.states import WorkerState
from nerve.wire.control import MAX_REPLY_BYTES, DoneReply, MeasuresRequest, parse_request
from nerve.wire.measures import MeasuresPage
from nerve.wire.model import dump


class Hands:
    """A clock that is moved by hand."""

    def __init__(self):
        self.at_s = 1_000.0

    def monotonic(self):
        return self.at_s

    def boottime(self):
        return self.at_s

    def now_us(self):
        return round(self.at_s * 1_000_000)


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def measured(clock):
    group = SimpleNamespace(name="one", state=WorkerState.BUSY, generation=3, queue=["a", "b"])
    return Meters(clock, {"one": group}, "boot")


def compute(meters, clock, sense, *, late_s=None, takes_s=0.0):
    meters.began(sense, None if late_s is None else clock.now_us() - round(late_s * 1_000_000))
    clock.at_s += takes_s
    meters.ended(sense)


def asked(meters, after=""):
    replies = []
    meters.answer(MeasuresRequest(after=after), SimpleNamespace(end=replies.append))
    (reply,) = replies
    assert isinstance(reply, DoneReply)
    assert len(dump(reply)) < MAX_REPLY_BYTES
    return MeasuresPage.model_validate(reply.facts)


def test_a_value_is_counted_in_the_first_bucket_that_holds_it(measured, clock):
    compute(measured, clock, "a", late_s=0.004, takes_s=0.2)
    compute(measured, clock, "a", late_s=0.01, takes_s=400.0)
    (a,) = asked(measured).senses
    assert a.durations.sum_s == pytest.approx(400.2)
    assert a.durations.counts[DURATION_BOUNDS_S.index(0.25)] == 1
    assert a.durations.counts[-1] == 1
    assert a.lateness.counts[LATENESS_BOUNDS_S.index(0.005)] == 1
    assert a.lateness.counts[LATENESS_BOUNDS_S.index(0.01)] == 1
    assert a.lateness.sum_s == pytest.approx(0.014)


def test_what_no_tick_has_caused_has_no_lateness(measured, clock):
    compute(measured, clock, "a", takes_s=1.0)
    (a,) = asked(measured).senses
    assert sum(a.durations.counts) == 1
    assert sum(a.lateness.counts) == 0


def test_a_clock_that_was_set_back_makes_nothing_early(measured, clock):
    compute(measured, clock, "a", late_s=-3600.0)
    (a,) = asked(measured).senses
    assert a.lateness.sum_s == 0
    assert a.lateness.counts[0] == 1


def test_an_outcome_is_measured_once(measured, clock):
    compute(measured, clock, "a")
    measured.ended("a")
    measured.ended("never-begun")
    (a,) = asked(measured).senses
    assert sum(a.durations.counts) == 1


def test_groups_come_with_the_first_page_and_senses_by_pages(measured, clock, monkeypatch):
    monkeypatch.setattr(meters_module, "PAGE_SENSES", 2)
    for name in ("c", "a", "e", "b", "d"):
        compute(measured, clock, name)
    first = asked(measured)
    (group,) = first.groups
    assert (group.state, group.starts, group.waiting) == ("busy", 3, 2)
    assert [s.name for s in first.senses] == ["a", "b"]
    assert first.more
    second, third = asked(measured, "b"), asked(measured, "d")
    assert [s.name for s in second.senses] == ["c", "d"]
    assert second.groups == ()
    assert [s.name for s in third.senses] == ["e"]
    assert not third.more


def test_a_sense_that_is_gone_is_told_no_more(measured, clock):
    for name in ("a", "b"):
        compute(measured, clock, name)
    measured.forget(["a", "never-begun"])
    assert [s.name for s in asked(measured).senses] == ["b"]


def test_the_request_is_one_of_the_control_socket():
    assert parse_request(b'{"type": "measures", "after": "x"}') == MeasuresRequest(after="x")
