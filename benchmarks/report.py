"""How findings are written down: on a terminal, in Markdown, as JSON. Pure."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from benchmarks.figures import Figure, Finding, Note, Spread, short

SPREAD = "median [quartiles] over blocks"
TERMINAL = ("what", "beside", "", "who", "", "ratio")
MARKDOWN = ("what", "beside", "floor", "who", "value", "ratio", "blocks")
SHARED = 3
"""So many columns of a row are left blank where they say what the row before says."""

Machine = Mapping[str, object]


def as_text(machine: Machine, findings: Sequence[Finding]) -> str:
    """What a run prints: the machine, a table for each section, and what is to be noted."""
    heading = ", ".join(f"{name} {value}" for name, value in machine.items())
    return "\n\n".join([f"{heading}\n{SPREAD}", *map(_section_text, _sections(findings))])


def as_markdown(machine: Machine, findings: Sequence[Finding]) -> str:
    """The same to be kept, with the spreads of absolute values too."""
    facts = "\n".join(f"* {name}: {value}" for name, value in machine.items())
    sections = "\n\n".join(map(_section_markdown, _sections(findings)))
    return f"{facts}\n\nAll values are {SPREAD}.\n\n{sections}\n"


def as_json(machine: Machine, findings: Sequence[Finding]) -> str:
    """Everything, the value of each block included."""
    found = {
        "machine": machine,
        "figures": [figure.to_json() for figure in _figures(findings)],
        "notes": [asdict(note) for note in _notes(findings)],
    }
    return json.dumps(found, indent=1)


def _sections(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    for name, some in itertools.groupby(findings, key=lambda finding: finding.section):
        yield name, list(some)


def _section_text(section: tuple[str, list[Finding]]) -> str:
    name, findings = section
    lines = [name] if name else []
    if figures := _figures(findings):
        lines.append(_aligned([TERMINAL, *_blanked(map(_short_row, figures))]))
    return "\n".join([*lines, *(f"{note.who}: {note.words}" for note in _notes(findings))])


def _section_markdown(section: tuple[str, list[Finding]]) -> str:
    name, findings = section
    parts = [f"## {name.capitalize()}"]
    if figures := _figures(findings):
        rows = [MARKDOWN, ("---",) * len(MARKDOWN), *_blanked(map(_long_row, figures))]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    if notes := _notes(findings):
        parts.append("\n".join(f"* {note.who}: {note.words}" for note in notes))
    return "\n\n".join(parts)


def _figures(findings: Iterable[Finding]) -> list[Figure]:
    return [finding for finding in findings if isinstance(finding, Figure)]


def _notes(findings: Iterable[Finding]) -> list[Note]:
    """Without repeats: who is left out is left out of several parts."""
    notes = [finding for finding in findings if isinstance(finding, Note)]
    return list(dict.fromkeys(notes))


def _short_row(figure: Figure) -> tuple[str, ...]:
    floor = _median(figure.floor, figure.unit)
    value = _median(figure.values, figure.unit)
    return (figure.what, figure.beside, floor, figure.who, value, str(figure.ratio or ""))


def _long_row(figure: Figure) -> tuple[str, ...]:
    floor = f"{Spread.of(figure.floor)} {figure.unit}" if figure.floor else ""
    value = f"{Spread.of(figure.values)} {figure.unit}"
    blocks = str(len(figure.values))
    ratio = str(figure.ratio or "")
    return (figure.what, figure.beside, floor, figure.who, value, ratio, blocks)


def _median(values: Sequence[float], unit: str) -> str:
    return f"{short(Spread.of(values).median)} {unit}" if values else ""


def _blanked(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    before: tuple[str, ...] = ()
    for row in rows:
        yield ("",) * SHARED + row[SHARED:] if row[:SHARED] == before[:SHARED] else row
        before = row


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
