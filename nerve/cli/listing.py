"""`nerve list`: the senses and the reflexes of the configuration, and how they do."""

from collections import Counter
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import click

from nerve.cli.causes import cause_of, found, runs_of, targets_of
from nerve.cli.live import next_ticks
from nerve.cli.output import emit, emit_json, emit_table, json_option, say
from nerve.cli.quarantines import as_json as quarantine_as_json
from nerve.cli.quarantines import end_of, held
from nerve.cli.settings import Settings, config_options
from nerve.cli.tallies import Count, counts, last_outcome
from nerve.cli.upcoming import Running, next_of, running
from nerve.cli.wording import local_time, span
from nerve.clock import SystemClock, rfc3339
from nerve.config import Loaded
from nerve.config.models import Config, SenseReflex, WorkflowReflex
from nerve.store.batch import Quarantine


@click.group("list")
def list_() -> None:
    """List the senses or the reflexes."""


@list_.command(
    short_help="The senses, what runs them, how the last run ended.",
    epilog="\b\nExamples:\n"
    "  nerve list senses                        with nerve running or not\n"
    "  nerve list senses --json | jq .sense     the names alone",
)
@json_option
@config_options
@click.pass_obj
def senses(settings: Settings, as_json: bool) -> None:
    """List the senses: where they are, what runs them, how the last run ended."""
    loaded = settings.load()
    known, resting, now_us = counts(loaded), held(loaded), SystemClock().now_us()
    ticks, schedule, rows = next_ticks(loaded), running(loaded), []
    for name, sense in loaded.config.senses.items():
        where, place = found(loaded, name)
        last, runs = last_outcome(known, name), runs_of(loaded, name)
        next_us = ticks.get(name) or _next_us(loaded.config, name, now_us, schedule)
        if as_json:
            shown = {"sense": name, "group": sense.group, "found": where, "place": str(place)}
            quarantine = quarantine_as_json(resting.get(name), now_us)
            how = {"runs": runs, "last": last and last.as_json(), "quarantine": quarantine}
            emit_json({**shown, **how, "next": None if next_us is None else rfc3339(next_us)})
        rows.append((name, sense.group, where, last, _runs(runs, next_us, now_us)))
    if as_json:
        return
    zone = ZoneInfo(loaded.config.timezone)
    columns = ("sense", "group", "found", "last outcome", "runs")
    emit_table(columns, [(*cells, _last(last, zone), runs) for *cells, last, runs in rows])
    if not rows:
        say(f"{loaded.path} has no senses")
    _show_quarantines(loaded, resting, now_us, zone)


def _runs(runs: list[str], next_us: int | None, now_us: int) -> str:
    coming = f" (in {span(next_us - now_us)})" if next_us is not None else ""
    return ("; ".join(runs) or "nothing") + coming


def _next_us(config: Config, sense: str, now_us: int, schedule: Running) -> int | None:
    """When a timer runs it next, as the files and the clock tell; None where they do not."""
    timers = [
        reflex.model_copy(update={"sense": (sense,)})
        for reflex in config.reflexes
        if isinstance(reflex, SenseReflex) and sense in reflex.sense and not reflex.on
    ]
    found = [next_of(reflex, config, now_us, schedule) for reflex in timers]
    return min((at_us for at_us in found if at_us is not None), default=None)


def _show_quarantines(
    loaded: Loaded, resting: Mapping[str, Quarantine], now_us: int, zone: ZoneInfo
) -> None:
    """A table of its own: it is rare, and too much for a column."""
    found = [resting[name] for name in loaded.config.senses if name in resting]
    if not found:
        return
    emit("")
    rows = [(one.sense, end_of(one, now_us, zone), one.reason) for one in found]
    emit_table(("in quarantine", "until", "reason"), rows)
    say("mend it; a quarantine ends earlier with: nerve resume SENSE")


@list_.command(
    short_help="The reflexes: what they run, when, and when next.",
    epilog="\b\nExample:\n  nerve list reflexes                      what comes next",
)
@json_option
@config_options
@click.pass_obj
def reflexes(settings: Settings, as_json: bool) -> None:
    """List the reflexes: what they run, when, and when that comes next.

    An interval that is not aligned counts from the start of nerve, so its next time is
    known only while nerve runs.
    """
    loaded = settings.load()
    config, now_us, schedule = loaded.config, SystemClock().now_us(), running(loaded)
    ticks = next_ticks(loaded)
    due = [
        _told_of(reflex, config, ticks) or next_of(reflex, config, now_us, schedule)
        for reflex in config.reflexes
    ]
    if as_json:
        for reflex, next_us in zip(config.reflexes, due, strict=True):
            emit_json(_as_json(reflex, next_us))
        return
    zone = ZoneInfo(config.timezone)
    rows = [
        (reflex.kind, ", ".join(targets_of(reflex)), _next(reflex, next_us, zone), cause_of(reflex))
        for reflex, next_us in zip(config.reflexes, due, strict=True)
    ]
    emit_table(("kind", "runs", "next", "when"), rows)
    if not rows:
        say(f"{loaded.path} has no reflexes")


def _told_of(
    reflex: SenseReflex | WorkflowReflex, config: Config, ticks: Mapping[str, int]
) -> int | None:
    """Its next time as the running nerve says, which knows of reloads; None if it does not.

    Of a sense with several timers it tells the next tick, and not whose it is.
    """
    if not isinstance(reflex, SenseReflex) or reflex.on:
        return None
    timers = Counter(
        sense
        for other in config.reflexes
        if isinstance(other, SenseReflex) and not other.on
        for sense in other.sense
    )
    told = [ticks[sense] for sense in reflex.sense if timers[sense] == 1 and sense in ticks]
    return min(told, default=None)


def _as_json(reflex: SenseReflex | WorkflowReflex, next_us: int | None) -> dict[str, object]:
    return {
        "kind": reflex.kind,
        "targets": targets_of(reflex),
        "cause": cause_of(reflex),
        "cron": reflex.cron if isinstance(reflex, SenseReflex) else None,
        "next": None if next_us is None else rfc3339(next_us),
        "waits_for": reflex.on or (),
    }


def _next(reflex: SenseReflex | WorkflowReflex, next_us: int | None, zone: ZoneInfo) -> str:
    if isinstance(reflex, WorkflowReflex):
        return "does not run"
    if reflex.on:
        return "with a signal"
    return "when nerve runs" if next_us is None else local_time(next_us, zone)


def _last(last: Count | None, zone: ZoneInfo) -> str:
    return f"{last.outcome}, {local_time(last.last_at_us, zone)}" if last else "never ran"
