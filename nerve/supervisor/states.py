"""The states of a worker, and the only moves between them.

Parent; pure. A table instead of conditions spread over the code: an event that is
not legal in a state is a bug, and is refused as one.

    STOPPED -> STARTING -> IDLE <-> BUSY -> STOPPING -> STOPPED
                  |          |       |
                  +--- exit -+-------+--> BACKOFF -> STARTING
                  |                          |
                  +------- too many ---------+--> FATAL
"""

from enum import StrEnum

from nerve.errors import NerveError


class WorkerState(StrEnum):
    """Where a group's worker stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    FATAL = "fatal"


class WorkerEvent(StrEnum):
    """What can happen to it."""

    START = "start"
    READY = "ready"
    DISPATCH = "dispatch"
    OUTCOME = "outcome"
    STOP = "stop"
    EXIT = "exit"
    GIVE_UP = "give_up"


class IllegalMove(NerveError):
    """An event in a state that has no place for it."""


_S, _E = WorkerState, WorkerEvent
MOVES: dict[tuple[WorkerState, WorkerEvent], WorkerState] = {
    (_S.STOPPED, _E.START): _S.STARTING,
    (_S.BACKOFF, _E.START): _S.STARTING,
    (_S.FATAL, _E.START): _S.STARTING,
    (_S.STARTING, _E.READY): _S.IDLE,
    (_S.IDLE, _E.DISPATCH): _S.BUSY,
    (_S.BUSY, _E.OUTCOME): _S.IDLE,
    (_S.STARTING, _E.STOP): _S.STOPPING,
    (_S.IDLE, _E.STOP): _S.STOPPING,
    (_S.BUSY, _E.STOP): _S.STOPPING,
    (_S.BACKOFF, _E.STOP): _S.STOPPED,
    (_S.FATAL, _E.STOP): _S.STOPPED,
    (_S.STOPPED, _E.STOP): _S.STOPPED,
    (_S.STOPPING, _E.STOP): _S.STOPPING,
    (_S.STOPPING, _E.READY): _S.STOPPING,
    (_S.STOPPING, _E.OUTCOME): _S.STOPPING,
    (_S.STOPPING, _E.EXIT): _S.STOPPED,
    (_S.STARTING, _E.EXIT): _S.BACKOFF,
    (_S.IDLE, _E.EXIT): _S.BACKOFF,
    (_S.BUSY, _E.EXIT): _S.BACKOFF,
    (_S.BACKOFF, _E.GIVE_UP): _S.FATAL,
}


def move(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """Return the state that follows; raises IllegalMove where the table has none."""
    try:
        return MOVES[state, event]
    except KeyError:
        raise IllegalMove(f"a worker that is {state} cannot {event}") from None
