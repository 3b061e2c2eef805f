"""`nerve list`: the senses and the reflexes of the configuration, and how they do."""

from zoneinfo import ZoneInfo

import click

from nerve.cli.causes import cause_of, found, runs_of, targets_of
from nerve.cli.output import emit_json, emit_table, json_option, say
from nerve.cli.settings import Settings, config_options
from nerve.cli.tallies import Count, counts, last_outcome
from nerve.cli.wording import local_time
from nerve.config.models import SenseReflex, WorkflowReflex


@click.group("list")
def list_() -> None:
    """List the senses or the reflexes."""


@list_.command(short_help="The senses, what runs them, how the last run ended.")
@json_option
@config_options
@click.pass_obj
def senses(settings: Settings, as_json: bool) -> None:
    """List the senses: where they are, what runs them, how the last run ended."""
    loaded = settings.load()
    known = counts(loaded)
    rows = []
    for name, sense in loaded.config.senses.items():
        where, place = found(loaded, name)
        last, runs = last_outcome(known, name), runs_of(loaded.config, name)
        if as_json:
            shown = {"sense": name, "group": sense.group, "found": where, "place": str(place)}
            emit_json({**shown, "runs": runs, "last": last and last.as_json()})
        rows.append((name, sense.group, where, last, "; ".join(runs) or "nothing"))
    if as_json:
        return
    zone = ZoneInfo(loaded.config.timezone)
    columns = ("sense", "group", "found", "last outcome", "runs")
    emit_table(columns, [(*cells, _last(last, zone), runs) for *cells, last, runs in rows])
    if not rows:
        say(f"{loaded.path} has no senses")


@list_.command()
@json_option
@config_options
@click.pass_obj
def reflexes(settings: Settings, as_json: bool) -> None:
    """List the reflexes: what they run, and when."""
    loaded = settings.load()
    if as_json:
        for reflex in loaded.config.reflexes:
            emit_json(_as_json(reflex))
        return
    rows = [
        (reflex.kind, ", ".join(targets_of(reflex)), cause_of(reflex))
        for reflex in loaded.config.reflexes
    ]
    emit_table(("kind", "runs", "when"), rows)
    if not rows:
        say(f"{loaded.path} has no reflexes")


def _as_json(reflex: SenseReflex | WorkflowReflex) -> dict[str, object]:
    return {"kind": reflex.kind, "targets": targets_of(reflex), "cause": cause_of(reflex)}


def _last(last: Count | None, zone: ZoneInfo) -> str:
    return f"{last.outcome}, {local_time(last.last_at_us, zone)}" if last else "never ran"
