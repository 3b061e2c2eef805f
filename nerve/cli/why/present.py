"""What is known of a sense now, shown: how it ran, what keeps it back, what comes. Commands."""

import shlex
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from nerve.cli import decisions
from nerve.cli.decisions import Run
from nerve.cli.live import doing
from nerve.cli.output import emit_json
from nerve.cli.why.hindrances import held_back
from nerve.cli.why.lines import line, record, title
from nerve.cli.why.looks import Known, Next
from nerve.cli.wording import counted, local_time, visible
from nerve.clock import MS_PER_S, US_PER_S, rfc3339
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.config.models import SenseConfig

_SHOWN_BY = {
    "error": ("sense", "compute.error"),
    "soft_timeout": ("sense", "compute.soft_timeout"),
    "killed": ("group", "worker.died"),
    "crashed": ("group", "worker.died"),
}
"""Outcome to the row of the log that tells most of it, and whose that is."""


def as_json(known: Known, loaded: Loaded, zone: ZoneInfo) -> None:
    """Show it as an object."""
    mask = loaded.redactor.text
    emit_json(
        {
            "sense": known.sense,
            "ran": known.ran and known.ran.as_json(),
            "since": [run.as_json() for run in known.since],
            "now": doing(known.told) if known.told else "",
            "held_back": list(held_back(known, loaded, zone)),
            "next": [
                {"cause": mask(n.cause), "at": n.at_us and rfc3339(n.at_us)} for n in known.coming
            ],
            "unanswered": [{"source": source, "signals": n} for source, n in known.lags],
            "decisions": [run.as_json() for run in known.runs],
        }
    )


def show(known: Known, loaded: Loaded, zone: ZoneInfo, words: Sequence[str]) -> None:
    """Show it to a person; `words` are the options that a command for this configuration needs."""
    config = loaded.config.senses[known.sense]
    title(known.sense, f", group {config.group}; times in {zone}")
    _show_last(known, config, zone)
    for source, number in known.lags:
        line("waiting", f"{counted(number, 'signal')} of {source} not answered yet")
    held, does = list(held_back(known, loaded, zone)), doing(known.told) if known.told else ""
    for told in [*([does] if does else []), *held] or ["nothing known holds it back"]:
        line("now", told)
    for coming in known.coming or [Next("no reflex runs it", None)]:
        at = f"{local_time(coming.at_us, zone)}, " if coming.at_us is not None else ""
        unless = ", if nothing holds it back by then" if at and held else ""
        line("next", at + visible(loaded.redactor.text(coming.cause)) + unless)
    if look := _look(known.ran, known.sense, config.group):
        line("look", shlex.join(["nerve", *words, *look]))
    record(known.runs, config, zone)


def _show_last(known: Known, config: SenseConfig, zone: ZoneInfo) -> None:
    if (ran := known.ran) is None:
        line("last", "it has not run yet")
    else:
        ago = format_duration(max(0, known.now_us - ran.last_us) // US_PER_S * MS_PER_S)
        told = decisions.in_words(ran, config, zone) + _again(ran, zone)
        line("last", f"{local_time(ran.last_us, zone)} ({ago} ago): {told}")
    for same in decisions.together(known.since):
        line("since", decisions.all_in_words(same, config, zone))
    if ran is not None and not known.since:
        line("since", "no trigger that did not run")


def _again(run: Run, zone: ZoneInfo) -> str:
    if run.count == 1:
        return ""
    return f", {counted(run.count, 'time')} since {local_time(run.first_us, zone)}"


def _look(ran: Run | None, sense: str, group: str) -> list[str]:
    """Return the command that shows where it failed, if it has: traceback, or stack."""
    if ran is None or ran.decision not in _SHOWN_BY:
        return []
    source, type_ = _SHOWN_BY[ran.decision]
    named = ["--sense", sense] if source == "sense" else ["--source", group]
    return ["logs", *named, "--type", type_, "--limit", "1"]
