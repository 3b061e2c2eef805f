"""What a running nerve does once a day: what is old goes to the archive.

Parent. A thread of its own leads each run, so that neither the loop nor the journal waits: an
archivist (a process, `nerve.archivist`) reads, writes and verifies the days' files, this thread
brings the rest to the journal's thread, which puts each in its place and deletes rows a thousand or
a MiB at a time, with pauses between them at least as long. A run that fails is tried again,
with growing pauses; one that is interrupted by the stop is begun anew at the next start.
"""

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from nerve.clock import MS_PER_S, Clock
from nerve.config import Loaded
from nerve.errors import NerveError, StateError
from nerve.process.launch import Launched, is_gone, launch
from nerve.process.tree import kill_tree
from nerve.reflex.listeners import routes_of
from nerve.store.archive import Archive, Work
from nerve.store.dayreport import GO_ON, Done, Failed, Job, dump_job, parse_report
from nerve.store.daywriter import Refused, Written
from nerve.store.due import Due, due_at
from nerve.store.faults import explained
from nerve.store.journal import Result
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir
from nerve.supervisor.archiving import Outcome, Row, archive, failed, finished, rows_of
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.recorder import Recorder
from nerve.wire.channel import Channel, ChannelClosed

ENTRY = "nerve.archivist:run"
"""By text, as that of the workers."""
FIRST_AFTER_S = 60.0
"""After the start: until then the senses have the machine."""
EVERY_S = 24 * 3600.0
RETRY_FIRST_S = 600.0
"""Until a run that failed is tried again; each next pause is twice as long, up to EVERY_S."""
REPORT_PATIENCE_S = 1800.0
"""For one day's file. A million rows take some ten seconds where the processor is free."""
CHORE_PATIENCE_S = 60.0
"""For the journal's thread, which may have to wait for a disk."""
WAKE_S = 0.25
"""How often a wait looks whether nerve stops."""
KILL_TIMEOUT_S = 10.0
"""For a killed archivist to be gone."""
MAX_LAST_WORDS_BYTES = 2_000
"""Of what an archivist wrote to stderr before it died."""


Ended = Callable[[Outcome, BaseException | None], None]


class _Stopping(Exception):
    """The run is over because nerve stops."""


@dataclass(slots=True)
class _Run:
    """One run, and how far it has come."""

    now_us: int
    began: float
    outcome: Outcome = field(default_factory=Outcome)
    due: Due | None = None


class Housekeeping:
    """Archives, soon after the start and then daily."""

    def __init__(
        self,
        loaded: Loaded,
        state: StateDir,
        recorder: Recorder,
        ledger: Ledger,
        *,
        clock: Clock,
    ) -> None:
        self._config = loaded.config
        self._state = state
        self._recorder = recorder
        self._ledger = ledger
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive")
        self._timer: asyncio.TimerHandle | None = None
        self._retry_s = RETRY_FIRST_S
        self._is_running = False
        self._asked: list[Ended] = []

    def begin(self) -> None:
        """Have the first run in a while; on the loop."""
        self._wait(FIRST_AFTER_S)

    def adopt(self, loaded: Loaded) -> None:
        """Go on by another configuration, from the next run on; on the loop."""
        self._config = loaded.config

    def archive_now(self, ended: Ended) -> bool:
        """Have a run at once, or join the one under way: False; on the loop.

        `ended` is called with what it came to, once its rows of the log are on their way, and with
        what has ended it too early, if anything has. It is not called where nerve stops meanwhile.
        """
        joins = self._is_running
        self._asked.append(ended)
        if not joins:
            if self._timer is not None:
                self._timer.cancel()
            self._start()
        return not joins

    def end(self) -> None:
        """Interrupt a run, which looks every WAKE_S, and have no other; on the loop."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()

    def join(self) -> None:
        """Wait for the thread, after `end` and before the recorder is closed."""
        self._thread.shutdown()

    def _wait(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._start)

    def _start(self) -> None:
        run = _Run(self._clock.now_us(), self._clock.monotonic())
        self._is_running = True
        ended = asyncio.get_running_loop().run_in_executor(self._thread, self._archive, run)
        ended.add_done_callback(lambda ended: self._tell(run, ended.exception()))

    def _tell(self, run: _Run, error: BaseException | None) -> None:
        """Write down what a run came to, and wait for the next."""
        self._is_running = False
        if isinstance(error, _Stopping):
            return
        for row in rows_of(run.outcome, self._config.retention):
            self._ledger.log(*row)
        if error is None and run.due is not None:
            seconds = self._clock.monotonic() - run.began
            self._ledger.log(*finished(run.outcome, run.due, seconds))
            self._retry_s, delay_s = RETRY_FIRST_S, EVERY_S
        else:
            delay_s, self._retry_s = self._retry_s, min(2 * self._retry_s, EVERY_S)
            cause = error or NerveError("it has not begun")
            self._ledger.log(*failed(cause, tried_again_in_s=delay_s))
        asked, self._asked = self._asked, []
        for ended in asked:
            ended(run.outcome, error)
        if not self._stopping.is_set():
            self._wait(delay_s)

    # --- in the thread -------------------------------------------------------------

    def _archive(self, run: _Run) -> None:
        config = self._config  # which a reload may change meanwhile
        retention = config.retention
        pairs = [route.pair for route in routes_of(config)]
        journal = self._state.journal_path
        job = Job(
            str(journal),
            str(self._state.archive),
            retention,
            tuple(pairs),
            run.now_us,
        )
        with explained(journal), closing(open_reader(journal)) as reader:
            run.due = due_at(reader, retention, pairs, run.now_us)
            shelf = Archive(self._state.archive, self._do, reader, self._clock)
            days = self._written(job)
            with closing(days):
                archive(shelf, days, run.due, retention, run.now_us, run.outcome, self._tell_now)

    def _do(self, work: Work[Result]) -> Result:
        return self._brought(lambda: self._recorder.chore(work))

    def _tell_now(self, rows: list[Row]) -> None:
        entries = [self._ledger.entry(*row) for row in rows]
        self._brought(lambda: self._recorder.record_now(entries))

    def _brought(self, bring: Callable[[], Future[Result]]) -> Result:
        """Have the journal's thread do something, and leave it alone for as long after that."""
        self._require_going_on()
        began = self._clock.monotonic()
        result = self._done(bring(), began + CHORE_PATIENCE_S)
        self._stopping.wait(self._clock.monotonic() - began)
        return result

    def _done(self, done: Future[Result], give_up: float) -> Result:
        while True:
            with contextlib.suppress(TimeoutError):
                return done.result(WAKE_S)
            is_late = self._clock.monotonic() >= give_up
            if (is_late or self._stopping.is_set()) and done.cancel():
                self._require_going_on()
                path = self._state.journal_path
                raise StateError("the journal cannot be written now", path=path)

    def _require_going_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopping

    def _written(self, job: Job) -> Generator[Written | Refused]:
        """Have a process write the days, and end it in any case.

        Raises NerveError for what it met, or when it dies or does not go on.
        """
        launched = launch("nerve: archive", ENTRY, dump_job(job))
        channel = Channel(launched.channel)
        try:
            while isinstance(report := self._report(channel, launched), Written | Refused):
                yield report
                channel.send(GO_ON)
        finally:
            channel.close()
            _end(launched)
        if isinstance(report, Failed):
            error = StateError(report.message, path=self._state.archive, hint=report.hint)
            error.fault = report.fault
            raise error

    def _report(self, channel: Channel, launched: Launched) -> Written | Refused | Failed | Done:
        waiting = select.poll()
        waiting.register(channel, select.POLLIN)
        give_up = self._clock.monotonic() + REPORT_PATIENCE_S
        while self._clock.monotonic() < give_up:
            self._require_going_on()
            if not waiting.poll(WAKE_S * MS_PER_S):
                continue
            try:
                for frame in channel.receive():
                    return parse_report(frame)
            except ChannelClosed as error:
                raise NerveError(f"the archivist ended: {_last_words(launched)}") from error
        raise NerveError(f"the archivist has written no day for {REPORT_PATIENCE_S:.0f} s")


def _last_words(launched: Launched) -> str:
    with contextlib.suppress(OSError):
        os.set_blocking(launched.stderr, False)
        words = os.read(launched.stderr, 1 << 16)[-MAX_LAST_WORDS_BYTES:].decode(errors="replace")
        if words:
            return words.strip().splitlines()[-1]
    return "it said nothing"


def _end(launched: Launched) -> None:
    """Kill an archivist that may still be there; it has nothing that would be lost."""
    if launched.process.exitcode is None:  # else its number may be another's by now
        kill_tree(launched.pid)
    is_gone(launched.pid)
    launched.process.join(KILL_TIMEOUT_S)
    with contextlib.suppress(ValueError):  # it is in the kernel's hands; the fork server's end
        launched.process.close()
    for descriptor in (launched.stdout, launched.stderr):
        os.close(descriptor)
