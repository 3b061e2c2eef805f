"""Samples as lines, what costs most first. Pure."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from nerve.cli.sheet import Cell, Sheet, styled, table
from nerve.cli.top.sample import GroupCost, Sample, SenseCost, group_costs, sense_costs
from nerve.cli.wording import counted, cut, span, visible
from nerve.clock import US_PER_MS
from nerve.config.sizes import show_size

GROUPS_SHARE = 3
"""Groups have this part of a screen, one third; senses what is left."""
_AROUND = 3
"""Lines around the rows of senses: an empty one, the columns' names, how many are left out."""
DEFAULT_KEY = "b"

Value = Callable[[Any], float]
SENSE_KEYS: dict[str, tuple[str, Value]] = {
    "b": ("busy", lambda cost: cost.busy),
    "r": ("runs", lambda cost: cost.per_minute),
    "t": ("took", lambda cost: cost.took_us),
    "l": ("late", lambda cost: cost.late_us),
    "f": ("failures", lambda cost: cost.failures),
}
GROUP_KEYS: dict[str, tuple[str, Value]] = {
    "b": ("cpu", lambda cost: cost.cpu),
    "m": ("memory", lambda cost: cost.memory_bytes),
}
KEYS = "keys: b busy, m memory, r runs, t took, l late, f failures, n name, q quit"
ALL_KEYS = frozenset({*SENSE_KEYS, *GROUP_KEYS, "n"})


def groups_of(before: Sample | None, now: Sample, key: str) -> list[GroupCost]:
    """Return what groups cost in the order of a key, nerve itself first."""
    value = GROUP_KEYS.get(key, GROUP_KEYS[DEFAULT_KEY])[1]
    costs = group_costs(before, now)
    return sorted(costs, key=lambda c: (c.name != "", 0 if key == "n" else -value(c), c.name))


def senses_of(before: Sample | None, now: Sample, key: str) -> list[SenseCost]:
    """Return what senses cost in the order of a key."""
    value = SENSE_KEYS.get(key, SENSE_KEYS[DEFAULT_KEY])[1]
    costs = sense_costs(before, now)
    return sorted(costs, key=lambda cost: (0 if key == "n" else -value(cost), cost.name))


def lines_of(
    before: Sample | None, now: Sample, key: str, sheet: Sheet, keys: str = ""
) -> list[str]:
    """Lay out what everything costs; `keys` says which keys there are."""
    said = [cut(keys, sheet.width)] if keys else []
    lines = [*_head(before, now, sheet), *said, *_groups(before, now, key, sheet)]
    return [*lines, *_senses(before, now, key, sheet, sheet.room(len(lines) + _AROUND))]


def objects_of(before: Sample | None, now: Sample) -> list[dict[str, Any]]:
    """Return the same for `--json`."""
    of_groups = groups_of(before, now, DEFAULT_KEY)
    return [
        *({"kind": "group", **_rounded(cost)} for cost in of_groups if cost.name),
        *({"kind": "nerve", **_rounded(cost)} for cost in of_groups if not cost.name),
        *({"kind": "sense", **_rounded(cost)} for cost in senses_of(before, now, DEFAULT_KEY)),
    ]


def _rounded(cost: GroupCost | SenseCost) -> dict[str, Any]:
    """Write durations in milliseconds, as `nerve status` does."""
    told: dict[str, Any] = {}
    for key, value in asdict(cost).items():
        name = key.removesuffix("_us")
        if name != key:
            told[f"{name}_ms"] = value / US_PER_MS
        else:
            told[key] = round(value, 2) if isinstance(value, float) else value
    return told


def _head(before: Sample | None, now: Sample, sheet: Sheet) -> list[str]:
    nerve = now.picture.nerve
    if nerve is None:
        absence = now.picture.absence
        hint = absence.hint if absence is not None else ""
        return [styled([Cell("nerve does not run", "error")], sheet), cut(hint, sheet.width)]
    up = span(now.picture.now_us - nerve.started_us)
    memory = show_size(sum(usage.memory_bytes for usage in now.usages.values()))
    cpu = sum(cost.cpu for cost in group_costs(before, now))
    runs = sum(cost.per_minute for cost in sense_costs(before, now))
    head = f"nerve {visible(nerve.version)}, process {nerve.pid}, up {up}: "
    told = f"{cpu:.1f} % CPU, {memory}, {runs:,.0f} runs a minute"
    return [styled([Cell(head, "bold"), Cell(told)], sheet)]


def _groups(before: Sample | None, now: Sample, key: str, sheet: Sheet) -> list[str]:
    costs = groups_of(before, now, key)
    states = {group.name: group for group in now.picture.groups}
    shown = costs[: sheet.room((sheet.height or 0) * (GROUPS_SHARE - 1) // GROUPS_SHARE)]
    rows = []
    for cost in shown:
        group = states.get(cost.name)
        name = sheet.name(cost.name) if cost.name else "(nerve itself)"
        state = group.state if group is not None else ""
        style = "error" if state in {"fatal", "backoff"} else ""
        running = group.running if group is not None and group.running else ""
        figures = (f"{cost.cpu:.1f}", show_size(cost.memory_bytes), f"{cost.processes}")
        rows.append([Cell(name), Cell(state, style), *map(Cell, figures), Cell(running)])
    columns = ("group", "worker", "cpu %", "memory", "processes", "runs now")
    lines = ["", *table(columns, rows, sheet)] if now.picture.nerve is not None else []
    return [*lines, *_left_out(len(costs) - len(shown), "more group", sheet)]


def _senses(
    before: Sample | None, now: Sample, key: str, sheet: Sheet, room: int | None
) -> list[str]:
    costs = senses_of(before, now, key)
    shown = costs[:room]
    rows = [
        [
            Cell(sheet.name(cost.name)),
            Cell(sheet.name(cost.group)),
            Cell(f"{cost.busy:.1f}"),
            Cell(f"{cost.per_minute:,.1f}"),
            Cell(span(cost.took_us) if cost.took_us else "-"),
            Cell(span(cost.late_us)),
            Cell(f"{cost.failures:,}", "error" if cost.failures else ""),
        ]
        for cost in shown
    ]
    columns = ("sense", "group", "busy %", "runs/min", "took", "late", "failures")
    lines = ["", *table(columns, rows, sheet)] if rows else []
    return [*lines, *_left_out(len(costs) - len(shown), "more sense", sheet)]


def _left_out(number: int, noun: str, sheet: Sheet) -> list[str]:
    told = f"and {counted(number, noun)}: nerve top --json has all"
    return [cut(told, sheet.width)] if number > 0 else []
