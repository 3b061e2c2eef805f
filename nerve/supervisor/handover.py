"""The workers of the groups that a reload changes, replaced one beside another.

Parent, on the loop; one task for each group, so that a sense that hangs holds up its own group and
those that get senses from it, and nobody else. What holds throughout: a sense is loaded by a new
worker only when the worker that had it is gone. So each group goes through this, in this order:

    waits     one that only gets senses goes on until the workers that had them are gone
    retires   what runs may come to its end, or to its hard deadline; then its worker ends
    waits     until all workers are gone from which it gets senses
    starts    with what the new configuration says

Nobody waits in a circle: whoever gives senses away retires without waiting for anybody.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nerve.config.models import SenseConfig
from nerve.supervisor.changes import Changes
from nerve.supervisor.group import Group
from nerve.supervisor.hub import Running
from nerve.wire.messages import ReadyMessage

READY_PATIENCE_S = 60.0
"""For a new worker to be ready, and so much more for each of its senses; then whoever asked for
the reload is not kept waiting any longer. The worker itself has its own deadlines."""
READY_PATIENCE_PER_SENSE_S = 0.1
PROGRESS_EVERY_S = 3.0
"""Between two words on what is still waited for."""


@dataclass(frozen=True, slots=True)
class Result:
    """What has come of a group.

    Attributes:
        ready: the word of its new worker; None where none came up in time, or at all.
        why: the reasons for which it was replaced.
    """

    group: str
    ready: ReadyMessage | None
    why: tuple[str, ...]
    senses: tuple[str, ...]

    @property
    def missing(self) -> dict[str, str]:
        """The senses that did not come up, and why; of a group that is not ready, none."""
        if self.ready is None:
            return {}
        said = {report.name: report.fault for report in self.ready.senses}
        faults = {name: fault.message for name, fault in said.items() if fault is not None}
        rests = dict.fromkeys(self.senses - said.keys(), "it rests, and is not loaded yet")
        return {**faults, **rests}

    def __str__(self) -> str:
        if self.ready is None:
            return f"{self.group}: no worker is ready yet; `nerve status {self.group}` tells more"
        missing = "".join(f"; {name} did not come up: {why}" for name, why in self.missing.items())
        return f"{self.group}: worker {self.ready.generation} is ready{missing}"


class Handover:
    """One reload's groups."""

    def __init__(
        self,
        found: Changes,
        groups: Mapping[str, Group],
        senses_of: Mapping[str, dict[str, SenseConfig]],
        told: Callable[[str], None],
    ) -> None:
        """`groups` are those of before and after; `senses_of` says what each is to have."""
        self._changes = found
        self._groups = groups
        self._senses_of = senses_of
        self._told = told
        self._gone = {name: asyncio.Event() for name in (*found.groups, *found.gone)}
        self._suspects: dict[str, Running] = {}
        self._proven: set[str] = set()
        self._tasks: dict[str, asyncio.Task[Result | None]] = {}

    async def run(self) -> list[Result]:
        """Replace all; return what came of each that goes on, in order of their names."""
        for name in self._gone:
            self._tasks[name] = asyncio.create_task(self._replace(name), name=name)
        waiting = set(self._tasks.values())
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=PROGRESS_EVERY_S)
            for task in waiting:
                self._told(self._waits_for(task.get_name()))
        results = [task.result() for task in self._tasks.values()]
        return sorted((r for r in results if r is not None), key=lambda result: result.group)

    def cancel(self) -> None:
        """Nerve stops: what has not been replaced stays as it stands."""
        for task in self._tasks.values():
            task.cancel()
        for sense, suspect in self._suspects.items():
            group = self._groups[self._changes.moved[sense][1]]
            group.take_over(group.senses, [suspect])
        self._suspects.clear()

    async def _replace(self, name: str) -> Result | None:
        group, sources = self._groups[name], self._changes.sources_of(name)
        if self._changes.only_takes(name):
            await self._all_gone(sources)
        group.retire(lambda: self._on_gone(name))
        await self._gone[name].wait()
        if name in self._changes.gone:
            group.stop()
            return None
        await self._all_gone(sources)
        senses = self._senses_of[name]
        group.take_over(senses, self._suspects_of(senses), self._proven)
        ready = await self._started(group)
        return Result(name, ready, self._changes.groups[name], tuple(senses))

    async def _all_gone(self, names: frozenset[str]) -> None:
        for name in names:
            await self._gone[name].wait()

    def _on_gone(self, name: str) -> None:
        """Its worker is gone: what is unclear of senses that leave is for their new group."""
        group = self._groups[name]
        for sense, (left, _) in self._changes.moved.items():
            if left != name:
                continue
            if (suspect := group.give_away(sense)) is not None:
                self._suspects[sense] = suspect
            if group.has_loaded(sense):
                self._proven.add(sense)
        group.give_up_on(self._changes.went)
        self._gone[name].set()

    def _suspects_of(self, senses: Mapping[str, SenseConfig]) -> list[Running]:
        found = [sense for sense in self._suspects if sense in senses]
        return [self._suspects.pop(sense) for sense in found]

    async def _started(self, group: Group) -> ReadyMessage | None:
        settled: asyncio.Future[ReadyMessage | None] = asyncio.get_running_loop().create_future()

        def settle(ready: ReadyMessage | None) -> None:
            if not settled.done():
                settled.set_result(ready)

        group.when_settled(settle)
        group.start()
        patience_s = READY_PATIENCE_S + READY_PATIENCE_PER_SENSE_S * len(group.senses)
        try:
            return await asyncio.wait_for(settled, patience_s)
        except TimeoutError:
            return None

    def _waits_for(self, name: str) -> str:
        group = self._groups[name]
        if not self._gone[name].is_set():
            others = [s for s in self._changes.sources_of(name) if not self._gone[s].is_set()]
            if others and self._changes.only_takes(name):
                return f"group {name} waits for {', '.join(sorted(others))}"
            doing = f": {group.doing}" if group.doing else ""
            return f"group {name}: its worker is to end{doing}"
        return f"group {name}: {group.state}"
