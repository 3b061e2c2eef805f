"""Moving how far a reflex has got while everything runs: `nerve cursor set`.

Parent, on the loop. Two places know that, and the larger one holds: the worker puts back the one in
the target's database, because that has one writer, and then the journal's is put, with its row of
the log. A kill between the two leaves it where it was. Meanwhile signals of that source wait behind
the cursor, what waited of them is given up, and all is taken up from there at the end. What
the target computes just then comes to its end first.
"""

import asyncio
from dataclasses import dataclass

from pydantic import JsonValue

from nerve.clock import MS_PER_S
from nerve.config.targets import require_sense
from nerve.errors import Exit
from nerve.reflex.listeners import Pair
from nerve.supervisor.answers import Answer, done, refused
from nerve.supervisor.asking import UNDURABLE, By, Parent, Refused, asked_by
from nerve.wire.control import CursorRequest
from nerve.wire.messages import PlacedMessage, PlaceMessage
from nerve.wire.model import MAX_INTEGER

PLACE_MARGIN_S = 10.0
"""For the worker to write one row, beyond the longest compute of its group."""


@dataclass(slots=True)
class _Move:
    """A cursor on its way."""

    position: int
    by: By
    answer: Answer
    patience: asyncio.TimerHandle


class Repositioning:
    """The cursors that are being moved."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._moves: dict[Pair, _Move] = {}

    def place(self, request: CursorRequest, answer: Answer) -> None:
        """Let a target go on behind another signal of a source."""
        parent, pair = self._parent, (request.target, request.source)
        parent.require_going_on()
        self._require_movable(request, pair)
        group = parent.group_of(request.target)
        message = PlaceMessage(
            sense=request.target, source=request.source, position=request.position
        )
        if not group.place(message):
            hint = f"`nerve restart {group.name}` starts one; then try again"
            said = f"{request.target} has no worker now that could write it: {group.state}"
            raise Refused("busy", said, hint=hint)
        longest_ms = max(s.timeout_ms + s.grace_period_ms for s in group.senses.values())
        patience = parent.call_later(
            longest_ms / MS_PER_S + PLACE_MARGIN_S, lambda: self._fail(pair, "it took too long")
        )
        by = asked_by("nerve cursor set", answer)
        self._moves[pair] = _Move(request.position, by, answer, patience)
        parent.triggers.moving.add(pair)
        parent.triggers.answered(*pair, MAX_INTEGER)  # or it would be answered behind that row
        if group.running is not None:
            answer.progress(f"waits for {group.running}, which its group {group.name} runs now")

    def _require_movable(self, request: CursorRequest, pair: Pair) -> None:
        parent = self._parent
        require_sense(parent.config(), request.target)
        if not parent.positions.has(pair):
            said = f"no reflex runs {request.target!r} on signals of {request.source!r}"
            hint = "`nerve cursor show` lists them"
            raise Refused("unknown_reflex", said, hint=hint, exit_code=Exit.USAGE)
        if request.position > (newest := parent.newest_id()):
            said = f"there is no signal {request.position} yet; the newest entry is {newest}"
            raise Refused("invalid", said, exit_code=Exit.USAGE)
        if pair in self._moves:
            said = f"the cursor of {request.target} for {request.source} is being moved already"
            raise Refused("busy", said, hint="try again when that is done")
        if not parent.is_ready():
            raise Refused("busy", "nerve is starting", hint="try again when all groups are ready")

    def placed(self, message: PlacedMessage) -> None:
        """The worker has put back what the database says, or could not."""
        pair = (message.sense, message.source)
        move = self._moves.get(pair)
        if move is None or move.position != message.position:
            return  # it was given up
        if message.fault is not None:
            self._fail(pair, message.fault.message)
            return
        parent = self._parent
        del self._moves[pair]
        move.patience.cancel()
        parent.positions.forget(pair)
        parent.recorder.place(*pair, move.position)
        said = f"goes on after {move.position} of {message.source}, by `nerve cursor set`"
        fact: dict[str, JsonValue] = {"source": message.source, "new": move.position}
        payload = {"message": said, **fact, "by": dict(move.by)}
        parent.ledger.log(message.sense, "cursor.set", "info", payload)
        parent.recorder.when_durable(lambda: self._take_up(pair))
        parent.when_durable(
            lambda durable: done(
                move.answer,
                f"{message.sense} {said}{'' if durable else UNDURABLE}",
                is_good=durable,
                target=message.sense,
                **fact,
            )
        )

    def _take_up(self, pair: Pair) -> None:
        """Go on from the cursor, wherever it is."""
        parent = self._parent
        parent.triggers.moving.discard(pair)
        if pair[0] not in parent.config().senses:
            return  # a reload has removed it meanwhile
        parent.triggers.answered(*pair, MAX_INTEGER)  # or what waits would be offered twice
        if not parent.is_stopping():
            parent.take_up({pair[0]}, pair[1])

    def _fail(self, pair: Pair, why: str) -> None:
        if (move := self._moves.pop(pair, None)) is None:
            return
        move.patience.cancel()
        self._take_up(pair)
        hint = f"`nerve why {pair[0]}` says how it is"
        said = f"the cursor of {pair[0]} for {pair[1]} was not moved: {why}"
        refused(move.answer, "not_moved", said, hint=hint)
