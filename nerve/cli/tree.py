"""A network as an indented tree: below each sense what its signals run. Pure.

Under each group stand its senses that time runs, and those that nothing else leads to. A
sense that several lead to stands below each, with what follows from it at the first place
only, so that no tree is longer than its network. What would lead back is marked, and followed
no further.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nerve.cli.network import Edge, Name, Network, walked

MAX_LEVELS = 12
"""Steps below a group's heading; what follows from there stands at the end, as a part of its own.
A line would else have no room left in a terminal of 80 columns."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        level: how far it is indented; 0 for a heading.
        head: the heading, or `name` or `-> name`.
        details: what is said beside it.
    """

    level: int
    head: str
    details: tuple[str, ...] = ()


def tree_of(network: Network) -> Iterator[Line]:
    """Yield the lines of the tree, from the top."""
    tree = _Tree(network)
    roots = set(_roots(network))
    for group, senses in network.groups.items():
        shown = [("sense", sense) for sense in senses if ("sense", sense) in roots]
        if shown:
            yield Line(0, f"group {group}")
        for root in shown:
            yield from tree.below(root)
    run = {edge.target for edge in network.edges}
    idle = [workflow for workflow in network.workflows if ("workflow", workflow) not in run]
    if idle:
        yield Line(0, "workflows that nothing runs")
        yield from (Line(1, workflow) for workflow in idle)
    if tree.put_off:
        yield Line(0, "continued")
    while tree.put_off:
        yield from tree.below(tree.put_off.pop(0))


def _roots(network: Network) -> Iterator[Name]:
    """Yield where the tree begins: what time or nothing runs, then one of each circle left."""
    following = defaultdict[Name, list[Name]](list)
    for edge in network.edges:
        following[edge.source].append(edge.target)
    senses = [("sense", sense) for group in network.groups.values() for sense in group]
    led_to = {edge.target for edge in network.edges}
    begin = [sense for sense in senses if sense[1] in network.timers or sense not in led_to]
    yield from begin
    reached = set(walked(begin, following, ()))
    for sense in senses:
        if sense not in reached:
            yield sense
            reached.update(walked([sense], following, reached))


class _Tree:
    """What has been drawn so far.

    Attributes:
        put_off: nodes that stood too deep to go on from there.
    """

    def __init__(self, network: Network) -> None:
        self.put_off: list[Name] = []
        self._network = network
        self._groups = {name: group for group, names in network.groups.items() for name in names}
        self._following = defaultdict[Name, list[Edge]](list)
        for edge in network.edges:
            self._following[edge.source].append(edge)
        self._led_to = {edge.target for edge in network.edges}
        self._drawn: set[Name] = set()

    def below(self, root: Name) -> Iterator[Line]:
        """Yield a sense and all that follows from it and stands nowhere yet."""
        timers = self._network.timers.get(root[1], [])
        is_run = timers or root in self._led_to
        yield from self._node(root, (), timers if is_run else ["nothing runs it"])

    def _node(self, node: Name, way: tuple[Name, ...], said: list[str]) -> Iterator[Line]:
        following, level = self._following[node], len(way) + 1
        is_first = node not in self._drawn
        if node in way:
            said, following = [*said, "leads back, a circle"], []
        elif not is_first:
            said, following = [*said, *(["see above"] if following else [])], []
        elif following and level > MAX_LEVELS:
            said, following = [*said, "continued below"], []
            self.put_off.append(node)
        else:
            self._drawn.add(node)
            said = [*said, *self._reads(node)]
        yield Line(level, node[1] if level == 1 else f"-> {node[1]}", tuple(said))
        for edge in following:
            yield from self._node(edge.target, (*way, node), self._about(edge))

    def _about(self, edge: Edge) -> list[str]:
        kind, name = edge.target
        said = [edge.label] if edge.label else []
        if kind == "workflow":
            return [*said, "workflow, does not run"]
        group = self._groups[name]
        if group != self._groups[edge.source[1]]:
            said.append(f"group {group}")
        return [*said, *(f"also {timer}" for timer in self._network.timers.get(name, ()))]

    def _reads(self, node: Name) -> list[str]:
        kind, name = node
        if kind != "sense":
            return []
        reading = self._network.readings[name]
        unknown = " (not configured)"
        peers = [peer if peer in self._groups else peer + unknown for peer in reading.peers]
        if reading.others:
            peers.append("others that its code names" if peers else "peers that its code names")
        return [f"reads {', '.join(peers)}"] if peers else []
