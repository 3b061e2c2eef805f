"""Signals on their way to the senses that listen: those of now, and those that came before.

Parent, on the loop. A signal that is durable is offered to whoever listens, once. What came while a
sense could not run is read from the journal when it can again, from where `positions` says that it
stands, and ticks that passed in a pause with it.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path

from nerve.clock import Clock
from nerve.config.models import Config
from nerve.errors import NerveError
from nerve.reflex.backlog import Backlog
from nerve.reflex.listeners import Listeners, Pair, routes_of
from nerve.store.batch import SignalEntry
from nerve.store.journal_reading import cursors_in
from nerve.store.sqlite import open_reader
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.positions import Positions, causing_signal
from nerve.supervisor.recorder import Recorder
from nerve.supervisor.triggers import Triggers


class Listening:
    """Who listens, and how far each has got.

    Attributes:
        positions: where each reflex goes on.
    """

    def __init__(
        self,
        config: Config,
        journal_path: Path,
        *,
        clock: Clock,
        triggers: Triggers,
        recorder: Recorder,
        ledger: Ledger,
    ) -> None:
        """Nothing is offered before `hear` and `take_up`."""
        routes = routes_of(config)
        self.positions = Positions(routes)
        self._listeners = Listeners(routes)
        self._journal_path = journal_path
        self._clock = clock
        self._triggers = triggers
        self._recorder = recorder
        self._ledger = ledger

    def adopt(self, config: Config, newest: int) -> None:
        """Have the reflexes of another configuration; new ones begin behind the entry `newest`."""
        routes = routes_of(config)
        new = self._listeners.adopt(routes, newest)
        self.positions.adopt(routes, new, newest)
        for pair in new:
            self._recorder.cursor(*pair, newest)

    def hear(self, signal_id: int, entry: SignalEntry) -> None:
        """Offer a durable signal to whoever listens."""
        if not self._listeners.concerns(entry.sense):
            return
        signal = causing_signal(signal_id, entry.sense, entry.at_us, entry.payload, entry.cause)
        for route in self._listeners.hear(signal):
            self._triggers.hear(route, signal)

    def take_up(self, targets: Iterable[str], source: str = "", *, ticks: bool = False) -> None:
        """Offer to these senses what came while they could not run.

        Where a `source` is named, the signals of that one alone. With `ticks` those as well that
        passed while they were paused.
        """
        targets = set(targets)
        try:
            self._take_up_signals(targets, source)
            if ticks:
                self._triggers.make_up_after(targets, self._timer_positions())
        except (NerveError, sqlite3.Error) as error:
            # Live signals are heard all the same; what is missing is taken up at the next start.
            message = f"what was not answered before cannot be read: {error}"
            self._ledger.log("nerve", "reflex.backlog_unreadable", "error", {"message": message})

    def _take_up_signals(self, targets: AbstractSet[str], source: str) -> None:
        with closing(open_reader(self._journal_path)) as reader:
            backlogs = self.positions.take_up(
                reader,
                self._listeners,
                targets,
                now_us=self._clock.now_us(),
                unwritten=self._recorder.unwritten_cursors(),
                in_hand=self._triggers.in_hand,
                moved=self._recorder.cursor,
                damaged=self._on_damaged,
                source=source,
            )
            for backlog in backlogs:
                if not self._triggers.blocked(backlog.route.target):
                    self._tell_backlog(backlog)
                self._triggers.take_up(backlog)

    def _timer_positions(self) -> Mapping[Pair, int]:
        with closing(open_reader(self._journal_path)) as reader:
            stored = cursors_in(reader)
        for pair, position in self._recorder.unwritten_cursors().items():
            stored[pair] = max(position, stored.get(pair, 0))
        return self.positions.of_timers(stored)

    def _tell_backlog(self, backlog: Backlog) -> None:
        target, source = backlog.route.pair
        runs = f"{len(backlog.causes)} triggers" if len(backlog.causes) != 1 else "one trigger"
        came = f"{backlog.total} signals" if backlog.total != 1 else "one signal"
        message = f"{came} of {source} came that {target} has not answered"
        payload = {"source": source, "signals": backlog.total, "newest": backlog.newest}
        payload |= {"message": f"{message}; they become {runs}", "missed": backlog.missed}
        self._ledger.log(target, "reflex.backlog", "info", payload | {"refused": backlog.refused})

    def _on_damaged(self, sense: str, signal_id: int) -> None:
        message = f"row {signal_id} of signals is damaged; it was skipped"
        self._ledger.log(sense, "row.invalid", "error", {"message": message, "id": signal_id})
