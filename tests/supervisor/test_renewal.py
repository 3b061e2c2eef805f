from hypothesis import given
from hypothesis import strategies as st

from nerve.supervisor.inflight import PASSING_FAULTS
from nerve.supervisor.renewal import (
    RETRY_FIRST_S,
    RETRY_MAX_S,
    RETRY_WHEN_BUSY_S,
    Renewal,
)
from nerve.wire.messages import Fault, ReadyMessage, SenseReport


def ready(*kinds):
    reports = tuple(
        SenseReport(name=f"s{i}", fault=Fault(kind=kind, message="") if kind else None)
        for i, kind in enumerate(kinds)
    )
    return ReadyMessage(generation=1, preloaded=True, senses=reports)


def test_the_pauses_grow_while_a_database_is_out_of_reach_and_begin_anew_when_it_is_not():
    renewal = Renewal()
    pauses = [renewal.delay_s(ready(None, "disk_full"), []) for _ in range(9)]
    assert pauses[:3] == [RETRY_FIRST_S, 2 * RETRY_FIRST_S, 4 * RETRY_FIRST_S]
    assert pauses[-1] == RETRY_MAX_S
    assert renewal.delay_s(ready(None), []) is None
    assert renewal.delay_s(ready("locked"), []) == RETRY_FIRST_S
    renewal.forget()
    assert renewal.delay_s(ready("locked"), []) == RETRY_FIRST_S


def test_what_was_left_out_is_brought_in_when_the_first_of_it_has_rested():
    assert Renewal().delay_s(ready(None), [30.0, 12.0]) == 12.0 + RETRY_WHEN_BUSY_S


@given(
    st.lists(st.sampled_from([None, "corrupt", *sorted(PASSING_FAULTS)])),
    st.lists(st.floats(0, 1e6)),
)
def test_a_worker_is_renewed_only_for_what_may_pass(kinds, rests_s):
    delay_s = Renewal().delay_s(ready(*kinds), rests_s)
    assert (delay_s is not None) == bool(rests_s or PASSING_FAULTS.intersection(kinds))
