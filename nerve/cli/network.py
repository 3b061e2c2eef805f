"""What makes what run, as a graph: senses, workflows, and the edges between them.

Pure. The configuration says which reflexes there are; which peers a sense reads is handed
in, because only its code tells (`nerve.cli.reading`). An edge is in a circle where a
way leads back from its end to its beginning.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from nerve.cli.causes import cause_of, conditions_of, targets_of
from nerve.cli.reading import Reading
from nerve.config.models import Config, SenseReflex

Name = tuple[str, str]
"""Of a node: `sense` or `workflow`, and its name; the two have names of their own."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Signals of `source` run `target`.

    Attributes:
        label: under which condition; empty for each signal.
        in_circle: whether what runs there can lead back to `source`.
    """

    source: Name
    target: Name
    label: str
    in_circle: bool


@dataclass(frozen=True, slots=True)
class Network:
    """The whole of it.

    Attributes:
        groups: the senses of each group, in the order of the configuration.
        workflows: their names.
        timers: for each sense what runs it by time, e.g. `every 10s`.
        edges: from signals to what they run.
        readings: for each sense which peers it reads.
    """

    groups: Mapping[str, list[str]]
    workflows: list[str]
    timers: Mapping[str, list[str]]
    edges: list[Edge]
    readings: Mapping[str, Reading]

    def peers(self) -> Iterator[tuple[str, str]]:
        """Yield (peer, reader) for each peer that is a sense of the configuration."""
        for reader, reading in self.readings.items():
            yield from ((peer, reader) for peer in reading.peers if peer in self.readings)


def network_of(
    config: Config, readings: Mapping[str, Reading], *, masked: Callable[[str], str]
) -> Network:
    """Make the graph of a configuration that has been checked.

    Args:
        config: that configuration.
        readings: for each of its senses.
        masked: makes secrets unreadable, which a condition may hold.
    """
    groups, timers = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for name, sense in config.senses.items():
        groups[sense.group].append(name)
    for reflex in config.reflexes:
        if not reflex.on:
            for target in targets_of(reflex):
                timers[target].append(cause_of(reflex))
    edges = list(dict.fromkeys(_edges(config)))
    circles = _circles((source, target) for source, target, _ in edges)
    found = [Edge(s, t, masked(label), circles[s] == circles[t]) for s, t, label in edges]
    return Network(groups, list(config.workflows), timers, found, readings)


def _edges(config: Config) -> Iterator[tuple[Name, Name, str]]:
    for reflex in config.reflexes:
        kind = "sense" if isinstance(reflex, SenseReflex) else "workflow"
        for source in reflex.on or ():
            for target in targets_of(reflex):
                yield ("sense", source), (kind, target), conditions_of(reflex)


def _circles(edges: Iterable[tuple[Name, Name]]) -> dict[Name, int]:
    """Number the nodes so that those which lead to each other, and no others, share a number.

    Kosaraju's algorithm: in the order in which a walk leaves the nodes, last first, walk
    against the edges; each walk finds one such set.
    """
    forth, back = defaultdict[Name, list[Name]](list), defaultdict[Name, list[Name]](list)
    for source, target in edges:
        forth[source].append(target)
        back[target].append(source)
    left = list(walked([*forth, *back], forth, {}))
    circles: dict[Name, int] = {}
    for number, start in enumerate(reversed(left)):
        for node in walked([start], back, circles):
            circles[node] = number
    return circles


def walked(
    starts: Iterable[Name], edges: Mapping[Name, list[Name]], known: Container[Name]
) -> Iterator[Name]:
    """Yield each node that is reached and not known, after all that is first reached from it."""
    seen: set[Name] = set()
    for start in starts:
        if start in seen or start in known:
            continue
        seen.add(start)
        way = [(start, iter(edges.get(start, ())))]
        while way:
            node, following = way[-1]
            after = next((one for one in following if one not in seen and one not in known), None)
            if after is None:
                way.pop()
                yield node
            else:
                seen.add(after)
                way.append((after, iter(edges.get(after, ()))))
