"""Pausing and resuming senses while everything runs.

Parent, on the loop. What a person says is in force at once, and stored with its row of the log in
one transaction before it is `done`; a start finds it there. Resuming ends a quarantine and a rest
as well, and takes up what other senses have signalled meanwhile as the reflexes say.
"""

from collections.abc import Iterable

from pydantic import JsonValue

from nerve.clock import rfc3339
from nerve.config.targets import senses_of
from nerve.store.batch import Pause, Quarantine
from nerve.supervisor import holds
from nerve.supervisor.answers import Answer, done
from nerve.supervisor.asking import UNDURABLE, By, Parent, asked_by, listed
from nerve.wire.control import PauseRequest, ResumeRequest


class Pauses:
    """All senses that are paused."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._pauses: dict[str, Pause] = {}

    def restore(self, stored: Iterable[Pause]) -> None:
        """Take up what earlier runs have stored."""
        parent = self._parent
        for pause in stored:
            if pause.sense in parent.config().senses:
                self._pauses[pause.sense] = pause
                parent.triggers.pause(pause.sense, pause.reason)
                parent.ledger.log(*holds.still_paused(pause))

    def forget(self, senses: Iterable[str]) -> None:
        """Know nothing of senses that are configured no longer; what is stored of them stays."""
        for sense in senses:
            self._pauses.pop(sense, None)

    def pause(self, request: PauseRequest, answer: Answer) -> None:
        """Let senses not run; those that are paused already get the new reason."""
        parent, by = self._parent, asked_by("nerve pause", answer)
        parent.require_going_on()
        senses = senses_of(parent.config(), request.targets)
        reason = parent.ledger.masked(request.reason.strip())
        for sense in senses:
            self._pause(sense, reason, by)
        running = [sense for sense in senses if parent.group_of(sense).running == sense]
        told: list[JsonValue] = [_as_json(self._pauses[sense]) for sense in senses]
        message = f"paused: {listed(senses)}"
        if running:
            message += f"; what runs now comes to its end: {listed(running)}"
        facts: dict[str, JsonValue] = {"senses": told, "running": list(running)}
        parent.when_durable(
            lambda durable: done(
                answer, message if durable else message + UNDURABLE, is_good=durable, **facts
            )
        )

    def _pause(self, sense: str, reason: str, by: By) -> None:
        before = self._pauses.get(sense)
        if before is not None and reason in {"", before.reason}:
            return
        since_us = before.since_us if before else self._parent.clock.now_us()
        pause = self._pauses[sense] = Pause(sense, since_us, reason)
        self._parent.triggers.pause(sense, reason)
        self._parent.recorder.pause(sense, pause)
        self._parent.ledger.log(*holds.paused(pause, by))

    def resume(self, request: ResumeRequest, answer: Answer) -> None:
        """Let senses run again, whatever holds them."""
        parent, by = self._parent, asked_by("nerve resume", answer)
        parent.require_going_on()
        senses = senses_of(parent.config(), request.targets)
        ended = {sense: self._resume(sense, by) for sense in senses}
        freed = [sense for sense, words in ended.items() if words]
        # Not what rested: that has heard all signals, and they wait for it.
        if unpaused := {sense for sense, words in ended.items() if "pause" in words}:
            parent.take_up(unpaused, "")
        message = f"free again: {listed(freed)}" if freed else "nothing was to be ended"
        is_good = len(freed) == len(senses)
        parent.when_durable(
            lambda durable: done(
                answer,
                message if durable else message + UNDURABLE,
                is_good=is_good and durable,
                senses=[
                    {"sense": sense, "resumed": bool(words), "ended": [*words]}
                    for sense, words in ended.items()
                ],
            )
        )

    def _resume(self, sense: str, by: By) -> list[str]:
        """End what holds a sense; return the words for that: pause, quarantine, rest."""
        parent, ended = self._parent, list[str]()
        if (pause := self._pauses.pop(sense, None)) is not None:
            del parent.triggers.paused[sense]
            parent.recorder.pause(sense, None)
            parent.ledger.log(*holds.resumed(pause, by))
            ended.append("pause")
        if (conduct := parent.warden.release(sense)) is not None:
            if conduct.is_quarantined:
                until_us, why = conduct.quarantined_until_us, conduct.reason
                held = Quarantine(sense, conduct.quarantines, 0, until_us, why)
                parent.ledger.log(*holds.lifted(held, by))
            else:
                parent.ledger.log(*holds.relieved(sense, conduct, by))
            parent.triggers.relieve(sense)
            parent.group_of(sense).bring_in(sense)
            ended.append("quarantine" if conduct.is_quarantined else "rest")
        return ended


def _as_json(pause: Pause) -> dict[str, JsonValue]:
    return {"sense": pause.sense, "since": rfc3339(pause.since_us), "reason": pause.reason}
