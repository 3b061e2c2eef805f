"""A sense in the process of its test.

Tests, main thread. The sense's database, its transaction, the soft timeout, what becomes of what it
returns: all of that is the worker's own code (`nerve.worker.resident`, `executor`). What a worker
changes of its process for good (limits, signal handlers) is left alone here, and what a compute
needs for its time (SIGALRM, levels of loggers) is given back after it.

What a process of its own is needed for, hangs in C code, crashes, memory, is for `in_worker`.
"""

import io
import logging
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import datetime
from types import ModuleType
from typing import Any

from nerve.config.names import module_name
from nerve.config.secrets import Redactor
from nerve.logs.sending import LEVELS
from nerve.sense import Json, Trigger
from nerve.store.blobs import BlobStore
from nerve.testing.clock import START, StoppedClock
from nerve.testing.results import LogLine, Result, log_line, result_of
from nerve.testing.scene import Scene
from nerve.testing.tables import Row, ask, insert, read_rows
from nerve.testing.triggers import Cause, message_of, trigger_of
from nerve.wire.messages import ComputeMessage, FailedMessage, SignalMessage, parse_up
from nerve.worker.deadline import Deadline
from nerve.worker.executor import Executor, Outcome
from nerve.worker.loader import PACKAGE, load, parse_options
from nerve.worker.resident import Resident

BOOT = "test"
_SOON_S = 0.000_001


class SenseInProcess:
    """A sense with its migrated database; call it to run it once.

    Attributes:
        module: the sense's module, loaded for this test alone; patch what it looks at there.
        clock: stands still between runs; `ctx.now` and `ctx.remaining()` are taken from it.
        blobs: what it stores with `ctx.blobs`, with `get` and `put`.
        database: the path of its database.
    """

    def __init__(self, scene: Scene, *, now: datetime | None = None) -> None:
        """Load the sense and open its database.

        Raises SenseError, MigrationFailed and their kin for one that nerve could not start either.
        """
        config = scene.config
        self.clock = StoppedClock(now or START)
        self.blobs = BlobStore(scene.blobs)
        self.database = scene.database
        self._name = scene.name
        self._redactor = scene.loaded.redactor
        self._number = 0
        self._is_closed = False
        deadline = Deadline(self.clock)
        project = scene.loaded.path.parent
        _forget(scene.name)
        self._loaded = load(scene.name, config, project)
        self._resident = Resident(
            scene.name,
            config,
            self._loaded,
            databases=scene.databases,
            deadline=deadline,
            clock=self.clock,
        )
        try:
            self._resident.open()
        except BaseException:
            with suppress(Exception):  # whatever of it is open
                self._resident.close()
            raise
        self._options = self._resident.options
        self._executor = Executor(
            generation=0,
            boot=BOOT,
            clock=self.clock,
            deadline=deadline,
            blobs=self.blobs,
            redactor=self._redactor,
            limits=scene.loaded.config.group(config.group),
            folder=str(project),
            owns_process=False,
        )

    @property
    def module(self) -> ModuleType:
        """The sense's module, loaded for this test alone."""
        return self._loaded.module

    def __call__(
        self,
        *,
        now: datetime | None = None,
        after_s: float = 0.0,
        signals: Iterable[Cause] = (),
        payloads: Iterable[Json] = (),
        trigger: Trigger | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run the sense once, as a worker does.

        Args:
            now: what the clock shows, aware; else it stays where it is.
            after_s: seconds that pass on the clock before that.
            signals: what causes it; each a `nerve.Signal`, such as another sense's
                `result.signal`, or a pair of a sense's name and a payload.
            payloads: what is given by hand, as by `nerve trigger --payload`.
            trigger: the whole reason, where `signals` says too little of it.
            options: for this run, in place of those that the sense was made with.
        """
        if now is not None:
            self.clock.move_to(now)
        self.clock.advance(after_s)
        self._resident.options = (
            self._options if options is None else parse_options(self._loaded, dict(options))
        )
        self._number += 1
        reason = trigger or trigger_of(signals, self.clock.now, payloads)
        return self._run(message_of(self._name, self._number, reason))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows that a table of the sense has by now, in the order they came."""
        return read_rows(self.database, table)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the sense's database in SQL, read-only; returns what is committed."""
        return ask(self.database, sql, values)

    def insert(self, table: str, *rows: Row) -> None:
        """Put rows into a table, as if an earlier run had; raises RowUnfit."""
        self._resident.begin()
        try:
            raw: Any = self._resident.db.connection.driver_connection
            insert(raw.execute, table, rows)
        except BaseException:
            self._resident.abandon()
            raise
        self._resident.commit(boot=BOOT, trigger_id=0, positions={}, signal=None)

    def close(self) -> None:
        """Close its databases; a second time is nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._resident.peers.close()
        self._resident.close()
        _forget(self._name)

    def _run(self, message: ComputeMessage) -> Result:
        began = time.perf_counter()
        with _alarm_lent(), _records_kept(self._redactor) as logs, _prints_kept() as printed:
            outcome = self._executor.execute(self._resident, message)
        duration_s = time.perf_counter() - began
        answer = parse_up(outcome.message)
        if isinstance(answer, FailedMessage) and answer.fault.message == "KeyboardInterrupt":
            raise KeyboardInterrupt  # a person's, at the terminal
        self._go_on(outcome, answer)
        return result_of(
            answer,
            sense=self._name,
            number=self._number,
            duration_s=duration_s,
            logs=tuple(logs),
            printed=self._redactor.text(printed.getvalue()),
            rows=self.rows,
        )

    def _go_on(self, outcome: Outcome, answer: object) -> None:
        """Do what a worker does between two computes."""
        if isinstance(answer, SignalMessage):
            self._resident.outbox.acknowledge(answer.epoch, answer.seq)
        if not outcome.is_failure:
            self._resident.prune(lambda: False)


def _forget(name: str) -> None:
    """Have a sense's own files imported anew: another project may have one of the same name."""
    own = f"{PACKAGE}.{module_name(name)}"
    for module in [m for m in sys.modules if m == own or m.startswith(f"{own}.")]:
        del sys.modules[module]


@contextmanager
def _alarm_lent() -> Iterator[None]:
    """Give SIGALRM and its timer back afterwards: pytest-timeout, for one, uses them too."""
    handler = signal.getsignal(signal.SIGALRM)
    left_s, every_s = signal.getitimer(signal.ITIMER_REAL)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        if left_s:
            left_s = max(_SOON_S, left_s - (time.monotonic() - began))
            signal.setitimer(signal.ITIMER_REAL, left_s, every_s)


class _Keeper(logging.Handler):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self.lines: list[LogLine] = []
        self._redactor = redactor

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(log_line(record, self._redactor.text(self.format(record))))


@contextmanager
def _records_kept(redactor: Redactor) -> Iterator[list[LogLine]]:
    """Keep what is logged, at the levels that a worker has."""
    before = {name: logging.getLogger(name).level for name in LEVELS}
    keeper = _Keeper(redactor)
    root = logging.getLogger()
    root.addHandler(keeper)
    try:
        for name, level in LEVELS.items():
            logging.getLogger(name).setLevel(level)
        yield keeper.lines
    finally:
        root.removeHandler(keeper)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _prints_kept() -> Iterator[io.StringIO]:
    """Keep what is printed, and print it after that: pytest shows it with a test that fails."""
    kept = io.StringIO()
    try:
        with redirect_stdout(kept), redirect_stderr(kept):
            yield kept
    finally:
        sys.stdout.write(kept.getvalue())
