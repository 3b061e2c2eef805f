"""What `nerve why` draws with: lines that have a label, and the record as a table. Commands."""

from zoneinfo import ZoneInfo

import click

from nerve.cli import decisions
from nerve.cli.decisions import Run
from nerve.cli.output import emit, emit_hanging, emit_table
from nerve.cli.wording import local_time
from nerve.config.models import SenseConfig

_LABEL_CELLS = 8


def title(sense: str, more: str) -> None:
    """Show whom it is about."""
    emit(click.style(sense, bold=True) + more)


def line(label: str, text: str) -> None:
    """Show a sentence behind its label."""
    emit_hanging(f"{label + ':':<{_LABEL_CELLS}} ", text)


def record(runs: list[Run], config: SenseConfig, zone: ZoneInfo) -> None:
    """Show what became of triggers, the latest first."""
    if not runs:
        return
    emit("")
    rows = [
        (
            local_time(run.first_us, zone),
            local_time(run.last_us, zone) if run.last_us != run.first_us else "",
            f"{run.count:,}",
            decisions.in_words(run, config, zone),
        )
        for run in runs
    ]
    emit_table(("from", "to", "times", "what became of it"), rows)
