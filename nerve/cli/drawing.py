"""A network as text for a program that draws: Graphviz's DOT, Mermaid. Pure.

Both number the nodes, because a name of theirs may mean something to the program, e.g.
`end` or `graph`. Labels hold what people wrote, so they are escaped by each grammar's rules.
"""

from collections.abc import Callable, Iterator

from nerve.cli.network import Edge, Name, Network
from nerve.cli.wording import visible

CIRCLE = "circle"
READ = "read"
_PLAIN = frozenset(" -_.,:/")
"""Characters beside letters and digits that mean nothing in a Mermaid label in quotes."""


def dot(network: Network) -> Iterator[str]:
    """Yield the lines of a graph in DOT; dashed is what reads a peer, red what is in a circle."""
    ids = _ids(network)
    yield "digraph nerve {"
    yield "  rankdir=LR;"
    yield "  node [shape=box];"
    for number, (group, senses) in enumerate(network.groups.items()):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_dot_text([group])};"
        for sense in senses:
            label = _dot_text(_sense_lines(network, sense))
            yield f"    {ids['sense', sense]} [label={label}];"
        yield "  }"
    for workflow in network.workflows:
        yield f"  {ids['workflow', workflow]} [label={_dot_text([workflow])}, shape=hexagon];"
    for edge in network.edges:
        said, more = _said(edge), ", color=red" if edge.in_circle else ""
        label = f" [label={_dot_text(said)}{more}]" if said else ""
        yield f"  {ids[edge.source]} -> {ids[edge.target]}{label};"
    for peer, reader in network.peers():
        ends = f"{ids['sense', peer]} -> {ids['sense', reader]}"
        yield f"  {ends} [label={_dot_text([READ])}, style=dashed];"
    yield "}"


def mermaid(network: Network) -> Iterator[str]:
    """Yield the lines of a Mermaid flowchart; dotted is what reads a peer."""
    ids = _ids(network)
    yield "flowchart LR"
    for number, (group, senses) in enumerate(network.groups.items()):
        yield f"  subgraph g{number}[{_mermaid_text([group])}]"
        for sense in senses:
            yield f"    {ids['sense', sense]}[{_mermaid_text(_sense_lines(network, sense))}]"
        yield "  end"
    for workflow in network.workflows:
        yield f"  {ids['workflow', workflow]}{{{{{_mermaid_text([workflow])}}}}}"
    for edge in network.edges:
        said = _said(edge)
        label = f"|{_mermaid_text(said)}|" if said else ""
        yield f"  {ids[edge.source]} -->{label} {ids[edge.target]}"
    for peer, reader in network.peers():
        yield f"  {ids['sense', peer]} -.->|{_mermaid_text([READ])}| {ids['sense', reader]}"
    circles = [str(number) for number, edge in enumerate(network.edges) if edge.in_circle]
    if circles:
        yield f"  linkStyle {','.join(circles)} stroke:red"


def _ids(network: Network) -> dict[Name, str]:
    senses = [("sense", sense) for group in network.groups.values() for sense in group]
    nodes = [*senses, *(("workflow", workflow) for workflow in network.workflows)]
    return {node: f"n{number}" for number, node in enumerate(nodes)}


def _sense_lines(network: Network, sense: str) -> list[str]:
    return [sense, *network.timers.get(sense, ())]


def _said(edge: Edge) -> list[str]:
    return [part for part in (edge.label, CIRCLE if edge.in_circle else "") if part]


def _quoted(lines: list[str], escaped: Callable[[str], str], line_break: str) -> str:
    return f'"{line_break.join(escaped(visible(line)) for line in lines)}"'


def _dot_text(lines: list[str]) -> str:
    return _quoted(lines, lambda line: line.replace("\\", "\\\\").replace('"', '\\"'), "\\n")


def _mermaid_text(lines: list[str]) -> str:
    return _quoted(lines, lambda line: "".join(map(_mermaid_character, line)), "<br/>")


def _mermaid_character(character: str) -> str:
    is_plain = character.isalnum() or character in _PLAIN
    return character if is_plain else f"#{ord(character)};"
