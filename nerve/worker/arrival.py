"""How the senses of a worker come up: each is loaded, its database opened and migrated, in time.

Worker, main thread, before `ready`. A sense that does not come up holds up nobody else: its fault
is told in its place, with what its database has committed all the same.
"""

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nerve.clock import SystemClock
from nerve.config.durations import format_duration
from nerve.config.secrets import Redactor
from nerve.errors import SenseError
from nerve.process.slate import Phase
from nerve.sense import SoftTimeout
from nerve.store.faults import explain
from nerve.wire.messages import Code, Fault, SenseReport, WorkerSpec
from nerve.worker import limits
from nerve.worker.deadline import Deadline
from nerve.worker.loader import LoadedSense, load
from nerve.worker.reins import Reins
from nerve.worker.resident import Resident
from nerve.worker.retelling import Retelling, reading_alone
from nerve.worker.sources import code_of
from nerve.worker.traces import describe_exception


class Arrival:
    """The senses of one worker.

    Attributes:
        residents: those that have come up.
        faults: why the others have not.
        tellers: of all whose databases can be read, what they have to tell again.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        databases: Mapping[str, Path],
        redactor: Redactor,
        reins: Reins,
        deadline: Deadline,
    ) -> None:
        """`databases` are those of all senses, and change with a reload."""
        self.residents: dict[str, Resident] = {}
        self.faults: dict[str, Fault] = {}
        self.tellers: list[Retelling] = []
        self._spec = spec
        self._databases = databases
        self._redactor = redactor
        self._reins = reins
        self._deadline = deadline
        self._lowered = limits.Lowered(spec.limits)
        self._codes: dict[str, Code] = {}

    def bring_up(self, name: str, readers: ExitStack) -> SenseReport:
        """Bring up a sense, and say how it came up; raises nothing of the author's.

        `readers` keeps open what its teller reads where it did not.
        """
        try:
            resident = self._resident(name)
            teller = Retelling(name, resident.outbox, generation=self._spec.generation)
            report = self._report(resident, teller)
        except (Exception, SoftTimeout) as error:  # noqa: BLE001  author's code: import, migrations
            fault = describe_exception(error, self._redactor, self._spec.folder)
            self.faults[name] = limits.name_limit(fault, error, self._spec.group, self._spec.limits)
            fault_and_code = {"fault": self.faults[name], "code": self._codes.get(name, Code())}
            return self._report_unloaded(name, readers).model_copy(update=fault_and_code)
        self.residents[name] = resident
        self.tellers.append(teller)
        return report

    def _report_unloaded(self, name: str, readers: ExitStack) -> SenseReport:
        """Say what is committed all the same; nothing where the database cannot be read."""
        try:
            with self._within(Phase.MIGRATING, name, self._spec.migrate_timeout_ms):
                received = self._spec.received.get(name, {})
                outbox = readers.enter_context(reading_alone(self._databases[name], received))
                teller = Retelling(name, outbox, generation=self._spec.generation)
                report = teller.report()
        except Exception:  # noqa: BLE001  the fault that is told already says what there is to do
            return SenseReport(name=name)
        self.tellers.append(teller)
        return report

    def _resident(self, name: str) -> Resident:
        config = self._spec.senses[name]
        loaded, began_ns = None, time.time_ns()
        with self._within(Phase.LOADING, name, self._spec.load_timeout_ms):
            try:
                loaded = load(name, config, Path(self._spec.folder))
            finally:
                self._codes[name] = self._code(name, loaded, began_ns)
            resident = Resident(
                name,
                config,
                loaded,
                databases=self._databases,
                deadline=self._deadline,
                clock=SystemClock(),
            )
        with self._within(Phase.MIGRATING, name, self._spec.migrate_timeout_ms):
            resident.open()
        return resident

    def _code(self, name: str, loaded: LoadedSense | None, began_ns: int) -> Code:
        config, folder = self._spec.senses[name], Path(self._spec.folder)
        senses = self._spec.databases
        return code_of(name, config, folder, loaded, senses=senses, since_ns=began_ns)

    @contextmanager
    def _within(self, phase: Phase, sense: str, timeout_ms: int) -> Iterator[None]:
        """Give one step of a sense's start its time; raises SenseError when that is over.

        Whatever it raises then: in SQL it surfaces as "interrupted", in a migration as failed.
        """
        self._reins.write(phase, sense)
        try:
            with self._lowered, self._deadline.armed(timeout_ms):
                yield
        except (Exception, SoftTimeout) as error:
            if not self._deadline.fired:
                raise
            self._deadline.disarm()
            raise _too_long(phase, timeout_ms) from error

    def _report(self, resident: Resident, teller: Retelling) -> SenseReport:
        if resident.outbox.begin_anew_if_behind(self._spec.received.get(resident.name, {})):
            logging.getLogger(f"sense.{resident.name}").warning(
                "its database is older than what was recorded of it: restored, or cut by a power "
                "loss; its signals are counted anew"
            )
        try:
            report = teller.report()
        except sqlite3.Error as error:
            raise explain(error, self._databases[resident.name]) from error
        return report.model_copy(
            update={
                "positions": resident.outbox.positions(),
                "migrated": tuple(resident.migrated),
                "kept_ms": {rule.table: rule.keep_ms for rule in resident.retention},
                "code": self._codes[resident.name],
            }
        )


def _too_long(phase: Phase, timeout_ms: int) -> SenseError:
    allowed = format_duration(timeout_ms)
    if phase is Phase.LOADING:
        hint = "what takes long belongs into compute, not into the module"
        message = f"importing it took longer than {allowed}"
        return SenseError(message, kind="load_timeout", hint=hint)
    hint = "make it while nerve does not run: alembic -x sense=NAME upgrade head"
    message = f"its migration took longer than {allowed} and was rolled back"
    return SenseError(message, kind="migration_timeout", hint=hint)
