"""`nerve describe`: all that is known about one sense, from three sources.

The configuration says when it runs, a short-lived worker what its module is, and
the journal how it has done. What one source does not have is left out.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from nerve.cli.causes import listeners_of, runs_of
from nerve.cli.check import describe_each
from nerve.cli.output import (
    emit,
    emit_hanging,
    emit_json,
    emit_table,
    json_option,
    say_hanging,
    terminal_width,
)
from nerve.cli.quarantines import as_json as quarantine_as_json
from nerve.cli.quarantines import end_of, held
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.tallies import Count, counts
from nerve.cli.wording import counted, json_text, local_time, visible, visible_lines
from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.errors import Exit
from nerve.store.batch import Quarantine
from nerve.store.state_dir import StateDir
from nerve.wire.messages import DescribedMessage

_LABEL_CELLS = 13


@click.command(
    epilog="\b\nExample:\n  nerve describe disk                      e.g. for its options"
)
@click.argument("sense")
@json_option
@config_options
@click.pass_obj
def describe(settings: Settings, sense: str, as_json: bool) -> Exit:
    """Tell all about one sense: what it does, its options, what runs it, how it has done."""
    loaded = settings.load()
    require_sense(loaded, sense)
    (described,) = describe_each(loaded, [sense])
    known = [count for count in counts(loaded) if count.sense == sense]
    facts = dict(_facts(loaded, sense, described))
    quarantine = held(loaded).get(sense)
    if as_json:
        outcomes = [count.as_json() for count in known]
        fault = described.fault and described.fault.model_dump()
        options = _options(described)
        shown = quarantine_as_json(quarantine, SystemClock().now_us())
        more = {
            "options": options,
            "retention": list(_retention(described)),
            "outcomes": outcomes,
            "quarantine": shown,
        }
        emit_json({**facts, **more, "fault": fault})
    else:
        zone = ZoneInfo(loaded.config.timezone)
        _show(facts, known, zone)
        _show_quarantine(quarantine, zone)
        _show_options(described)
        _show_retention(described)
        _show_fault(described)
    return Exit.FOUND if described.fault else Exit.OK


def _facts(loaded: Loaded, name: str, described: DescribedMessage) -> Iterator[tuple[str, Any]]:
    config = loaded.config.senses[name]
    database = StateDir(loaded.state_dir).sense_db(name)
    yield "sense", name
    yield "doc", described.doc
    yield "found", described.found
    yield "source", described.source
    yield "group", config.group
    yield "timeout", format_duration(config.timeout_ms)
    yield "grace_period", format_duration(config.grace_period_ms)
    yield "throttle", config.throttle_ms and format_duration(config.throttle_ms)
    yield "runs", runs_of(loaded, name)
    yield "listeners", list(listeners_of(loaded.config, name))
    yield "revisions", list(described.revisions)
    yield "tables", list(described.tables)
    yield "database", str(database)
    yield "size_bytes", _size_bytes(database)


def _size_bytes(database: Path) -> int | None:
    try:
        return database.stat().st_size
    except OSError:
        return None


def _options(described: DescribedMessage) -> list[dict[str, Any]]:
    properties: Any = (described.options or {}).get("properties", {})
    return [
        {
            "name": name,
            "type": _type(schema),
            "default": schema.get("default"),
            "description": schema.get("description", ""),
        }
        for name, schema in properties.items()
    ]


def _retention(described: DescribedMessage) -> Iterator[dict[str, str]]:
    for rule in described.retention:
        yield {
            "table": rule.table,
            "kept": format_duration(rule.keep_ms),
            "default": format_duration(rule.default_ms),
            "column": rule.column,
        }


def _type(schema: dict[str, Any]) -> str:
    """Name the JSON type of an option, e.g. `number`, `array of string`, `string or null`."""
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json_text(value) for value in schema["enum"])
    kind = str(schema.get("type", "object"))
    return f"{kind} of {_type(schema['items'])}" if "items" in schema else kind


def _show(facts: dict[str, Any], known: list[Count], zone: ZoneInfo) -> None:
    emit(click.style(facts.pop("sense"), bold=True))
    text = facts.pop("doc")
    doc = visible_lines(text) if text else []
    for line in doc if terminal_width() is None else _reflowed(doc):
        text = line.lstrip()
        emit_hanging("  " + line.removesuffix(text), text)
    size = facts.pop("size_bytes")
    facts["database"] += f" ({size:,} bytes)" if size is not None else " (none yet)"
    for label, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text:
            emit_hanging(f"{label + ':':<{_LABEL_CELLS}} ", visible(text))
    for count in known:
        last = local_time(count.last_at_us, zone)
        emit(f"{count.outcome + ':':<{_LABEL_CELLS}} {counted(count.count, 'time')}, last {last}")


def _show_quarantine(quarantine: Quarantine | None, zone: ZoneInfo) -> None:
    if quarantine is not None:
        end = end_of(quarantine, SystemClock().now_us(), zone)
        end = end if end == "on trial" else f"until {end}"
        reason = visible(quarantine.reason)
        emit_hanging(f"{'quarantine:':<{_LABEL_CELLS}} ", f"{end}: {reason}")


def _show_fault(described: DescribedMessage) -> None:
    if described.fault is not None:
        say_hanging(f"{described.fault.kind}: ", visible(described.fault.message), "red")
        for line in visible_lines(described.fault.traceback):
            say_hanging("  ", line)


def _reflowed(lines: list[str]) -> Iterator[str]:
    """Join the lines of each paragraph; what is indented or a list stays as it was written."""
    for is_prose, group in groupby(lines, lambda line: line[:1].isalpha() or line[:1] == "`"):
        written = list(group)
        yield from [" ".join(written)] if is_prose else written


def _show_options(described: DescribedMessage) -> None:
    rows = [
        (option["name"], option["type"], json_text(option["default"]), option["description"])
        for option in _options(described)
    ]
    if rows:
        emit("")
        emit_table(("option", "type", "default", "description"), rows)


def _show_retention(described: DescribedMessage) -> None:
    rows = [tuple(kept.values()) for kept in _retention(described)]
    if rows:
        emit("")
        emit_table(("table", "rows kept", "default", "by column"), rows)
