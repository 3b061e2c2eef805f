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
from collections.abc import Callable, Mapping, Sequence
from traceback import format_exc
from typing import Literal

from pydantic import JsonValue

from nerve.config import ConfigFaults
from nerve.errors import Exit, NerveError
from nerve.supervisor.answers import Answer, done, refused
from nerve.supervisor.asking import Parent
from nerve.supervisor.handover import Handover, Result
from nerve.supervisor.reloaded import facts, in_words, is_good, needs_restart
from nerve.supervisor.roster import by_group
from nerve.supervisor.survey import Found, Survey
from nerve.supervisor.surveying import Surveying
from nerve.supervisor.switching import Switching
from nerve.wire.control import DoneReply, RefusedReply, ReloadRequest
from nerve.wire.messages import Code, SenseReport
from nerve.wire.status import StatusReply

Asked = dict[str, JsonValue]
"""Who has asked for a reload, as log rows have it."""


class Reloading:
    """At most one reload, and the wish for another.

    Attributes:
        left: what takes effect only when nerve is started again.
        on_change: called with True as a reload begins, and with False as it ends, in whatever way.
    """

    def __init__(
        self, parent: Parent, switching: Switching, environ: Mapping[str, str], *, once: bool
    ) -> None:
        """`environ` is the environment of the start, for nerve.yaml and for the senses."""
        self._parent = parent
        self._switching = switching
        self._started = switching.loaded
        self._once = once
        self._environ = environ
        self._codes: dict[str, Code] = {}
        self._task: asyncio.Task[None] | None = None
        self._surveying = Surveying(is_free=self.go_on)
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
        if self._surveying.is_under_way:
            return "the last one still waits for a disk"
        if self._parent.is_stopping():
            return "nerve stops"
        if self._once:
            return "every sense runs once, and then nerve ends"
        return "" if self._parent.is_ready() else "nerve is still starting"

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
                done(answer, "\n".join(in_words(found, None)), **facts(found, None))
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
            self._parent.ledger.log("nerve", "config.refused", "error", payload)
            refused(answer, "internal", message, exit_code=int(Exit.INTERNAL))

    # --- survey ---------------------------------------------------------------------

    async def _surveyed(self, answer: Answer) -> Found:
        """Have a survey made; raises ConfigFaults, NerveError."""
        current, codes = self._switching.loaded, dict(self._codes)
        unavailable = frozenset(self._parent.triggers.unavailable)

        def work(told: Callable[[str], None], is_over: Callable[[], bool]) -> Found:
            return Survey(
                self._started,
                current,
                self._environ,
                codes,
                unavailable,
                lambda: self._has_ended or is_over(),
                told,
            ).run()

        return await self._surveying.run(work, answer.progress)

    def _refuse(self, answer: Answer, error: NerveError, asked: Asked, *, is_trial: bool) -> None:
        """Nothing has changed; everything that is wrong is told at once."""
        hint = "the old configuration runs on; mend it and reload again"
        if not is_trial:
            payload = {"message": f"not reloaded: {error}", **asked, "hint": hint}
            self._parent.ledger.log("nerve", "config.refused", "error", payload)
        code = Exit.CONFIGURATION if isinstance(error, ConfigFaults) else error.exit_code
        refused(answer, "invalid", str(error), hint=error.hint or hint, exit_code=int(code))

    # --- carrying it out ------------------------------------------------------------

    async def _carry_out(self, answer: Answer, found: Found, asked: Asked) -> None:
        loaded, changes = found.loaded, found.changes
        self._switching.switch(found)
        self.left = found.left
        groups = self._parent.groups
        self._handover = Handover(changes, groups, by_group(loaded), answer.progress)
        results = await self._handover.run()
        self._switching.let_go(found)
        for sense in changes.went:
            self._codes.pop(sense, None)
        self._tell(answer, found, results, asked)

    def _tell(self, answer: Answer, found: Found, results: Sequence[Result], asked: Asked) -> None:
        lines, known = in_words(found, results), facts(found, results)
        good = is_good(results)
        payload = {"message": "; ".join(lines), **asked, **known}
        level = "info" if good else "warning"
        self._parent.ledger.log("nerve", "config.reloaded", level, payload)
        if found.left:
            payload = {"message": needs_restart(found), "keys": list(found.left)}
            self._parent.ledger.log("nerve", "config.restart_needed", "warning", payload)
        done(answer, "\n".join(lines), is_good=good, **known)


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
