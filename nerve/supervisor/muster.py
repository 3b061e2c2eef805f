"""Who has come up, and who cannot: what the senses report, and the gate that waits for them.

Parent, on the loop. Nothing is dispatched before every group has reported or failed, so that peers
exist when they are first read; but nobody is waited for longer than a start may take. Whoever
comes up late, or again, has then what it missed taken up.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from nerve.clock import Clock
from nerve.supervisor.group import Group
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.listening import Listening
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.triggers import Triggers
from nerve.wire.messages import ReadyMessage, SenseReport


class Muster:
    """All groups at a start, and their senses at any time."""

    def __init__(  # noqa: PLR0913  each is said by its name
        self,
        groups: Mapping[str, Group],
        triggers: Triggers,
        listening: Listening,
        recorder: Recorder,
        ledger: Ledger,
        *,
        clock: Clock,
        newest_id: Callable[[], int],
        is_stopping: Callable[[], bool],
        opened: Callable[[], None],
    ) -> None:
        """`opened` is called once, when the gate opens; never at the stop."""
        self._groups = groups
        self._triggers = triggers
        self._listening = listening
        self._recorder = recorder
        self._ledger = ledger
        self._clock = clock
        self._newest_id = newest_id
        self._is_stopping = is_stopping
        self._opened = opened
        self._unreported = set(groups)
        self._given_up: set[str] = set()
        self._patience: asyncio.TimerHandle | None = None

    # --- the gate -------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether every group has reported, or was waited for long enough."""
        return not self._unreported

    def begin(self, patience_s: float) -> None:
        """Wait for all groups, for so long at most."""
        if not self._unreported:
            self._opened()
        self._patience = asyncio.get_running_loop().call_later(patience_s, self._lose_patience)

    def end(self) -> None:
        """Wait for nobody."""
        if self._patience is not None:
            self._patience.cancel()

    def has_reported(self, name: str) -> None:
        """A group has come up, or nobody waits for it any longer; the last one opens the gate."""
        if name in self._unreported:
            self._unreported.discard(name)
            if not self._unreported and not self._is_stopping():
                self._opened()

    def _lose_patience(self) -> None:
        late, self._unreported = self._unreported, set()
        if not late or self._is_stopping():
            return
        for name in late:
            senses = ", ".join(self._groups[name].senses)
            message = "not ready for a long time; the others begin without it"
            hint = f"it loads and migrates {senses}; `nerve check` tells which one hangs"
            self._ledger.log(name, "group.slow", "warning", {"message": message, "hint": hint})
        self._opened()

    # --- reports --------------------------------------------------------------------

    def came_up(self, name: str, ready: ReadyMessage) -> None:
        """Record how the senses of a ready worker came up."""
        for report in ready.senses:
            self._take_report(report)
        payload = {"generation": ready.generation, "senses": [r.name for r in ready.senses]}
        self._ledger.log(name, "worker.ready", "info", payload)
        if not ready.preloaded:
            message = "the fork server's preload did not work; workers start slowly"
            self._ledger.log(name, "worker.not_preloaded", "warning", {"message": message})
        self.has_reported(name)

    def _take_report(self, report: SenseReport) -> None:
        if report.fault is not None:
            self.lose([report.name], report.fault.message)
            payload = report.fault.model_dump(exclude_defaults=True)
            self._ledger.log(report.name, "sense.unavailable", "error", payload)
            return
        if report.name in self._given_up:
            return
        was_unavailable = report.name in self._triggers.unavailable
        self._ledger.tally.unavailable.discard(report.name)
        self._triggers.unavailable.pop(report.name, None)
        for revision in report.migrated:
            self._ledger.log(report.name, "migration.applied", "info", {"revision": revision})
        if report.waiting and self._unreported:  # at a start; later it is the order of the day
            message = f"signals that wait in its outbox and are taken up now: {report.waiting}"
            payload = {"message": message, "signals": report.waiting}
            self._ledger.log(report.name, "outbox.waiting", "info", payload)
        self._take_positions(report)
        if was_unavailable and not self._unreported:
            self._listening.take_up({report.name})

    def _take_positions(self, report: SenseReport) -> None:
        take_report = self._listening.positions.take_report
        credible = take_report(report, self._newest_id(), self._clock.now_us())
        for source, signal_id in credible.items():
            # It may come up after its signals were offered to it: the gate waits for nobody long.
            self._triggers.answered(report.name, source, signal_id)
            if not self._unreported:
                self._recorder.cursor(report.name, source, signal_id)

    def lose(self, senses: Iterable[str], why: str) -> None:
        """Nobody runs these senses, until they come up: what waits for them never will."""
        senses = list(senses)
        for sense in senses:
            self._ledger.tally.unavailable.add(sense)
            self._triggers.unavailable[sense] = why
        self._triggers.forget(senses)

    def give_up(self, sense: str, why: str) -> None:
        """The same, and for good."""
        self._given_up.add(sense)
        self.lose([sense], why)
