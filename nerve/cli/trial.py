"""`nerve test`: one sense, run for real, on nothing that matters.

The worker is the one of `nerve run`; its database is fresh and lies in a scratch
directory that is deleted afterwards, migrations and all. Peers are read where they
really are. Each run is shown with what came of it: the signal, the new rows, what was
logged and printed.
"""

import json
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nerve.cli.numbers import number_option
from nerve.cli.output import emit, emit_hanging, emit_json, emit_table, json_option
from nerve.cli.query import cell_of, json_value
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.trigger import payload_of
from nerve.cli.wording import counted, cut, json_text, visible, visible_lines
from nerve.clock import MS_PER_S
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.config.secrets import Redactor
from nerve.errors import Exit
from nerve.process.launch import shut_down
from nerve.supervisor.shortlived import short_spec
from nerve.testing.in_worker import SenseInWorker
from nerve.testing.results import LogLine, Result
from nerve.testing.tables import Added, Additions
from nerve.testing.triggers import Cause

MAX_TIMES = 10_000
MAX_SHOWN_ROWS = 5
"""Of each table after each run; how many there are is said as well."""
MAX_CELL_CELLS = 40
"""Of a terminal, for one value in a table."""


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve test disk                          once\n"
    "  nerve test disk --times 3                what it makes of earlier rows\n"
    "  nerve test heat --signal 'disk={\"full\": true}'\n"
    "                                           caused by a signal of another sense\n"
    '  nerve test deploy --payload \'{"version": "1.4"}\'\n'
    "                                           as `nerve trigger` would\n"
    "\nExit codes: 0 no run failed, 1 one did."
)
@click.argument("sense")
@number_option(
    "--times",
    1,
    MAX_TIMES,
    default=1,
    help="How often to run it.",
)
@click.option(
    "--signal",
    "signals",
    metavar="SENSE=JSON",
    multiple=True,
    help="A signal that causes each run, with its payload. May be repeated.",
)
@click.option(
    "--payload",
    metavar="JSON|@FILE|-",
    help="What is given by hand, for ctx.trigger.payloads; as for `nerve trigger`.",
)
@json_option
@config_options
@click.pass_obj
def test(
    settings: Settings,
    sense: str,
    times: int,
    signals: tuple[str, ...],
    payload: str | None,
    as_json: bool,
) -> Exit:
    """Run one sense on a scratch database, and show what comes of it."""
    loaded = settings.load()
    require_sense(loaded, sense)
    causes = [_cause(loaded, text) for text in signals]
    payloads = [] if payload is None else [payload_of(payload)]
    report = _Report(loaded.redactor, as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="nerve-test-") as scratch:
        run = _in_scratch(loaded, sense, Path(scratch))
        additions = Additions(run.database)
        try:
            with closing(run):
                run.start()
                for number in range(1, times + 1):
                    result = run(signals=causes, payloads=payloads)
                    report.run(number, result, additions.look(MAX_SHOWN_ROWS))
                run.stop()
        finally:
            shut_down()
            report.end(run)
    return Exit.FOUND if report.failures else Exit.OK


def _cause(loaded: Loaded, text: str) -> Cause:
    name, _, payload = text.partition("=")
    require_sense(loaded, name)
    try:
        return name, json.loads(payload)
    except ValueError as error:
        hint = f'write --signal \'{name}={{"summary": "..."}}\''
        raise click.BadParameter(f"the payload of {name} is no JSON: {error}; {hint}") from error


def _in_scratch(loaded: Loaded, name: str, scratch: Path) -> SenseInWorker:
    blobs = scratch / "blobs"
    blobs.mkdir()
    spec = short_spec(loaded, {name: loaded.config.senses[name]}, scratch, blobs=blobs)
    return SenseInWorker(loaded, name, spec, scratch / "slate")


class _Report:
    """Shows one run after the other.

    Attributes:
        failures: how many runs have failed.
    """

    def __init__(self, redactor: Redactor, *, as_json: bool) -> None:
        self.failures = 0
        self._redactor = redactor
        self._as_json = as_json
        self._totals: dict[str, int] = {}

    def run(self, number: int, result: Result, added: Mapping[str, Added]) -> None:
        """Show a run, and the rows that came with it."""
        self.failures += result.error is not None
        self._totals = {table: rows.total for table, rows in added.items()}
        if self._as_json:
            emit_json(self._as_value(number, result, added))
            return
        nothing = " (compute returned None)" if result.outcome == "no_signal" else ""
        emit(f"run {number}: {result.outcome}{nothing}, {result.duration_s * MS_PER_S:,.1f} ms")
        if result.error is not None:
            _show_error(result)
        elif result.payload is not None:
            emit(f"  {json_text(result.payload)}")
        for table, rows in added.items():
            self._show_rows(table, rows)
        _show_heard(result.logs, result.printed)

    def end(self, run: SenseInWorker) -> None:
        """Show what is left after the last run."""
        logs, printed = run.last_words()
        kept = {table: format_duration(kept_ms) for table, kept_ms in run.kept_ms.items()}
        if self._as_json:
            heard = {"logs": [asdict(line) for line in logs], "printed": printed}
            emit_json({"rows": self._totals, "kept": kept, **heard})
            return
        _show_heard(logs, printed)
        for table, total in self._totals.items():
            for_how_long = f", kept {kept[table]}" if table in kept else ""
            emit(f"table {visible(table)}: {counted(total, 'row')}{for_how_long}")

    def _as_value(self, number: int, result: Result, added: Mapping[str, Added]) -> dict[str, Any]:
        return {
            "run": number,
            "outcome": result.outcome,
            "took_ms": round(result.duration_s * MS_PER_S, 3),
            "payload": None if result.error else result.payload,
            "fault": result.error and asdict(result.error),
            "rows": {
                table: {
                    "added": rows.count,
                    "total": rows.total,
                    "first": [self._masked(row) for row in rows.rows],
                }
                for table, rows in added.items()
            },
            "logs": [asdict(line) for line in result.logs],
            "printed": result.printed,
        }

    def _masked(self, row: Mapping[str, Any]) -> Any:
        return self._redactor.json({column: json_value(value) for column, value in row.items()})

    def _show_rows(self, table: str, added: Added) -> None:
        if not added.count:
            return
        more = added.count - len(added.rows)
        first = f", the first {len(added.rows)} of them" if more else ""
        emit(f"  {visible(table)}: {added.count:,} new{first}")
        rows = [self._masked(row) for row in added.rows]
        shown = [["", "", *(_cell(value) for value in row.values())] for row in rows]
        emit_table(("", "", *rows[0]), shown, wrap=False)


def _cell(value: Any) -> str:
    return cut(visible(cell_of(value)), MAX_CELL_CELLS)


def _show_error(result: Result) -> None:
    error = result.error
    assert error is not None  # noqa: S101  only the failed come here
    told = f"{error.kind}: {error.message}\n{error.traceback}"
    for line in filter(None, visible_lines(told)):
        emit_hanging("  ", line, "red")
    if error.hint:
        emit_hanging("  hint: ", visible(error.hint))


def _show_heard(logs: tuple[LogLine, ...], printed: str) -> None:
    for line in logs:
        first, *more = visible_lines(line.message)
        for text in (f"log {line.level}: {first}", *(f"  {text}" for text in more)):
            emit(f"  {text}")
    for text in visible_lines(printed) if printed else ():
        emit(f"  printed: {text}")
