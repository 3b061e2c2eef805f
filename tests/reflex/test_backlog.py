from hypothesis import given
from hypothesis import strategies as st

from nerve.config.where import parse_where
from nerve.reflex.backlog import sort_out
from nerve.reflex.causes import CausingSignal
from nerve.reflex.listeners import Route
from nerve.reflex.missed import MAX_CATCHUP_RUNS
from nerve.wire.messages import MAX_CAUSES

NOW = 1_000_000


def signals(*loads, at_us=NOW):
    return [CausingSignal(n, "a", at_us, {"load": load}, (), 2) for n, load in enumerate(loads, 1)]


def test_what_came_meanwhile_is_one_cause_with_the_newest_signals():
    """SIG-7"""
    backlog = sort_out(Route("x", "a"), signals(*range(150)), 20, 150, NOW)
    (cause,) = backlog.causes
    assert len(cause.signals) == MAX_CAUSES
    assert (cause.left_out, cause.positions) == (70, {"a": 150})


def test_each_is_a_trigger_of_its_own_where_that_is_wanted():
    """SIG-7, SIG-8"""
    backlog = sort_out(Route("x", "a", missed="all"), signals(1, 2, 3), 0, 3, NOW)
    assert [cause.positions["a"] for cause in backlog.causes] == [1, 2, 3]
    many = sort_out(Route("x", "a", missed="all"), signals(*range(150)), 9, 150, NOW)
    assert (len(many.causes), many.missed) == (MAX_CATCHUP_RUNS, 59)


def test_nothing_comes_of_what_is_to_be_skipped_and_it_is_counted():
    """SIG-8"""
    backlog = sort_out(Route("x", "a", missed="skip"), signals(1, 2), 5, 2, NOW)
    assert (backlog.causes, backlog.missed, backlog.newest) == ((), 7, 2)


def test_catchup_leaves_out_what_is_older():
    """SIG-8"""
    old, new = signals(1, at_us=NOW - 100), signals(1, 2, at_us=NOW - 10)[1:]
    backlog = sort_out(Route("x", "a", catchup_us=50), [*old, *new], 3, 2, NOW)
    assert [s.id for s in backlog.causes[0].signals] == [2]
    assert (backlog.causes[0].left_out, backlog.missed) == (0, 4)


def test_where_is_asked_and_the_cursor_still_ends_behind_the_last():
    """SIG-7, SIG-8"""
    route = Route("x", "a", where=parse_where("load > 5"))
    backlog = sort_out(route, signals(9, 1, 2), 0, 3, NOW)
    assert [s.id for s in backlog.causes[0].signals] == [1]
    assert backlog.causes[0].positions == {"a": 3}
    assert backlog.refused == {"filtered": 2}
    assert sort_out(route, signals(1, 2), 0, 2, NOW).causes == ()


def test_what_was_not_read_may_pass_and_so_it_triggers():
    """SIG-2: a signal is not lost because there were many."""
    route = Route("x", "a", where=parse_where("load > 5"))
    (cause,) = sort_out(route, signals(1), 3, 9, NOW).causes
    assert (cause.signals, cause.left_out, cause.positions) == ((), 3, {"a": 9})


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, NOW)), min_size=1, max_size=250),
    st.integers(0, 20),
    st.sampled_from(["skip", "once", "all"]),
    st.one_of(st.none(), st.integers(1, NOW)),
    st.sampled_from([None, "load > 5", "payload.x.y"]),
)
def test_each_signal_is_answered_refused_or_missed(
    given_signals, unread, missed, catchup_us, where
):
    """SIG-8"""
    found = [
        CausingSignal(n, "a", at, {"load": load}, (), 2)
        for n, (load, at) in enumerate(given_signals, 1)
    ]
    route = Route("x", "a", 0, where and parse_where(where), 0.0, missed, catchup_us)
    backlog = sort_out(route, found, unread, len(found), NOW)
    answered = sum(len(cause.signals) + cause.left_out for cause in backlog.causes)
    assert answered + sum(backlog.refused.values()) + backlog.missed == len(found) + unread
    if backlog.causes:
        assert backlog.causes[-1].positions == {"a": len(found)}


def test_what_was_not_read_is_no_younger_than_what_was():
    """SIG-8"""
    route = Route("x", "a", where=parse_where("load > 5"), catchup_us=50)
    backlog = sort_out(route, signals(1, 2, at_us=NOW - 100), 300, 2, NOW)
    assert (backlog.causes, backlog.missed) == ((), 300)
