"""The configuration in words: what makes a sense run, where it was found. Pure."""

from collections.abc import Iterator
from pathlib import Path

from nerve.cli.cronwords import in_words
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.config.models import Config, SenseReflex, WorkflowReflex
from nerve.errors import SenseError
from nerve.worker.loader import locate

MAX_CONDITION_CHARS = 40
"""Of a reflex, in a list; `nerve why` has the longer ones."""


def cause_of(reflex: SenseReflex | WorkflowReflex) -> str:
    """Say what triggers a reflex, e.g. `every 10s`, `at 06:30 on weekdays` or `on disk, memory`."""
    if reflex.on:
        return f"on {', '.join(reflex.on)}"
    if not isinstance(reflex, SenseReflex):
        return ""
    cause = in_words(reflex.cron) if reflex.cron else _pace(reflex)
    return f"{cause} ({reflex.timezone})" if reflex.timezone else cause


def _pace(reflex: SenseReflex) -> str:
    aligned = ", aligned" if reflex.align else ""
    jitter = f", jitter {format_duration(reflex.jitter_ms)}" if reflex.jitter_ms else ""
    return f"every {format_duration(reflex.interval_ms or 0)}{jitter}{aligned}"


def conditions_of(reflex: SenseReflex | WorkflowReflex) -> str:
    """Say under which conditions signals trigger a reflex; empty where each does.

    A `where` may hold a secret of the configuration.
    """
    if not isinstance(reflex, SenseReflex):
        return ""
    where = [f"where {reflex.where}"] if reflex.where else []
    debounce = [f"debounce {format_duration(reflex.debounce_ms)}"] if reflex.debounce_ms else []
    return ", ".join([*where, *debounce])


def targets_of(reflex: SenseReflex | WorkflowReflex) -> tuple[str, ...]:
    """Return what a reflex runs."""
    return reflex.sense if isinstance(reflex, SenseReflex) else (reflex.workflow,)


def runs_of(loaded: Loaded, sense: str) -> list[str]:
    """Say each cause that runs a sense, with a condition that is short; secrets masked."""
    return [
        loaded.redactor.text(_with_short_condition(reflex))
        for reflex in loaded.config.reflexes
        if isinstance(reflex, SenseReflex) and sense in reflex.sense
    ]


def _with_short_condition(reflex: SenseReflex) -> str:
    condition = conditions_of(reflex)
    is_short = condition and len(condition) <= MAX_CONDITION_CHARS
    return f"{cause_of(reflex)}, {condition}" if is_short else cause_of(reflex)


def listeners_of(config: Config, sense: str) -> Iterator[str]:
    """Yield what runs on a sense's signals, a workflow as `workflow NAME`."""
    for reflex in config.reflexes:
        if reflex.on and sense in reflex.on:
            word = "" if isinstance(reflex, SenseReflex) else "workflow "
            yield from (word + target for target in targets_of(reflex))


def found(loaded: Loaded, sense: str) -> tuple[str, Path | str]:
    """Tell where a sense is, without importing it: how it was found, and its file or module."""
    try:
        location = locate(sense, loaded.config.senses[sense], loaded.path.parent)
    except SenseError:
        return "not found", ""
    return location.found, location.file or location.module
