"""Plain tables for screens of 60 columns and more."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.cli import out
from optimizer.terminal import clip

GAP = "  "
LEAST = 10
"""Columns that the last cell of a row gets in any case."""


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows as aligned columns; the last column takes the room that is left, and is cut to it.

    Args:
        rows: cells, of any text; the first row is the heading.
        right: columns whose cells are set to the right.
    """
    from rich.cells import cell_len

    room = out.width()
    sizes = [max(cell_len(clip(row[column], room)) for row in rows) for column in range(len(rows[0]))]
    fixed = sum(sizes[:-1]) + len(GAP) * (len(sizes) - 1)
    sizes[-1] = max(min(sizes[-1], room - fixed), LEAST)
    lines = []
    for row in rows:
        cells = [_cell(cell, size, number in right) for number, (cell, size) in enumerate(zip(row, sizes, strict=True))]
        lines.append(GAP.join(cells).rstrip())
    return "\n".join(lines)


def _cell(text: str, size: int, to_the_right: bool) -> str:
    from rich.cells import cell_len

    cut = clip(text, size)
    padding = " " * (size - cell_len(cut))
    return padding + cut if to_the_right else cut + padding


def indented(text: str, margin: str = "    ") -> str:
    """Every line with a margin."""
    return "\n".join(margin + line if line else "" for line in text.split("\n"))
