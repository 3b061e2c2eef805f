"""`nerve test`: one sense, run for real, on nothing that matters.

The worker is the one of `nerve run`; its database is fresh and lies in a scratch
directory that is deleted afterwards, migrations and all. Peers are read where they
really are. What the trial stored is read only after the worker has closed it.
"""

import sqlite3
import tempfile
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import click

from nerve.cli.output import emit, emit_json, json_option, say
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import counted, json_text, visible, visible_lines
from nerve.clock import MS_PER_S, US_PER_MS
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.errors import Exit, NerveError
from nerve.process.launch import shut_down
from nerve.sense import TriggerKind
from nerve.store.faults import explain
from nerve.store.sqlite import open_reader
from nerve.supervisor.shortlived import ShortLived, short_spec
from nerve.wire.messages import (
    AcknowledgeMessage,
    ComputeMessage,
    FailedMessage,
    Fault,
    ReadyMessage,
    SignalMessage,
    StopMessage,
    Up,
)

BOOT_TIMEOUT_S = 120.0
"""Imports and migrations, as long as the supervisor allows."""
STOP_TIMEOUT_S = 5.0
MAX_TIMES = 10_000


@dataclass(slots=True)
class Remains:
    """What is left after the last run.

    Attributes:
        rows: number of rows for each of the sense's own tables.
        kept_ms: by table, how long rows are kept where the sense says so.
        logs: level and text of each log record, oldest first.
        printed: what it wrote to stdout and stderr.
    """

    rows: dict[str, int] = field(default_factory=dict)
    kept_ms: dict[str, int] = field(default_factory=dict)
    logs: list[tuple[str, str]] = field(default_factory=list)
    printed: str = ""


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve test disk                          once\n"
    "  nerve test disk --times 3                what it makes of its own earlier rows\n"
    "Exit code 1 when a run failed."
)
@click.argument("sense")
@click.option("--times", type=click.IntRange(1, MAX_TIMES), default=1, help="How often to run it.")
@json_option
@config_options
@click.pass_obj
def test(settings: Settings, sense: str, times: int, as_json: bool) -> Exit:
    """Run one sense on a scratch database, and show what comes of it."""
    loaded = settings.load()
    require_sense(loaded, sense)
    remains = Remains()
    failures = 0
    try:
        with closing(_runs(loaded, sense, times, remains)) as runs:
            for number, (answer, duration_us) in enumerate(runs, 1):
                failures += isinstance(answer, FailedMessage)
                show = _emit_run if as_json else _show_run
                show(number, answer, duration_us)
    finally:
        shut_down()
        _emit_remains(remains) if as_json else _show_remains(remains)
    return Exit.FOUND if failures else Exit.OK


def _runs(
    loaded: Loaded, name: str, times: int, remains: Remains
) -> Generator[tuple[Up, int], None, None]:
    """Run a sense some times; yield each answer with its duration in microseconds.

    Raises NerveError when the sense cannot be loaded, or its worker hangs or dies.
    """
    with tempfile.TemporaryDirectory(prefix="nerve-test-") as scratch:
        blobs = Path(scratch) / "blobs"
        blobs.mkdir()
        senses = {name: loaded.config.senses[name]}
        worker = ShortLived(short_spec(loaded, senses, Path(scratch), blobs=blobs), loaded)
        try:
            with worker:
                remains.kept_ms = _await_ready(worker)
                for number in range(1, times + 1):
                    yield _compute(worker, loaded, name, number)
                worker.request(StopMessage(), STOP_TIMEOUT_S)
        finally:
            remains.printed = worker.printed
            remains.logs = [(r.levelname.lower(), r.getMessage()) for r in worker.records]
        remains.rows = _rows(Path(scratch) / f"{name}.db")


def _await_ready(worker: ShortLived) -> dict[str, int]:
    """Wait until the sense is up; return how long its rows are kept, by table."""
    answer = worker.receive(BOOT_TIMEOUT_S)
    fault = getattr(answer, "fault", None)
    kept_ms: dict[str, int] = {}
    if isinstance(answer, ReadyMessage):
        (report,) = answer.senses
        fault, kept_ms = report.fault, report.kept_ms
    if fault is not None:
        raise NerveError(_with_traceback(fault), hint=fault.hint)
    return kept_ms


def _compute(worker: ShortLived, loaded: Loaded, name: str, number: int) -> tuple[Up, int]:
    config = loaded.config.senses[name]
    allowance_s = (config.timeout_ms + config.grace_period_ms) / MS_PER_S
    message = ComputeMessage(sense=name, trigger_id=number, kind=TriggerKind.MANUAL)
    began = time.monotonic()
    answer = worker.request(message, allowance_s)
    if isinstance(answer, SignalMessage):
        worker.send(AcknowledgeMessage(acknowledged={name: (answer.epoch, answer.seq)}))
    measured_us = getattr(answer, "duration_us", None)
    return answer, measured_us or int((time.monotonic() - began) * MS_PER_S * US_PER_MS)


def _rows(database: Path) -> dict[str, int]:
    """Count the rows of the sense's own tables; those of nerve and Alembic do not count."""
    with closing(open_reader(database)) as reader:
        try:
            names = reader.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'alembic_version'"
                " AND name NOT GLOB 'nerve_*' AND name NOT GLOB 'sqlite_*' ORDER BY name"
            ).fetchall()
            return {name: _count(reader, name) for (name,) in names}
        except sqlite3.Error as error:
            raise explain(error, database) from error


def _count(reader: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    (count,) = reader.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()  # noqa: S608  quoted
    return int(count)


def _emit_run(number: int, answer: Up, duration_us: int) -> None:
    fault = answer.fault.model_dump() if isinstance(answer, FailedMessage) else None
    emit_json(
        {
            "run": number,
            "outcome": _outcome(answer),
            "duration_us": duration_us,
            "payload": answer.payload if isinstance(answer, SignalMessage) else None,
            "fault": fault,
        }
    )


def _show_run(number: int, answer: Up, duration_us: int) -> None:
    emit(f"run {number}: {_outcome(answer)}, {duration_us / US_PER_MS:,.1f} ms")
    if isinstance(answer, SignalMessage):
        emit(f"  {json_text(answer.payload)}")
    elif isinstance(answer, FailedMessage):
        for line in visible_lines(_with_traceback(answer.fault)):
            emit(click.style(f"  {line}", fg="red"))
        if answer.fault.hint:
            emit(f"  hint: {visible(answer.fault.hint)}")


def _emit_remains(remains: Remains) -> None:
    logs = [{"level": level, "message": message} for level, message in remains.logs]
    kept = {table: format_duration(kept_ms) for table, kept_ms in remains.kept_ms.items()}
    emit_json({"rows": remains.rows, "kept": kept, "logs": logs, "printed": remains.printed})


def _show_remains(remains: Remains) -> None:
    for table, count in remains.rows.items():
        kept_ms = remains.kept_ms.get(table)
        kept = f", kept {format_duration(kept_ms)}" if kept_ms else ""
        emit(f"table {visible(table)}: {counted(count, 'row')}{kept}")
    for level, message in remains.logs:
        emit(f"log {visible(level)}: {visible(message)}")
    if remains.printed:
        say("it printed:")
        for line in visible_lines(remains.printed):
            say(f"  {line}")


def _outcome(answer: Up) -> str:
    if isinstance(answer, FailedMessage):
        return answer.outcome
    return "signal" if isinstance(answer, SignalMessage) else "no_signal"


def _with_traceback(fault: Fault) -> str:
    traceback = f"\n{fault.traceback.rstrip()}" if fault.traceback else ""
    return f"{fault.kind}: {fault.message}{traceback}"
