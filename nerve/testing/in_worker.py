"""A sense in a real worker, which may hang, crash or use up its memory.

Commands and tests. The worker is the one of `nerve run`, limits, guard and all, on databases that
nothing depends on. One that died is replaced at the next run, on the same database, as the
supervisor would. `nerve test` and the fixture `sense_in_worker` are both this.
"""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nerve.clock import MS_PER_S
from nerve.config import Loaded
from nerve.errors import NerveError
from nerve.process.slate import create
from nerve.sense import Json, Trigger
from nerve.supervisor.shortlived import ShortLived, WorkerDied, WorkerSilent, short_spec
from nerve.testing.results import Failure, LogLine, Result, failure_of, log_line, result_of, seconds
from nerve.testing.scene import Scene
from nerve.testing.tables import ask, read_rows
from nerve.testing.triggers import Cause, message_of, trigger_of
from nerve.wire.messages import (
    AcknowledgeMessage,
    ReadyMessage,
    SignalMessage,
    StopMessage,
    WorkerSpec,
)

BOOT_TIMEOUT_S = 120.0
"""Imports and migrations, as long as the supervisor allows."""
STOP_TIMEOUT_S = 5.0


class CannotStart(NerveError):
    """The sense cannot be loaded or migrated.

    Attributes:
        failure: why.
    """

    def __init__(self, sense: str, failure: Failure) -> None:
        told = Failure(failure.kind, failure.message, failure.traceback)
        super().__init__(f"{sense} cannot start: {told}", hint=failure.hint)
        self.failure = failure


class SenseInWorker:
    """A sense that a worker runs; call it to run it once.

    Attributes:
        kept_ms: by table, how long its rows are kept; known once the worker has started.
        database: the path of its database.
    """

    def __init__(self, loaded: Loaded, name: str, spec: WorkerSpec, slate: Path) -> None:
        """Start nothing yet; `slate` is a file for the worker to say on where it hangs."""
        self.kept_ms: dict[str, int] = {}
        self.database = Path(spec.databases[name])
        self._loaded = loaded
        self._name = name
        self._slate = slate
        self._spec = spec.model_copy(update={"slate": str(slate)})
        self._worker: ShortLived | None = None
        self._stack = ExitStack()
        self._printed = 0
        self._number = 0
        self._between: tuple[tuple[LogLine, ...], str] = ((), "")

    def __call__(
        self,
        *,
        signals: Iterable[Cause] = (),
        payloads: Iterable[Json] = (),
        trigger: Trigger | None = None,
    ) -> Result:
        """Run the sense once, and wait until it has ended, or its worker has.

        Args:
            signals: what causes it; each a `nerve.Signal`, or a pair of a sense's name and a
                payload.
            payloads: what is given by hand, as by `nerve trigger --payload`.
            trigger: the whole reason, where `signals` says too little of it.

        Raises:
            CannotStart: when the sense cannot be loaded or migrated.
            WorkerDied, WorkerSilent: when its worker ends or hangs over that.
        """
        worker = self.start()
        self._number += 1
        reason = trigger or trigger_of(signals, datetime.now(UTC), payloads)
        message = message_of(self._name, self._number, reason)
        began = time.monotonic()
        try:
            answer = worker.request(message, self._allowance_s())
        except (WorkerDied, WorkerSilent) as error:
            return self._ended(worker, error, time.monotonic() - began)
        if isinstance(answer, SignalMessage):
            acknowledged = {self._name: (answer.epoch, answer.seq)}
            worker.send(AcknowledgeMessage(acknowledged=acknowledged))
        logs, printed = self._heard(worker)
        return result_of(
            answer,
            sense=self._name,
            number=self._number,
            duration_s=seconds(getattr(answer, "duration_us", None) or 0),
            logs=logs,
            printed=printed,
            rows=self.rows,
        )

    def start(self) -> ShortLived:
        """Have a worker with the sense in it; raises CannotStart, WorkerDied, WorkerSilent."""
        if self._worker is not None:
            return self._worker
        create(self._slate)
        worker = self._stack.enter_context(ShortLived(self._spec, self._loaded))
        self._printed = 0
        try:
            self._await_ready(worker)
        except BaseException:
            self._stack.close()
            self._between = self._heard(worker)
            raise
        self._worker = worker
        return worker

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows that a table of the sense has by now, in the order they came."""
        return read_rows(self.database, table)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the sense's database in SQL, read-only; returns what is committed."""
        return ask(self.database, sql, values)

    def stop(self) -> None:
        """Stop the worker in an orderly way; raises WorkerDied, WorkerSilent."""
        if (worker := self._worker) is None:
            return
        try:
            worker.request(StopMessage(), STOP_TIMEOUT_S)
        finally:
            self.close()
            self._between = self._heard(worker)

    def last_words(self) -> tuple[tuple[LogLine, ...], str]:
        """Return what was logged and printed outside a run: in a start that failed, at the stop."""
        return self._between

    def close(self) -> None:
        """End the worker and all it started, at once."""
        self._worker = None
        self._stack.close()

    def _allowance_s(self) -> float:
        config = self._loaded.config.senses[self._name]
        return (config.timeout_ms + config.grace_period_ms) / MS_PER_S

    def _await_ready(self, worker: ShortLived) -> None:
        answer = worker.receive(BOOT_TIMEOUT_S)
        fault = getattr(answer, "fault", None)
        if isinstance(answer, ReadyMessage):
            (report,) = answer.senses
            fault, self.kept_ms = report.fault, report.kept_ms
        if fault is not None:
            raise CannotStart(self._name, failure_of(fault))

    def _ended(
        self, worker: ShortLived, error: WorkerDied | WorkerSilent, duration_s: float
    ) -> Result:
        self.close()
        logs, printed = self._heard(worker)
        outcome, kind = ("killed", "hard_timeout")
        if isinstance(error, WorkerDied):
            outcome, kind = ("crashed", "crashed")
        failure = Failure(kind, str(error), hint=error.hint)
        return Result(self._name, outcome, duration_s, failure, logs, printed, None, self.rows)

    def _heard(self, worker: ShortLived) -> tuple[tuple[LogLine, ...], str]:
        """What it has logged and printed since this was last asked."""
        logs = tuple(log_line(record) for record in worker.take_records())
        printed = worker.printed[self._printed :]
        self._printed += len(printed)
        return logs, printed


def in_worker(scene: Scene) -> SenseInWorker:
    """Return the sense of a scene, for a worker."""
    spec = short_spec(
        scene.loaded,
        {scene.name: scene.config},
        scene.database.parent,
        blobs=scene.blobs,
    )
    databases = {name: str(path) for name, path in scene.databases.items()}
    spec = spec.model_copy(update={"databases": databases})
    return SenseInWorker(scene.loaded, scene.name, spec, scene.database.with_suffix(".slate"))
