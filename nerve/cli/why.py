"""`nerve why`: why a sense ran, or did not, and what it will do next.

Read-only, with or without a running parent. Four places are asked: the record of what became
of its triggers, the nerve that runs for what it does with the sense at this moment, what holds it
back (a pause, a quarantine, a fault at its start), and the configuration with the clock for
what comes next. With `--at` the
same record is asked about a moment in the past.
"""

import json
import shlex
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import click

from nerve.cli import decisions, pause, quarantines
from nerve.cli.causes import cause_of, conditions_of
from nerve.cli.cursors import cursor_of, waiting_after
from nerve.cli.decisions import Run
from nerve.cli.journal import open_journal
from nerve.cli.live import Told, doing, holding, told_of
from nerve.cli.moments import parse_moment
from nerve.cli.numbers import number_option
from nerve.cli.output import emit, emit_hanging, emit_json, emit_table, json_option, say_hanging
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.upcoming import next_of, running
from nerve.cli.wording import counted, local_time, local_times, sentence, visible
from nerve.clock import MS_PER_S, US_PER_MS, US_PER_S, SystemClock, rfc3339
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.config.models import SenseReflex
from nerve.errors import StateError
from nerve.reflex.debounce import MAX_WINDOWS
from nerve.store.journal_reading import cursors_in
from nerve.store.state_dir import StateDir

DEFAULT_LAST = 5
MAX_LAST = 1_000
MAX_SINCE = len(decisions.REASONS)
"""Runs of reasons shown since the last outcome."""
_LABEL_CELLS = 8
_UNAVAILABLE = "sense.unavailable"
_TROUBLES = (_UNAVAILABLE, "sense.resting", "group.fatal", "worker.boot_timeout")

_SHOWN_BY = {
    "error": ("sense", "compute.error"),
    "soft_timeout": ("sense", "compute.soft_timeout"),
    "killed": ("group", "worker.died"),
    "crashed": ("group", "worker.died"),
}
"""Outcome to the row of the log that tells most of it, and whose that is."""


@dataclass(frozen=True, slots=True)
class Next:
    """What will run a sense.

    Attributes:
        at_us: when; None where that is not known, or signals decide.
        cause: in words, as `nerve list reflexes` has it.
    """

    cause: str
    at_us: int | None


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve why disk                           its last run, and what comes next\n"
    "  nerve why disk --last 50                 more of what became of its triggers\n"
    '  nerve why disk --at 03:15                what it did then, or --at "2026-11-26 03:15"'
)
@click.argument("sense")
@number_option(
    "--last",
    1,
    MAX_LAST,
    default=DEFAULT_LAST,
    show_default=True,
    help="How many decisions to show; the same one again and again is one.",
)
@click.option("--at", "moment", metavar="TIME", help="Ask about a moment in the past.")
@json_option
@config_options
@click.pass_obj
def why(settings: Settings, sense: str, last: int, moment: str | None, as_json: bool) -> None:
    """Say why a sense ran, or did not, and what comes next."""
    loaded = settings.load()
    require_sense(loaded, sense)
    zone, now_us = ZoneInfo(loaded.config.timezone), SystemClock().now_us()
    at_us = _moment_us(moment, now_us, zone)
    with open_journal(loaded) as reader:
        runs = decisions.latest(reader, sense, last, until_us=at_us)
        if at_us is None:
            ran, told = decisions.last_outcome(reader, sense), told_of(loaded, sense)
            lags = list(_lags(loaded, reader, sense))
            held = list(_held_back(loaded, reader, sense, ran, zone, told))
            if told is None:  # it knows what it bundles
                held += _bundled(loaded, sense, lags)
            answer = _Answer(
                settings,
                loaded,
                sense,
                runs,
                ran,
                since=decisions.latest(
                    reader, sense, MAX_SINCE, ran=False, since_us=ran.last_us if ran else 0
                ),
                doing=doing(told) if told else "",
                held=held,
                coming=list(_coming(loaded, sense, now_us, told)),
                lags=lags,
            )
            answer.as_json() if as_json else answer.show(zone, now_us)
        else:
            _tell_past(loaded, reader, sense, runs, at_us, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Answer:
    """All that is known of a sense now.

    Attributes:
        ran: its latest outcome; None where none is recorded.
        since: the reasons for which triggers did not run since then.
        doing: what it does at this moment, as the running nerve says; else empty.
        held: what holds it back, a sentence each.
        lags: (source, signals of it that it has not answered), where there are any.
    """

    settings: Settings
    loaded: Loaded
    sense: str
    runs: list[Run]
    ran: Run | None
    since: list[Run]
    doing: str
    held: list[str]
    coming: list[Next]
    lags: list[tuple[str, int]]

    def as_json(self) -> None:
        mask = self.loaded.redactor.text
        next_ = [{"cause": mask(n.cause), "at": n.at_us and rfc3339(n.at_us)} for n in self.coming]
        lags = [{"source": source, "signals": number} for source, number in self.lags]
        decided = [run.as_json() for run in self.runs]
        last = {"ran": self.ran and self.ran.as_json(), "since": [r.as_json() for r in self.since]}
        facts = {"now": self.doing, "held_back": self.held, "next": next_, "unanswered": lags}
        emit_json({"sense": self.sense, **last, **facts, "decisions": decided})

    def show(self, zone: ZoneInfo, now_us: int) -> None:
        config = self.loaded.config.senses[self.sense]
        emit(click.style(self.sense, bold=True) + f", group {config.group}; times in {zone}")
        if self.ran is None:
            _line("last", "it has not run yet")
        else:
            ago = format_duration(max(0, now_us - self.ran.last_us) // US_PER_S * MS_PER_S)
            told = decisions.in_words(self.ran, config, zone) + _again(self.ran, zone)
            _line("last", f"{local_time(self.ran.last_us, zone)} ({ago} ago): {told}")
        for same in decisions.together(self.since):
            _line("since", decisions.all_in_words(same, config, zone))
        if self.ran is not None and not self.since:
            _line("since", "no trigger that did not run")
        for source, number in self.lags:
            _line("waiting", f"{counted(number, 'signal')} of {source} not answered yet")
        now = [*([self.doing] if self.doing else []), *self.held]
        for told in now or ["nothing known holds it back"]:
            _line("now", told)
        for coming in self.coming or [Next("no reflex runs it", None)]:
            at = f"{local_time(coming.at_us, zone)}, " if coming.at_us is not None else ""
            unless = ", if nothing holds it back by then" if at and self.held else ""
            _line("next", at + visible(self.loaded.redactor.text(coming.cause)) + unless)
        if look := _look(self.ran, self.sense, config.group):
            _line("look", shlex.join(["nerve", *self.settings.words(), *look]))
        _show_runs(self.runs, config, zone)


def _look(ran: Run | None, sense: str, group: str) -> list[str]:
    """Return the command that shows where it failed, if it has: traceback, or stack."""
    if ran is None or ran.decision not in _SHOWN_BY:
        return []
    source, type_ = _SHOWN_BY[ran.decision]
    named = ["--sense", sense] if source == "sense" else ["--source", group]
    return ["logs", *named, "--type", type_, "--limit", "1"]


def _again(run: Run, zone: ZoneInfo) -> str:
    if run.count == 1:
        return ""
    return f", {counted(run.count, 'time')} since {local_time(run.first_us, zone)}"


def _show_runs(runs: list[Run], config: Any, zone: ZoneInfo) -> None:
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


def _tell_past(
    loaded: Loaded,
    reader: sqlite3.Connection,
    sense: str,
    runs: list[Run],
    at_us: int,
    *,
    as_json: bool,
) -> None:
    zone, config = ZoneInfo(loaded.config.timezone), loaded.config.senses[sense]
    after = decisions.first_after(reader, sense, at_us)
    ran = _nerve_then(loaded, reader, at_us, zone)
    if as_json:
        decided = [run.as_json() for run in runs]
        later = after and after.as_json()
        emit_json(
            {
                "sense": sense,
                "at": rfc3339(at_us),
                "nerve": ran,
                "decisions": decided,
                "after": later,
            }
        )
        return
    emit(click.style(sense, bold=True) + f" at {local_time(at_us, zone)} {zone}")
    _line("nerve", ran)
    around = [run for run in runs if run.last_us >= at_us]
    for run in around:
        span = f"from {local_time(run.first_us, zone)} to {local_time(run.last_us, zone)}"
        _line("then", f"{span}: {decisions.with_number(run, config, zone)}")
    before = next((run for run in runs if run.last_us < at_us), None)
    if before is not None:
        told = decisions.in_words(before, config, zone)
        _line("before", f"{local_time(before.last_us, zone)}: {told}")
    if after is not None:
        told = decisions.in_words(after, config, zone)
        _line("after", f"{local_time(after.first_us, zone)}: {told}")
    if not (around or before or after):
        _line("then", "nothing is recorded of it")
    _show_runs(runs, config, zone)


def _nerve_then(loaded: Loaded, reader: sqlite3.Connection, at_us: int, zone: ZoneInfo) -> str:
    """Say whether nerve ran at a moment."""
    row = reader.execute(
        "SELECT started_us, ended_us, ended FROM boots WHERE started_us <= ?"
        " ORDER BY id DESC LIMIT 1",
        (at_us,),
    ).fetchone()
    if row is None:
        return "had not run yet"
    started_us, ended_us, ended = row
    if ended == "stopped" and ended_us <= at_us:
        return f"did not run: it had been stopped at {local_time(ended_us, zone)}"
    if ended == "stopped" or (ended is None and StateDir(loaded.state_dir).holder() is not None):
        return f"ran, since {local_time(started_us, zone)}"
    # It was killed, and when is not known: only what it had recorded by then.
    (heard_us,) = reader.execute(
        "SELECT max(last_us) FROM decisions WHERE last_us BETWEEN ? AND coalesce(?, last_us)",
        (started_us, ended_us),
    ).fetchone()
    heard_us = max(started_us, heard_us or 0)
    if at_us <= heard_us:
        return f"ran, since {local_time(started_us, zone)}"
    heard = local_time(heard_us, zone)
    return f"had perhaps been killed by then: the last that it recorded is of {heard}"


def _held_back(
    loaded: Loaded,
    reader: sqlite3.Connection,
    sense: str,
    ran: Run | None,
    zone: ZoneInfo,
    told: Told | None,
) -> Iterator[str]:
    """Say all that keeps a sense from running now; without the nerve's word, as files have it."""
    if told is None:
        pid = StateDir(loaded.state_dir).holder()
        runs = f"the nerve that runs, process {pid}, tells nothing: `nerve doctor` says why"
        yield "nerve does not run" if pid is None else runs
    if paused := pause.paused_in(loaded).get(sense):
        yield f"{pause.in_words(paused, zone)}; `nerve resume {sense}` ends that"
    if quarantine := quarantines.held_in(reader).get(sense):
        end = quarantines.end_of(quarantine, SystemClock().now_us(), zone)
        end = "on trial: tried once more" if end == "on trial" else f"in quarantine until {end}"
        yield f"{end}: {visible(quarantine.reason)}; `nerve resume {sense}` ends that"
    if told is not None:
        yield from holding(told, zone)
    else:
        yield from _throttled(loaded, sense, ran, zone)
    yield from _trouble(loaded, reader, sense, ran, zone)


def _throttled(loaded: Loaded, sense: str, ran: Run | None, zone: ZoneInfo) -> Iterator[str]:
    """Say what files tell of its throttle: they have the end of a compute, and not its start."""
    throttle_us = (loaded.config.senses[sense].throttle_ms or 0) * US_PER_MS
    if ran is not None and ran.last_us + throttle_us > SystemClock().now_us():
        until = local_time(ran.last_us + throttle_us, zone)
        yield f"its throttle, until about {until}; what came meanwhile runs then"


def _bundled(loaded: Loaded, sense: str, lags: list[tuple[str, int]]) -> Iterator[str]:
    """Say which reflexes wait for signals to cease."""
    waiting = {source for source, _ in lags}
    for reflex in loaded.config.reflexes:
        if not isinstance(reflex, SenseReflex) or sense not in reflex.sense:
            continue
        sources = ", ".join(source for source in reflex.on or () if source in waiting)
        if sources and reflex.debounce_ms:
            window = format_duration(reflex.debounce_ms)
            most = format_duration(MAX_WINDOWS * reflex.debounce_ms)
            yield (
                f"its debounce, until {window} after the last signal of {sources}, "
                f"{most} after the first at most"
            )


def _trouble(
    loaded: Loaded, reader: sqlite3.Connection, sense: str, ran: Run | None, zone: ZoneInfo
) -> Iterator[str]:
    """Say the last fault of a sense or its group in this run of nerve, if it has not run since."""
    group = loaded.config.senses[sense].group
    marks = ", ".join("?" * len(_TROUBLES))
    row = reader.execute(
        f"SELECT at_us, type, payload FROM logs WHERE source IN (?, ?) AND type IN ({marks})"  # noqa: S608  marks
        " AND at_us >= (SELECT coalesce(max(started_us), 0) FROM boots) ORDER BY id DESC LIMIT 1",
        (sense, group, *_TROUBLES),
    ).fetchone()
    if row is None or (ran is not None and ran.last_us > row[0]):
        return
    try:
        payload = json.loads(row[2])
        told, hint = local_times(sentence(payload), zone), visible(payload.get("hint") or "")
    except ValueError:  # a damaged row
        told, hint = "see the log", ""
    mended = ""
    if row[1] == _UNAVAILABLE:
        mended = f"; {hint or 'mend it'}; then `nerve restart {group}`"
    yield f"{row[1]} at {local_time(row[0], zone)}: {told}{mended}"


def _lags(loaded: Loaded, reader: sqlite3.Connection, sense: str) -> Iterator[tuple[str, int]]:
    for reflex in loaded.config.reflexes:
        if isinstance(reflex, SenseReflex) and sense in reflex.sense:
            for source in reflex.on or ():
                try:
                    position = cursor_of(loaded, reader, (sense, source)).position
                except StateError as error:  # of its own database: perhaps just what is asked about
                    told = f"{visible(str(error))}; the journal alone was asked"
                    say_hanging("nerve: ", told, "red")
                    position = cursors_in(reader).get((sense, source))
                if position is None:
                    continue
                waiting = waiting_after(reader, [(source, position)])[source, position]
                if waiting.number:
                    yield source, waiting.number


def _coming(loaded: Loaded, sense: str, now_us: int, told: Told | None) -> Iterator[Next]:
    schedule = running(loaded)
    reflexes = [r for r in loaded.config.reflexes if isinstance(r, SenseReflex)]
    mine = [reflex for reflex in reflexes if sense in reflex.sense]
    # Of several timers the nerve that runs tells the next tick, and not whose it is.
    has_one_timer = sum(not reflex.on for reflex in mine) == 1
    for reflex in mine:
        alone = reflex.model_copy(update={"sense": (sense,)})
        cause = ", ".join(filter(None, (cause_of(reflex), conditions_of(reflex))))
        if reflex.on:
            yield Next(f"with a signal, {cause}", None)
        elif told is not None and has_one_timer:
            yield Next(cause, told.sense.next_us)
        else:
            yield Next(cause, next_of(alone, loaded.config, now_us, schedule))


def _moment_us(moment: str | None, now_us: int, zone: ZoneInfo) -> int | None:
    if moment is None:
        return None
    try:
        return parse_moment(moment, now_us=now_us, zone=zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error


def _line(label: str, text: str) -> None:
    emit_hanging(f"{label + ':':<{_LABEL_CELLS}} ", text)
