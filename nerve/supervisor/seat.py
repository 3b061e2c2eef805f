"""The seat of a group's worker, which one generation after another takes.

Parent, on the loop. A worker is launched in a task, and what is to be told to it meanwhile waits
until it can hear. It keeps its seat until its exit is told, which a launch that failed is as well.
When one is launched, and what follows from its end, `group` says.
"""

import asyncio
from collections.abc import Callable, Collection

from nerve.clock import Clock
from nerve.supervisor.child import ChildEvents, Threads
from nerve.supervisor.generation import Generation, GenerationEvents
from nerve.supervisor.inquest import Exit
from nerve.supervisor.ledger import Ledger
from nerve.wire.messages import UpdateMessage, WorkerSpec

SpecFor = Callable[[int, Collection[str]], WorkerSpec]


class Seat:
    """Whoever is the worker of one group.

    Attributes:
        worker: None where there is none.
        generation: how many there have been.
    """

    def __init__(  # noqa: PLR0913  each is said by its name
        self,
        group: str,
        ledger: Ledger,
        events: ChildEvents,
        events_of_generation: GenerationEvents,
        *,
        senses: Callable[[], Collection[str]],
        spec_for: SpecFor,
        launched: Callable[[Generation], None],
        clock: Clock,
        threads: Threads,
    ) -> None:
        """Launch nobody yet; the events are those of each worker.

        Args:
            group: its name, for the log.
            ledger: for a launch that fails; `exited` of the events follows.
            events: what its process does.
            events_of_generation: what else the group is told of it.
            senses: those that the next worker is to load; asked as late as can be.
            spec_for: specifies a worker of this generation, with these senses.
            launched: is told of each worker whose process has been made.
            clock: for its times.
            threads: where it is started and killed.
        """
        self.worker: Generation | None = None
        self.generation = 0
        self._group = group
        self._ledger = ledger
        self._events = events
        self._events_of_generation = events_of_generation
        self._senses = senses
        self._spec_for = spec_for
        self._launched = launched
        self._clock = clock
        self._threads = threads
        self._launching: asyncio.Task[None] | None = None
        self._untold: UpdateMessage | None = None

    @property
    def usable(self) -> Generation | None:
        """The worker, where it lives, as far as one knows, and is to go on living."""
        return self.worker if self.worker is not None and self.worker.is_usable else None

    def take(self) -> None:
        """Launch the next worker; only where there is none."""
        self._untold = None
        self.generation += 1
        self._launching = asyncio.get_running_loop().create_task(self._launch())

    def leave(self) -> Generation | None:
        """The worker is no more; return it, or None where not even a process could be made."""
        worker, self.worker = self.worker, None
        return worker

    def tell(self, message: UpdateMessage) -> None:
        """Tell the worker what has changed around it; a later one reads it in its specification."""
        if self.worker is not None and self.worker.child.pid:
            self.worker.update(message)
        elif self.worker is not None:  # it is being forked, with a specification of before
            self._untold = message

    async def _launch(self) -> None:
        try:
            self.worker = Generation(
                self._spec_for(self.generation, self._senses()),
                self._events,
                self._events_of_generation,
                clock=self._clock,
                threads=self._threads,
            )
            await self.worker.launch()
        except Exception as error:  # noqa: BLE001  no thread, no descriptor, no fork server, ...
            fault = {"message": f"the worker could not be started: {error!r}"}
            self._ledger.log(self._group, "worker.launch_failed", "error", fault)
            self._events.exited(Exit(None))
            return
        if self._untold is not None:
            self.worker.update(self._untold)
            self._untold = None
        self._launched(self.worker)
