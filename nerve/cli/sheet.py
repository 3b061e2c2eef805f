"""Lines of cells for a screen of a certain width, each with its style. Commands; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from nerve.cli.wording import cells, cut, padded, visible

WIDE_CELLS = 100
"""From here on there is room for columns that can be missed, and names need not be cut."""
MAX_NAME_CELLS = 24
MIN_ROWS = 3
"""Of a table, on however small a screen."""
GAP = "  "
_STYLES: dict[str, dict[str, Any]] = {
    "bold": {"bold": True},
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "good": {"fg": "green"},
}

Paint = Callable[[str, str], str]
"""(text, style): a style is `bold`, `error`, `warning` or `good`."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is written on.

    Attributes:
        width: in cells.
        height: in lines; None for no end.
        paint: gives a text its style.
    """

    width: int
    height: int | None
    paint: Paint

    @property
    def is_wide(self) -> bool:
        """Whether there is room for more than what is needed."""
        return self.width >= WIDE_CELLS

    def room(self, used: int) -> int | None:
        """How many rows there is room for below so many lines; None for all."""
        return None if self.height is None else max(MIN_ROWS, self.height - used)

    def fitted(self, lines: Sequence[str], rest: str) -> list[str]:
        """Return no more lines than there are; the last one counts what is left out, and `rest`."""
        if self.height is None or len(lines) <= self.height:
            return list(lines)
        shown = max(1, self.height) - 1
        told = f"and {len(lines) - shown:,} more lines: {rest}"
        return [*lines[:shown], cut(told, self.width)]

    def name(self, name: str) -> str:
        """Make a name visible, and cut a long one where there is little room."""
        return visible(name) if self.is_wide else cut(visible(name), MAX_NAME_CELLS)


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line; its text is visible."""

    text: str
    style: str = ""


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], sheet: Sheet) -> list[str]:
    """Align cells below their columns; the last one is cut to what is left for it."""
    heads = [Cell(column, "bold") for column in columns]
    widths = [max(cells(row[n].text) for row in (heads, *rows)) for n in range(len(columns))]
    lines = []
    for row in (heads, *rows):
        *before, last = row
        aligned = [
            Cell(padded(cell.text, width) + GAP, cell.style)
            for cell, width in zip(before, widths, strict=False)
        ]
        lines.append(styled([*aligned, last], sheet))
    return lines


def styled(pieces: Sequence[Cell], sheet: Sheet) -> str:
    """Write pieces one after the other, as far as the line goes."""
    left, line = sheet.width, ""
    for piece in pieces:
        text = cut(piece.text, left) if left > 0 else ""
        left -= cells(text)
        line += sheet.paint(text, piece.style) if piece.style and text.strip() else text
    return line.rstrip()


def coloured(text: str, style: str) -> str:
    """Paint for a terminal."""
    return click.style(text, **_STYLES[style]) if style else text


def plain(text: str, _style: str) -> str:
    """Paint without colours."""
    return text
