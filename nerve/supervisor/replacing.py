"""Replacing the workers of groups on request: `nerve restart`.

Parent, on the loop. The group does it (`group.restart`); this waits for what comes of it: the new
worker is ready, it died before it was, or the group was given up. Each of these comes in bounded
time by the limits that every start has. Whoever asks while a replacement is under way joins it.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pydantic import JsonValue

from nerve.config.durations import format_duration
from nerve.config.targets import groups_of
from nerve.supervisor.answers import Answer, done
from nerve.supervisor.asking import UNDURABLE, Parent, Refused, asked_by, listed
from nerve.supervisor.group import Group
from nerve.supervisor.states import WorkerState
from nerve.wire.control import RestartRequest
from nerve.wire.messages import ReadyMessage


@dataclass(slots=True, eq=False)
class _Wait:
    """One request: the groups that are not back yet, and what became of the others."""

    answer: Answer
    missing: set[str]
    told: list[JsonValue] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


class Replacing:
    """The replacements under way that somebody has asked for."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._waits: list[_Wait] = []
        self._given_up: set[str] = set()  # senses whose groups were, and that are not back yet

    def restart(self, request: RestartRequest, answer: Answer) -> None:
        """Replace the workers of groups."""
        parent, by = self._parent, asked_by("nerve restart", answer)
        parent.require_going_on()
        if parent.is_reloading():
            hint = "try it again when that has come to its end"
            raise Refused("busy", "a reload is under way, and replaces workers itself", hint=hint)
        names = groups_of(parent.config(), request.groups)
        wait = _Wait(answer, set(names))
        self._waits.append(wait)
        answer.on_close(lambda: self._forget(wait))
        for name in names:
            group = parent.groups[name]
            message = f"its worker is replaced, by `nerve restart`; it was {group.state}"
            payload = {"message": message, "by": by}
            parent.ledger.log(name, "group.restarting", "info", payload)
            answer.progress(f"{name}: {self._doing(group)}")
            group.restart()

    def came_up(self, name: str, ready: ReadyMessage) -> None:
        """The worker of a group is ready."""
        reports = {report.name: report.fault for report in ready.senses}
        if gained := self._given_up & self._parent.groups[name].senses.keys():
            self._given_up -= gained
            self._regain(gained - reports.keys())
        senses: dict[str, JsonValue] = {
            sense: fault.message if fault else "" for sense, fault in reports.items()
        }
        faulty = [sense for sense, fault in reports.items() if fault]
        fact: dict[str, JsonValue] = {"group": name, "generation": ready.generation}
        message = f"{name}: worker {ready.generation} is ready"
        if faulty:
            message += f"; not available: {listed(faulty)}"
        self._end(name, message, {**fact, "senses": senses}, is_good=not faulty)

    def failed(self, name: str) -> None:
        """A new worker has died before it was ready, or the group was given up."""
        group = self._parent.groups[name]
        if given_up := group.state is WorkerState.FATAL:
            self._given_up |= group.senses.keys()
        then = "given up" if given_up else "it is tried again"
        message = f"{name}: {group.deaths.trouble or 'its worker did not come up'}; {then}"
        fact: dict[str, JsonValue] = {"group": name, "generation": group.generation}
        self._end(name, message, {**fact, "fault": group.deaths.trouble}, is_good=False)

    def _regain(self, left_out: AbstractSet[str]) -> None:
        """A sense that was left out because it rests is no longer lost with its group."""
        triggers, tally = self._parent.triggers, self._parent.ledger.tally
        for sense in left_out & triggers.unavailable.keys():
            del triggers.unavailable[sense]
            tally.unavailable.discard(sense)
            self._parent.take_up({sense}, "")

    def _end(self, name: str, message: str, fact: dict[str, JsonValue], *, is_good: bool) -> None:
        for wait in [wait for wait in self._waits if name in wait.missing]:
            wait.missing.discard(name)
            wait.told.append(fact)
            if not is_good:
                wait.bad.append(message)
            if wait.missing:
                wait.answer.progress(message, "info" if is_good else "error")
            else:
                self._forget(wait)
                self._answer(wait, message)

    def _answer(self, wait: _Wait, last: str) -> None:
        message = "\n".join(wait.bad) or (last if len(wait.told) == 1 else "all are ready")
        self._parent.when_durable(
            lambda durable: done(
                wait.answer,
                message if durable else message + UNDURABLE,
                is_good=durable and not wait.bad,
                groups=wait.told,
            )
        )

    def _forget(self, wait: _Wait) -> None:
        if wait in self._waits:
            self._waits.remove(wait)

    def _doing(self, group: Group) -> str:
        if group.state is WorkerState.BUSY and (sense := group.running) is not None:
            config = group.senses[sense]
            allowed = format_duration(config.timeout_ms + config.grace_period_ms)
            return f"waits for {sense}, which may run for {allowed}"
        return _DOING.get(group.state, "its worker is replaced")


_DOING = {
    WorkerState.STARTING: "the start under way is broken off",
    WorkerState.STOPPING: "its worker is being replaced already",
    WorkerState.BACKOFF: "its worker is started at once",
    WorkerState.FATAL: "it was given up; its worker is started",
}
