"""`nerve graph`: what makes what run, as a tree for people, or for programs that draw.

From the configuration and from the text of the senses' modules; no sense is imported, and
nothing of the installation is touched.
"""

from collections.abc import Iterator
from typing import Any

import click

from nerve.cli.drawing import dot, mermaid
from nerve.cli.network import Network, network_of
from nerve.cli.output import emit, emit_hanging, emit_json, say
from nerve.cli.reading import readings_of
from nerve.cli.settings import Settings, config_options
from nerve.cli.tree import Line, tree_of
from nerve.cli.wording import visible


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve graph                              as a tree\n"
    "  nerve graph --dot | dot -Tsvg > nerve.svg\n"
    "  nerve graph --mermaid                    for a README\n"
)
@click.option("--dot", "form", flag_value="dot", help="In the language of Graphviz.")
@click.option("--mermaid", "form", flag_value="mermaid", help="As a Mermaid flowchart.")
@click.option("--json", "form", flag_value="json", help="As one JSON object.")
@config_options
@click.pass_obj
def graph(settings: Settings, form: str | None) -> None:
    """Draw what makes what run: senses by group, timers, reflexes, workflows, peers."""
    loaded = settings.load()
    network = network_of(loaded.config, readings_of(loaded), masked=loaded.redactor.text)
    match form:
        case "json":
            emit_json(_as_json(network))
        case "dot" | "mermaid":
            for line in dot(network) if form == "dot" else mermaid(network):
                emit(line)
        case _:
            for drawn in tree_of(network):
                _show(drawn)
            if not loaded.config.senses:
                say(f"{loaded.path} has no senses")


def _show(line: Line) -> None:
    head = "  " * line.level + line.head
    details = "; ".join(line.details)
    if not line.level:
        emit(click.style(head, bold=True))
    elif details:
        emit_hanging(f"{head}  ", visible(details))
    else:
        emit(head)


def _as_json(network: Network) -> dict[str, Any]:
    return {
        "senses": list(_senses_as_json(network)),
        "workflows": network.workflows,
        "edges": [
            {
                "source": edge.source[1],
                "target": edge.target[1],
                "kind": edge.target[0],
                "condition": edge.label,
                "in_circle": edge.in_circle,
            }
            for edge in network.edges
        ],
    }


def _senses_as_json(network: Network) -> Iterator[dict[str, Any]]:
    named = ((group, sense) for group, senses in network.groups.items() for sense in senses)
    for group, sense in named:
        reading = network.readings[sense]
        reads = {"peers": list(reading.peers), "other_peers": reading.others}
        yield {"sense": sense, "group": group, "timers": network.timers.get(sense, []), **reads}
