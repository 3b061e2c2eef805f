"""A reload: nerve goes on with another configuration, and restarts only what has changed.

Parent, on the loop. Asked for by `nerve reload`, SIGHUP, or a watch on the files; one at a time.

    survey    nerve.yaml is read anew and checked whole, what changed is found, and senses that
              are new or changed are loaded on trial (`survey`, `changes`). Any fault ends it here,
              and nothing has been touched.
    switch    in one turn of the loop, so that nobody ever sees half of it: reflexes, timers,
              throttles, retention and names are those of the new configuration from now on.
              What waits stays, or is counted with its reason.
    replace   the workers that have to be, each group by itself (`handover`); the others are told
              what they must know of it. What comes up or does not is told, and is logged as always:
              a sense that passed its trial and fails all the same is as unavailable as at a start.
    let go    what belongs to no sense any more is forgotten; databases stay.

Every step has a bound, and a stop of nerve ends a reload at whatever step it is. What takes effect
only at a start of nerve is named each time, until it has.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from traceback import format_exc
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from nerve.config import ConfigFaults, Loaded
from nerve.errors import Exit, NerveError
from nerve.supervisor.answers import Answer, done, refused
from nerve.supervisor.asking import listed
from nerve.supervisor.group import Group
from nerve.supervisor.handover import PROGRESS_EVERY_S, Handover, Result
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.roster import by_group
from nerve.supervisor.survey import TRIAL_TIMEOUT_S, Found, Survey
from nerve.wire.control import DoneReply, RefusedReply, ReloadRequest
from nerve.wire.messages import Code, SenseReport
from nerve.wire.status import StatusReply

STEP_TIMEOUT_S = TRIAL_TIMEOUT_S + 30.0
"""For one step of the survey; longer than each has itself, so that its own word comes first."""
MAX_TOLD = 50
"""Keys, groups and senses that one sentence or row names; of more the number is told."""


Asked = dict[str, JsonValue]
"""Who has asked for a reload, as log rows have it."""


class Host(Protocol):
    """What a reload needs of the supervisor."""

    ledger: Ledger

    @property
    def groups(self) -> Mapping[str, Group]:
        """All groups by name."""
        ...

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Senses that cannot run, and why."""
        ...

    def not_now(self) -> str:
        """Why no configuration can be changed now; empty where it can."""
        ...

    def switch(self, found: Found) -> None:
        """Go on with another configuration, as far as that needs no worker."""
        ...

    def let_go(self, found: Found) -> None:
        """Forget what the new configuration has not, its workers being gone."""
        ...


class Reloading:
    """At most one reload, and the wish for another.

    Attributes:
        left: what takes effect only when nerve is started again.
        on_change: called with True as a reload begins, and with False as it ends, in whatever way.
    """

    def __init__(self, host: Host, loaded: Loaded, environ: Mapping[str, str]) -> None:
        """`environ` is the environment of the start, for nerve.yaml and for the senses."""
        self._host = host
        self._started = self._current = loaded
        self._environ = environ
        self._codes: dict[str, Code] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_surveying = False
        self._handover: Handover | None = None
        self._wanted_by = ""
        self._has_ended = False
        self.left: tuple[str, ...] = ()
        self.on_change: Callable[[bool], None] = lambda _: None

    @property
    def is_under_way(self) -> bool:
        """Whether a reload is being prepared or carried out."""
        return self._task is not None

    def take_report(self, report: SenseReport) -> None:
        """Note what was loaded of a sense."""
        self._codes[report.name] = report.code

    def request(self, request: ReloadRequest, answer: Answer) -> None:
        """Reload, or say only what that would do; refused while another one is under way."""
        if why := self._why_not():
            refused(answer, "busy", f"no reload now: {why}", hint="try it again in a moment")
            return
        self._begin(answer, "nerve reload", is_trial=request.check)

    def ask(self, by: str) -> None:
        """Reload because of a signal or a changed file, now or as soon as it can be."""
        if self._has_ended:
            return
        if self._why_not():
            self._wanted_by = by
        else:
            self._begin(_Nobody(), by)

    def go_on(self) -> None:
        """What stood against a reload may be over: begin the one that is wanted."""
        if self._wanted_by and not self._why_not():
            by, self._wanted_by = self._wanted_by, ""
            self.ask(by)

    def end(self) -> None:
        """Nerve stops: a reload that is under way ends where it stands."""
        self._has_ended, self._wanted_by = True, ""
        if self._handover is not None:
            self._handover.cancel()
        if self._task is not None:
            self._task.cancel()

    def _why_not(self) -> str:
        if self._task is not None:
            return "another one is under way"
        if self._is_surveying:
            return "the last one still waits for a disk"
        return self._host.not_now()

    def _begin(self, answer: Answer, by: str, *, is_trial: bool = False) -> None:
        asked: Asked = {"by": by, **answer.by}
        run = self._run(answer, asked, is_trial=is_trial)
        self._task = asyncio.get_running_loop().create_task(run)
        self._task.add_done_callback(lambda _: self._on_end(is_trial=is_trial))
        if not is_trial:
            self.on_change(True)  # noqa: FBT003  what it says is in its name

    def _on_end(self, *, is_trial: bool) -> None:
        self._task = self._handover = None
        if not (is_trial or self._has_ended):
            self.on_change(False)  # noqa: FBT003  the same
        self.go_on()

    async def _run(self, answer: Answer, asked: Asked, *, is_trial: bool) -> None:
        try:
            found = await self._surveyed(answer)
            for warning in found.loaded.warnings:
                answer.progress(f"warning: {warning}", "warning")
            if is_trial:
                _tell_trial(answer, found)
            else:
                await self._carry_out(answer, found, asked)
        except NerveError as error:
            self._refuse(answer, error, asked, is_trial=is_trial)
        except asyncio.CancelledError:
            message = "nerve stops; the reload was not brought to its end"
            refused(answer, "stopping", message, hint="the next start reads nerve.yaml anew")
        except Exception as error:  # noqa: BLE001  whoever asked must have an answer
            message = f"an error of nerve itself, at a reload: {error!r}"
            payload = {"message": message, "hint": "please report it", "stack": format_exc()}
            self._host.ledger.log("nerve", "config.refused", "error", payload)
            refused(answer, "internal", message, exit_code=int(Exit.INTERNAL))

    # --- survey ---------------------------------------------------------------------

    async def _surveyed(self, answer: Answer) -> Found:
        """Have a survey made; raises ConfigFaults, NerveError."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Found] = loop.create_future()
        steps: asyncio.Queue[str] = asyncio.Queue()

        def tell(callback: Callable[..., None], *arguments: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(callback, *arguments)

        survey = Survey(
            self._started,
            self._current,
            self._environ,
            dict(self._codes),
            frozenset(self._host.unavailable),
            lambda: self._has_ended or ended.done(),
            lambda step: tell(steps.put_nowait, step),
        )

        def work() -> None:
            try:
                result: Found | Exception = survey.run()
            except Exception as error:  # noqa: BLE001  the thread's end; it is raised on the loop
                result = error
            tell(self._on_surveyed, ended, result)

        # Of its own, and a daemon: it may hang on a dead disk for ever, and nobody must wait then.
        self._is_surveying = True
        threading.Thread(target=work, name="reload", daemon=True).start()
        return await _in_steps(ended, steps, answer.progress)

    def _on_surveyed(self, ended: "asyncio.Future[Found]", result: Found | Exception) -> None:
        self._is_surveying = False
        if ended.done():  # it was given up
            self.go_on()
        elif isinstance(result, Exception):
            ended.set_exception(result)
        else:
            ended.set_result(result)

    def _refuse(self, answer: Answer, error: NerveError, asked: Asked, *, is_trial: bool) -> None:
        """Nothing has changed; everything that is wrong is told at once."""
        hint = "the old configuration runs on; mend it and reload again"
        if not is_trial:
            payload = {"message": f"not reloaded: {error}", **asked, "hint": hint}
            self._host.ledger.log("nerve", "config.refused", "error", payload)
        code = Exit.CONFIGURATION if isinstance(error, ConfigFaults) else error.exit_code
        refused(answer, "invalid", str(error), hint=error.hint or hint, exit_code=int(code))

    # --- carrying it out ------------------------------------------------------------

    async def _carry_out(self, answer: Answer, found: Found, asked: Asked) -> None:
        loaded, changes = found.loaded, found.changes
        self._host.switch(found)
        self._current, self.left = loaded, found.left
        self._handover = Handover(changes, self._host.groups, by_group(loaded), answer.progress)
        results = await self._handover.run()
        self._host.let_go(found)
        for sense in changes.went:
            self._codes.pop(sense, None)
        self._tell(answer, found, results, asked)

    def _tell(
        self,
        answer: Answer,
        found: Found,
        results: Sequence[Result],
        asked: Asked,
    ) -> None:
        missing = {name: why for result in results for name, why in result.missing.items()}
        not_ready = [result.group for result in results if result.ready is None]
        lines = in_words(found, results)
        is_good = not missing and not not_ready
        facts: dict[str, Any] = {
            "applied": list(found.changes.at_once),
            "groups": {result.group: _facts_of(result) for result in results},
            "removed_groups": list(found.changes.gone),
            "unavailable": missing | dict(found.still),
            "needs_restart": list(found.left),
        }
        payload = {"message": "; ".join(lines), **asked, **facts}
        level = "info" if is_good else "warning"
        self._host.ledger.log("nerve", "config.reloaded", level, payload)
        if found.left:
            told = f"takes effect when nerve is started again: {listed(found.left, MAX_TOLD)}"
            payload = {"message": told, "keys": list(found.left)}
            self._host.ledger.log("nerve", "config.restart_needed", "warning", payload)
        done(answer, "\n".join(lines), is_good=is_good, **facts)


def in_words(found: Found, results: Sequence[Result] | None) -> list[str]:
    """Say what was done, or without results what would be, one thing a line."""
    changes, lines = found.changes, list[str]()
    if not changes:
        lines.append("nothing has changed")
    if changes.at_once:
        word = "applied" if results is not None else "applies"
        lines.append(f"{word}: {listed(changes.at_once, MAX_TOLD)}")
    for result in results or ():
        lines.append(f"{result} ({listed(result.why, MAX_TOLD)})")
    if results is None:
        lines += [
            f"group {g}: new worker ({listed(why, MAX_TOLD)})" for g, why in changes.groups.items()
        ]
    lines += [f"group {group}: ends, it has no senses any more" for group in changes.gone]
    lines += [f"{name} still cannot be loaded: {why}" for name, why in found.still.items()]
    if found.left:
        lines.append(f"takes effect when nerve is started again: {listed(found.left, MAX_TOLD)}")
    return lines


def _tell_trial(answer: Answer, found: Found) -> None:
    done(
        answer,
        "\n".join(in_words(found, None)),
        applied=list(found.changes.at_once),
        groups={group: {"why": list(why)} for group, why in found.changes.groups.items()},
        removed_groups=list(found.changes.gone),
        unavailable=dict(found.still),
        needs_restart=list(found.left),
    )


def _facts_of(result: Result) -> dict[str, Any]:
    generation = result.ready.generation if result.ready is not None else None
    return {"generation": generation, "why": list(result.why), "unavailable": result.missing}


async def _in_steps(
    ended: "asyncio.Future[Found]", steps: "asyncio.Queue[str]", told: Callable[[str], None]
) -> Found:
    """Wait for the end of a survey, as long as it gets on; tell a step that takes its time."""
    doing, left_s = "the survey", STEP_TIMEOUT_S
    while left_s > 0:
        step = asyncio.ensure_future(steps.get())
        both: set[asyncio.Future[Any]] = {ended, step}
        await asyncio.wait(both, timeout=PROGRESS_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            doing, left_s = step.result(), STEP_TIMEOUT_S
            continue
        step.cancel()
        if ended.done():
            return ended.result()
        left_s -= PROGRESS_EVERY_S
        told(doing)
    ended.cancel()
    hint = "nothing was changed; look at the disk, and at `nerve check`"
    raise NerveError(f"{doing} takes longer than {STEP_TIMEOUT_S:.0f} s", hint=hint)


class _Nobody:
    """Who hears the answer to a signal."""

    @property
    def by(self) -> dict[str, JsonValue]:
        return {}

    def progress(
        self, message: str, level: Literal["info", "warning", "error"] = "info"
    ) -> None: ...

    def end(self, reply: DoneReply | RefusedReply | StatusReply) -> None: ...

    def on_close(self, callback: Callable[[], None]) -> None: ...
