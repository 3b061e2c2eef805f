"""What becomes of signals that came while their listener could not hear them.

Parent; pure. nerve was not running, or the sense that listens was not available or paused.
`missed` and `catchup` of the reflex decide, as they do for ticks
(`nerve.reflex.missed`), and its `where` is asked as always. Whatever is decided, the
causes together stand for all of the signals, so that the cursor ends behind the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nerve.reflex.causes import Cause, CausingSignal, is_loop
from nerve.reflex.listeners import Route, caused_by
from nerve.reflex.missed import MAX_CATCHUP_RUNS
from nerve.sense import TriggerKind
from nerve.wire.messages import MAX_CAUSES


@dataclass(frozen=True, slots=True)
class Backlog:
    """Signals that a target has not answered, and what is to come of them.

    Attributes:
        total: how many there are.
        newest: the id of the last of them.
        causes: what to offer; each is a trigger of its own.
        refused: signals that do not pass `where`, by reason.
        missed: signals of which nothing comes, as the reflex says.
        loops: signals whose chain is cut here; what came with them is answered all the same.
    """

    route: Route
    total: int
    newest: int
    causes: tuple[Cause, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    loops: tuple[CausingSignal, ...] = ()


def sort_out(
    route: Route, signals: Sequence[CausingSignal], unread: int, newest: int, now_us: int
) -> Backlog:
    """Decide about the signals of a route's source after its cursor.

    Args:
        route: whose signals they are.
        signals: those that were read, the newest, oldest first.
        unread: how many more came before these. As they may pass `where`, they count as passed.
        newest: the id of the last of all.
        now_us: for `catchup`, UTC microseconds.
    """
    total = len(signals) + unread
    passed, refused, loops = _passed(route, signals)
    if route.missed != "skip":
        oldest_us = 0 if route.catchup_us is None else now_us - route.catchup_us
        recent = [signal for signal in passed if signal.at_us >= oldest_us]
        # Where the oldest that was read is recent, those before it may be.
        before = unread if not signals or signals[0].at_us >= oldest_us else 0
        causes = _all(recent) if route.missed == "all" else _once(route, recent, before)
    else:
        causes, recent, before = (), [], 0
    if causes:
        last = causes[-1]
        causes = (*causes[:-1], last._replace(positions={route.source: newest}))
    answered = len(causes) if route.missed == "all" else len(recent) + before
    missed = total - sum(refused.values()) - len(loops) - answered
    return Backlog(route, total, newest, causes, refused, missed, loops)


def _passed(
    route: Route, signals: Sequence[CausingSignal]
) -> tuple[list[CausingSignal], dict[str, int], tuple[CausingSignal, ...]]:
    passed, refused, loops = [], dict[str, int](), []
    for signal in signals:
        if refusal := route.refusal(signal):
            refused[refusal.reason] = refused.get(refusal.reason, 0) + 1
        elif is_loop(caused_by(signal)):
            loops.append(signal)
        else:
            passed.append(signal)
    return passed, refused, tuple(loops)


def _all(recent: list[CausingSignal]) -> tuple[Cause, ...]:
    return tuple(caused_by(signal) for signal in recent[-MAX_CATCHUP_RUNS:])


def _once(route: Route, recent: list[CausingSignal], before: int) -> tuple[Cause, ...]:
    held = tuple(recent[-MAX_CAUSES:])
    left_out = len(recent) - len(held) + before
    if not held and not left_out:
        return ()
    return (Cause(TriggerKind.SIGNAL, held, left_out, {route.source: 0}),)
