"""What a reload has come to, or would come to: in words for a person, and as facts.

Parent; pure.
"""

from collections.abc import Sequence
from typing import Any

from nerve.supervisor.asking import listed
from nerve.supervisor.handover import Result
from nerve.supervisor.survey import Found

MAX_TOLD = 50
"""Keys, groups and senses that one sentence or row names; of more the number is told."""


def in_words(found: Found, results: Sequence[Result] | None) -> list[str]:
    """Say what was done, or without results what would be, one thing a line."""
    changes, lines = found.changes, list[str]()
    if not changes:
        lines.append("nothing has changed")
    if changes.at_once:
        word = "applied" if results is not None else "applies"
        lines.append(f"{word}: {listed(changes.at_once, MAX_TOLD)}")
    for result in results or ():
        lines.append(f"{result} ({listed(result.why, MAX_TOLD)})")
    if results is None:
        lines += [
            f"group {g}: new worker ({listed(why, MAX_TOLD)})" for g, why in changes.groups.items()
        ]
    lines += [f"group {group}: ends, it has no senses any more" for group in changes.gone]
    lines += [f"{name} still cannot be loaded: {why}" for name, why in found.still.items()]
    if found.left:
        lines.append(needs_restart(found))
    return lines


def needs_restart(found: Found) -> str:
    """Say what a reload leaves for the next start of nerve."""
    return f"takes effect when nerve is started again: {listed(found.left, MAX_TOLD)}"


def facts(found: Found, results: Sequence[Result] | None) -> dict[str, Any]:
    """Return the same, as the log and the reply have it."""
    if results is None:
        groups = {group: {"why": list(why)} for group, why in found.changes.groups.items()}
        return _facts(found, groups, {})
    missing = {name: why for result in results for name, why in result.missing.items()}
    return _facts(found, {result.group: _facts_of(result) for result in results}, missing)


def is_good(results: Sequence[Result]) -> bool:
    """Whether each new worker is ready, and each of its senses has come up."""
    return all(result.ready is not None and not result.missing for result in results)


def _facts(found: Found, groups: dict[str, Any], missing: dict[str, str]) -> dict[str, Any]:
    return {
        "applied": list(found.changes.at_once),
        "groups": groups,
        "removed_groups": list(found.changes.gone),
        "unavailable": missing | dict(found.still),
        "needs_restart": list(found.left),
    }


def _facts_of(result: Result) -> dict[str, Any]:
    generation = result.ready.generation if result.ready is not None else None
    return {"generation": generation, "why": list(result.why), "unavailable": result.missing}
