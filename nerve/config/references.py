"""What the parts of nerve.yaml say about each other.

The parent; pure. A name that is used has to be there: that is a fault. Four things are
allowed and probably not meant, and so are warnings: no senses at all, senses that trigger
each other in a circle (the limit on causation chains ends it at run time), a sense
that nothing triggers, and a reflex that runs a workflow. Names
that differ never share a folder: `-` becomes `_`, and a
name holds no `_`.
"""

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from nerve.config.faults import Problem
from nerve.config.models import SenseReflex, WorkflowReflex
from nerve.config.names import DEFAULT_GROUP
from nerve.config.tree import TreePath

WORKFLOWS_DO_NOT_RUN = "workflows do not run in this version; this reflex does nothing"

MAX_CYCLES = 10
"""Cycles named; a configuration can hold more of them than there is time to list."""

Reflexes = Mapping[int, SenseReflex | WorkflowReflex]
"""By their index in nerve.yaml; those that are faulty in themselves are not among them."""


def unknown_names(
    reflexes: Reflexes, senses: Collection[str], workflows: Collection[str]
) -> Iterator[Problem]:
    """Yield each name in a reflex that nothing of its kind has."""
    for index, reflex in reflexes.items():
        path = ("reflexes", index)
        if isinstance(reflex, SenseReflex):
            yield from _unknown((*path, "sense"), "sense", reflex.sense, senses)
        elif reflex.workflow not in workflows:
            yield _problem((*path, "workflow"), "workflow", reflex.workflow, workflows)
        yield from _unknown((*path, "on"), "sense", reflex.on or (), senses)


def unknown_groups(groups: Collection[str], senses: Mapping[str, object]) -> Iterator[Problem]:
    """Yield each group with limits that no sense belongs to.

    Args:
        groups: names with limits, faultless in themselves.
        senses: what is written under each, perhaps with faults of its own.
    """
    known = {_group_of(sense) for sense in senses.values()}
    for name in groups:
        if name not in known:
            message = f"no sense belongs to the group {name!r}"
            candidates = tuple(known)
            yield Problem(("groups", name), message, at_key=True, word=name, candidates=candidates)


def _group_of(sense: object) -> str:
    return str(sense.get("group", DEFAULT_GROUP)) if isinstance(sense, dict) else DEFAULT_GROUP


def doubled(reflexes: Reflexes) -> Iterator[Problem]:
    """Yield what two reflexes name for the same sense and keep a cursor for: it stands for one."""
    first: dict[tuple[object, ...], int] = {}
    for index, reflex in reflexes.items():
        if not isinstance(reflex, SenseReflex):
            continue
        for target in reflex.sense:
            for key, path, what in _kept(index, reflex):
                other = first.setdefault((target, *key), index)
                if other != index:
                    message = f"{what} run {target!r} already, by reflexes[{other}]"
                    yield Problem(path, message, "make one reflex of the two")


def _kept(index: int, reflex: SenseReflex) -> Iterator[tuple[tuple[object, ...], TreePath, str]]:
    """Yield what a reflex keeps cursors for, where each stands, and in words."""
    for position, source in enumerate(reflex.on or ()):
        yield ("on", source), ("reflexes", index, "on", position), f"signals of {source!r}"
    if reflex.missed in {"once", "all"} and reflex.on is None:
        rule = (reflex.cron, reflex.interval_ms, reflex.align, reflex.timezone)
        yield rule, ("reflexes", index, "missed"), "the same times, with a position of their own,"


def no_senses(senses: Collection[str]) -> Iterator[Problem]:
    """Yield a warning where there is nothing to run."""
    if not senses:
        hint = "`nerve new sense NAME` writes one to begin from"
        yield Problem(("senses",), "no senses are configured, so nothing will run", hint)


def cycles(reflexes: Reflexes) -> Iterator[Problem]:
    """Yield a warning for each circle of senses that trigger each other, at most MAX_CYCLES."""
    edges = _edges(reflexes)
    for _ in range(MAX_CYCLES):
        cycle = _find_cycle(edges)
        if cycle is None:
            return
        index = edges.pop((cycle[-2], cycle[-1]))
        message = f"these senses trigger each other in a circle: {' -> '.join(cycle)}"
        hint = "nerve cuts such a chain at its limit"
        yield Problem(("reflexes", index, "on"), message, hint)


def never_run(reflexes: Reflexes, senses: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each sense that no reflex triggers."""
    triggered = {
        name
        for reflex in reflexes.values()
        if isinstance(reflex, SenseReflex)
        for name in reflex.sense
    }
    for name in senses:
        if name not in triggered:
            hint = "name it in one, with interval, cron or on"
            yield Problem(("senses", name), "no reflex triggers this sense", hint, at_key=True)


def not_run(reflexes: Reflexes) -> Iterator[Problem]:
    """Yield a warning for each reflex that runs a workflow."""
    for index, reflex in reflexes.items():
        if isinstance(reflex, WorkflowReflex):
            yield Problem(("reflexes", index, "workflow"), WORKFLOWS_DO_NOT_RUN)


def _unknown(
    path: TreePath, kind: str, names: Collection[str], known: Collection[str]
) -> Iterator[Problem]:
    for position, name in enumerate(names):
        if name not in known:
            yield _problem((*path, position), kind, name, known)


def _problem(path: TreePath, kind: str, name: str, known: Collection[str]) -> Problem:
    return Problem(path, f"there is no {kind} {name!r}", word=name, candidates=known)


def _edges(reflexes: Reflexes) -> dict[tuple[str, str], int]:
    return {
        (source, target): index
        for index, reflex in reflexes.items()
        if isinstance(reflex, SenseReflex)
        for source in reflex.on or ()
        for target in reflex.sense
    }


def _find_cycle(edges: Collection[tuple[str, str]]) -> list[str] | None:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target in edges:
        sorter.add(target, source)
    try:
        sorter.prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return None
