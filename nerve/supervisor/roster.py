"""All groups: which sense belongs to which, and what their workers are given.

Parent, on the loop. A sense belongs to the group that runs it, or will run it as soon as a reload
has come so far; what is to be run goes into that group's queue from the moment of the switch on.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from nerve.clock import Clock
from nerve.config import Loaded
from nerve.config.models import GroupConfig, SenseConfig
from nerve.process.cgroup import delegated, directory_name
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.changes import Changes
from nerve.supervisor.child import Threads
from nerve.supervisor.group import Group
from nerve.supervisor.hub import Hub
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.specification import worker_spec
from nerve.wire.messages import UpdateMessage, WorkerSpec


class Roster:
    """The groups of the configuration that runs.

    Attributes:
        groups: by name; the same object for the life of nerve.
    """

    def __init__(  # noqa: PLR0913  each is said by its name
        self,
        loaded: Loaded,
        state: StateDir,
        journal: Journal,
        hub: Hub,
        ledger: Ledger,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        threads: Threads,
    ) -> None:
        """Make all groups; none has a worker yet."""
        self._loaded = loaded
        self._state = state
        self._journal = journal
        self._hub = hub
        self._ledger = ledger
        self._clock = clock
        self._environ = environ
        self._threads = threads
        self._cgroup = delegated()
        # Once: ten thousand paths take 0.06 s, and each start of a worker wants all of them.
        self._databases = self._paths()
        self.groups = {name: self._group(name, its) for name, its in by_group(loaded).items()}
        self._homes = self._by_sense()

    def of(self, sense: str) -> Group:
        """The group of a sense; raises KeyError for one that there is no more."""
        return self._homes[sense]

    def has(self, sense: str) -> bool:
        """Whether there is such a sense, if only until its worker is gone."""
        return sense in self._homes

    def limits_of(self, group: str) -> GroupConfig:
        """What a group may use up."""
        return self._loaded.config.group(group)

    def switch(self, loaded: Loaded, found: Changes) -> None:
        """Go on with another configuration; workers that are not to be replaced are told of it."""
        old, self._loaded = self._loaded, loaded
        self._databases = self._paths()
        senses_of = by_group(loaded)
        for name in senses_of.keys() - self.groups.keys():
            self.groups[name] = self._group(name, senses_of[name])
        was_waiting = [s for s, (left, _) in found.moved.items() if self.groups[left].withdraw(s)]
        self._homes |= self._by_sense()
        for sense in was_waiting:
            self._homes[sense].enqueue(sense)
        is_news = bool(found.came or found.went) or old.redactor.values != loaded.redactor.values
        for name in senses_of.keys() - found.groups.keys():
            group = self.groups[name]
            if is_news or _grace_periods(group.senses) != _grace_periods(senses_of[name]):
                group.tell(self._update(senses_of[name]))
            group.senses = senses_of[name]

    def let_go(self, found: Changes) -> None:
        """Forget the groups and senses that are no more, their workers being gone."""
        for name in found.gone:
            del self.groups[name]
        for sense in found.went:
            del self._homes[sense]

    def _update(self, senses: Mapping[str, SenseConfig]) -> UpdateMessage:
        return UpdateMessage(
            databases={name: str(path) for name, path in self._databases.items()},
            masked=self._loaded.redactor.values,
            grace_period_ms=_grace_periods(senses),
        )

    def _paths(self) -> dict[str, Path]:
        return {name: self._state.sense_db(name) for name in self._loaded.config.senses}

    def _by_sense(self) -> dict[str, Group]:
        senses = self._loaded.config.senses
        return {name: self.groups[sense.group] for name, sense in senses.items()}

    def _group(self, name: str, senses: dict[str, SenseConfig]) -> Group:
        return Group(
            name,
            senses,
            self._hub,
            self._ledger,
            spec_for=lambda generation, senses: self._spec_for(name, generation, senses),
            clock=self._clock,
            threads=self._threads,
        )

    def _spec_for(self, group: str, generation: int, senses: Collection[str]) -> WorkerSpec:
        directory = directory_name(self._ledger.boot, group, generation)
        cgroup = str(self._cgroup / directory) if self._cgroup else ""
        return worker_spec(
            self._loaded,
            group,
            {name: self._loaded.config.senses[name] for name in sorted(senses)},
            boot=self._ledger.boot,
            generation=generation,
            blobs=self._state.blobs,
            database_of=self._databases.__getitem__,
            environ=self._environ,
            received=self._journal.received(),
            slate=str(self._state.workers / group),
            cgroup=cgroup,
        )


def by_group(loaded: Loaded) -> dict[str, dict[str, SenseConfig]]:
    """The senses of each group."""
    groups: dict[str, dict[str, SenseConfig]] = {}
    for name, sense in loaded.config.senses.items():
        groups.setdefault(sense.group, {})[name] = sense
    return groups


def _grace_periods(senses: Mapping[str, SenseConfig]) -> dict[str, int]:
    return {name: sense.grace_period_ms for name, sense in senses.items()}
