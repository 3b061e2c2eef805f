"""What a reload would do, found out without touching anything that runs.

Parent, in a thread of its own, because each step may have to wait: for the disk under nerve.yaml,
for those under the senses, and for senses that are loaded on trial in a short-lived worker, one
after another. `Survey.run` tells each step before it takes it, so that whoever waits can tell a
long survey from one that hangs.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from nerve.config import ConfigFaults, Fault, Loaded, Problem, load_config
from nerve.config.explain import setting_problem
from nerve.process.code import fingerprint
from nerve.supervisor.changes import Changes, changes, left_for_a_restart
from nerve.supervisor.shortlived import describe_sense
from nerve.wire.messages import Code
from nerve.wire.messages import Fault as WorkerFault

TRIAL_TIMEOUT_S = 60.0
"""For one sense to be loaded and its migrations to be tried, as `nerve check` has it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a survey has come to.

    Attributes:
        loaded: the new configuration.
        changes: what is to be done.
        left: what takes effect only at the next start of nerve.
        still: senses that could not be loaded before and cannot now, with the reason.
    """

    loaded: Loaded
    changes: Changes
    left: tuple[str, ...]
    still: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Survey:
    """One survey.

    Attributes:
        started: the configuration that nerve was started with.
        current: the one that runs.
        environ: for nerve.yaml and for the senses.
        codes: what was loaded of each sense.
        unavailable: senses that cannot run.
        is_over: asked between two steps; True ends it.
        told: called with each step before it is taken.
    """

    started: Loaded
    current: Loaded
    environ: Mapping[str, str]
    codes: Mapping[str, Code]
    unavailable: Collection[str]
    is_over: Callable[[], bool]
    told: Callable[[str], None]

    def run(self) -> Found:
        """Look at everything; raises ConfigFaults with all that is wrong."""
        self.told(f"reading {self.current.path.name}")
        path, overrides = self.started.path, self.started.overrides
        new = load_config(path, environ=self.environ, overrides=overrides)
        self.told("looking at the code of the senses")
        changed = {name for name in new.config.senses if self._has_changed(name)}
        found = changes(self.current.config, new.config, changed)
        faults, still = list[Fault](), dict[str, str]()
        for name in found.suspicious:
            if self.is_over():
                break
            self.told(f"loading {name} on trial")
            fault = describe_sense(new, name, TRIAL_TIMEOUT_S, environ=self.environ).fault
            if fault is None:
                continue
            if self._was_so(name, new):
                still[name] = fault.message
            else:
                faults += (new.fault(problem) for problem in problems_of(name, fault))
        if faults:
            raise ConfigFaults(faults)
        if still:  # they are no reason to restart anything
            found = changes(self.current.config, new.config, changed - still.keys())
        left = left_for_a_restart(self.started, new, self.environ)
        return Found(new, found, left, still)

    def _has_changed(self, name: str) -> bool:
        """Whether the code of a sense is not what was loaded.

        Where nothing was, because it was not found or its group was given up, it is tried again.
        """
        code = self.codes.get(name, Code())
        if not code.roots:
            return name in self.unavailable
        return fingerprint(code.roots) != code.fingerprint

    def _was_so(self, name: str, new: Loaded) -> bool:
        """Whether a sense is unavailable already, as it stands in the configuration."""
        before = self.current.config.senses.get(name)
        return name in self.unavailable and before == new.config.senses[name]


def problems_of(sense: str, fault: WorkerFault) -> Iterator[Problem]:
    """Yield what is wrong with a sense in terms of the configuration."""
    for setting in fault.problems:
        yield setting_problem(sense, setting.field, setting.message, setting.hint)
    if not fault.problems:
        message = f"{fault.kind}: {fault.message}"
        yield Problem(("senses", sense), message, fault.hint, at_key=True)
