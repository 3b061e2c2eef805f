import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.supervisor.states import MOVES, IllegalMove, WorkerEvent, WorkerState, move


def test_an_event_without_a_place_is_refused():
    with pytest.raises(IllegalMove, match="idle cannot ready"):
        move(WorkerState.IDLE, WorkerEvent.READY)


def test_every_state_can_be_reached_and_stopped():
    reached = {WorkerState.STOPPED}
    for _ in WorkerState:
        reached |= {after for (before, _), after in MOVES.items() if before in reached}
    assert reached == set(WorkerState)
    assert all((state, WorkerEvent.STOP) in MOVES for state in WorkerState)


@given(st.lists(st.sampled_from(WorkerEvent), max_size=40))
def test_only_fatal_follows_from_giving_up_and_only_an_asked_stop_ends_stopped(events):
    """RUN-7"""
    state = WorkerState.STOPPED
    asked = True
    for event in events:
        if (state, event) not in MOVES:
            continue
        asked = (asked or event is WorkerEvent.STOP) and event is not WorkerEvent.START
        state = move(state, event)
        assert (state is WorkerState.STOPPED) <= asked
