"""The turn of the loop in which nerve goes on with another configuration.

Parent, on the loop. Every part that goes by the configuration is told of the new one, in the order
in which they need each other, so that nobody ever sees half of it (`switch`). Senses and groups
that it has no more are forgotten only when their workers are gone (`let_go`). When that is, and
what becomes of the workers, `reloading` leads.
"""

from contextlib import closing
from dataclasses import dataclass

from nerve.config import Loaded
from nerve.config.models import Config, WorkflowReflex
from nerve.config.references import WORKFLOWS_DO_NOT_RUN
from nerve.store.journal_reading import pauses
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir
from nerve.supervisor.asking import Parent
from nerve.supervisor.housekeeping import Housekeeping
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.listening import Listening
from nerve.supervisor.meters import Meters
from nerve.supervisor.pauses import Pauses
from nerve.supervisor.roster import Roster
from nerve.supervisor.status import Status
from nerve.supervisor.survey import Found


@dataclass(slots=True)
class Switching:
    """All that goes by the configuration.

    Attributes:
        loaded: the one that runs.
    """

    loaded: Loaded
    state: StateDir
    parent: Parent
    roster: Roster
    listening: Listening
    housekeeping: Housekeeping
    status: Status
    meters: Meters
    pauses: Pauses

    def switch(self, found: Found) -> None:
        """Go on with another configuration, as far as that needs no worker.

        Raises NerveError, with nothing changed, where the journal cannot be read.
        """
        with closing(open_reader(self.state.journal_path)) as reader:
            paused = pauses(reader)
        old, self.loaded = self.loaded, found.loaded
        config, changes = found.loaded.config, found.changes
        # What was secret until now may still be on its way here.
        self.parent.ledger.mask({*old.redactor.values, *found.loaded.redactor.values})
        self.roster.switch(found.loaded, changes)
        self.parent.triggers.adopt(config)
        self.listening.adopt(config, self.parent.newest_id())
        self.housekeeping.adopt(found.loaded)
        self.status.adopt(found.loaded)
        warn_of_workflows(self.parent.ledger, config, old.config)
        self.pauses.restore(p for p in paused if p.sense in changes.came)

    def let_go(self, found: Found) -> None:
        """Forget what the new configuration has not, its workers being gone."""
        went = found.changes.went
        self.parent.triggers.let_go(went)
        self.roster.let_go(found.changes)
        self.parent.warden.forget(went)
        self.meters.forget(went)
        self.pauses.forget(went)
        self.parent.ledger.tally.unavailable -= went


def warn_of_workflows(ledger: Ledger, config: Config, known: Config | None = None) -> None:
    """Say of each reflex that runs a workflow, and is not known yet, that it does not."""
    for reflex in config.reflexes:
        if isinstance(reflex, WorkflowReflex) and not (known and reflex in known.reflexes):
            # The warning is one of nerve.yaml, which is told with all others of it.
            row = {"message": WORKFLOWS_DO_NOT_RUN}
            ledger.log(reflex.workflow, "workflow.not_run", "info", row)
