"""What a running nerve measures, and how it tells a page of it."""

from types import SimpleNamespace

import pytest

from nerve.clock import SystemClock
from nerve.supervisor import meters as meters_module
from nerve.supervisor.meters import DURATION_BOUNDS_S, LATENESS_BOUNDS_S, Meters
from nerve.supervisor.states import WorkerState
from nerve.wire.control import MAX_REPLY_BYTES, DoneReply, MeasuresRequest, parse_request
from nerve.wire.measures import MeasuresPage
from nerve.wire.model import dump


@pytest.fixture
def measured():
    group = SimpleNamespace(name="one", state=WorkerState.BUSY, generation=3, queue=["a", "b"])
    return Meters(SystemClock(), {"one": group}, "boot")


def compute(meters, sense, *, late_s=0.0, took_s=0.0):
    meters.late(sense, late_s)
    meters.took(sense, took_s)


def asked(meters, after=""):
    replies = []
    meters.answer(MeasuresRequest(after=after), SimpleNamespace(end=replies.append))
    (reply,) = replies
    assert isinstance(reply, DoneReply)
    assert len(dump(reply)) < MAX_REPLY_BYTES
    return MeasuresPage.model_validate(reply.facts)


def test_a_value_is_counted_in_the_first_bucket_that_holds_it(measured):
    compute(measured, "a", late_s=0.004, took_s=0.2)
    compute(measured, "a", late_s=0.01, took_s=400.0)
    (a,) = asked(measured).senses
    assert a.durations.sum_s == pytest.approx(400.2)
    assert a.durations.counts[DURATION_BOUNDS_S.index(0.25)] == 1
    assert a.durations.counts[-1] == 1
    assert a.lateness.counts[LATENESS_BOUNDS_S.index(0.005)] == 1
    assert a.lateness.counts[LATENESS_BOUNDS_S.index(0.01)] == 1
    assert a.lateness.sum_s == pytest.approx(0.014)


def test_an_outcome_without_a_start_is_not_measured(measured):
    compute(measured, "a")
    measured.took("a", None)
    measured.took("never-begun", 1.0)
    (a,) = asked(measured).senses
    assert sum(a.durations.counts) == 1


def test_groups_come_with_the_first_page_and_senses_by_pages(measured, monkeypatch):
    monkeypatch.setattr(meters_module, "PAGE_SENSES", 2)
    for name in ("c", "a", "e", "b", "d"):
        compute(measured, name)
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


def test_a_sense_that_is_gone_is_told_no_more(measured):
    for name in ("a", "b"):
        compute(measured, name)
    measured.forget(["a", "never-begun"])
    assert [s.name for s in asked(measured).senses] == ["b"]


def test_the_request_is_one_of_the_control_socket():
    assert parse_request(b'{"type": "measures", "after": "x"}') == MeasuresRequest(after="x")
