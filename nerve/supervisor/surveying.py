"""A survey in a thread of its own, waited for on the loop for as long as it gets on.

Parent, on the loop. The thread may hang on a dead disk for ever, and nobody must wait then: it is
given up, it is a daemon, and no other one is begun beside it until it has come to its end.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nerve.errors import NerveError
from nerve.supervisor.handover import PROGRESS_EVERY_S
from nerve.supervisor.survey import TRIAL_TIMEOUT_S, Found

STEP_TIMEOUT_S = TRIAL_TIMEOUT_S + 30.0
"""For one step of the survey; longer than each has itself, so that its own word comes first."""

Work = Callable[[Callable[[str], None], Callable[[], bool]], Found]
"""`work(told, is_over)`: makes a survey, tells each step, and ends where it is over."""


class Surveying:
    """At most one survey.

    Attributes:
        is_under_way: whether its thread still runs, though nobody may wait for it any more.
    """

    def __init__(self, is_free: Callable[[], None]) -> None:
        """`is_free` is called when a survey that was given up has ended after all."""
        self.is_under_way = False
        self._is_free = is_free

    async def run(self, work: Work, told: Callable[[str], None]) -> Found:
        """Have a survey made; `told` hears of a step that takes its time.

        Raises whatever the survey does, and NerveError where a step takes too long.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Found] = loop.create_future()
        steps: asyncio.Queue[str] = asyncio.Queue()

        def tell(callback: Callable[..., None], *arguments: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(callback, *arguments)

        def run() -> None:
            try:
                result: Found | Exception = work(
                    lambda step: tell(steps.put_nowait, step), ended.done
                )
            except Exception as error:  # noqa: BLE001  the thread's end; it is raised on the loop
                result = error
            tell(self._on_ended, ended, result)

        self.is_under_way = True
        threading.Thread(target=run, name="reload", daemon=True).start()
        return await _in_steps(ended, steps, told)

    def _on_ended(self, ended: "asyncio.Future[Found]", result: Found | Exception) -> None:
        self.is_under_way = False
        if ended.done():  # it was given up
            self._is_free()
        elif isinstance(result, Exception):
            ended.set_exception(result)
        else:
            ended.set_result(result)


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
