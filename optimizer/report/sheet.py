"""A page of text for a terminal: labelled facts that wrap under themselves, at any width."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optimizer.terminal import clean

if TYPE_CHECKING:
    from rich.text import Text

LABEL = 8
"""Columns of a label."""
STAND_IN = "stand-in"
"""Stands beside every figure that a real model did not give."""
_MARKED = re.compile(rf"(.*?)(\({STAND_IN}\))", re.DOTALL)
_WORD = re.compile(r" *[^ ]+| +$")


@dataclass(slots=True)
class Sheet:
    """Collects lines; `text` gives the page. Every text passes the terminal's exit function here."""

    width: int
    """Columns."""
    color: bool
    """Whether styles are kept."""
    lines: list[list[tuple[str, str]]] = field(default_factory=list)
    """Lines of (text, style)."""

    def line(self, *parts: tuple[str, str]) -> None:
        """One line as it is: the caller has seen to its width, or it must not be cut."""
        self.lines.append([(clean(text), style) for text, style in parts])

    def blank(self) -> None:
        """An empty line, but never two."""
        if self.lines and self.lines[-1]:
            self.lines.append([])

    def heading(self, text: str) -> None:
        """A heading, with an empty line above it."""
        self.blank()
        self.wrapped("", text, "bold")

    def fact(self, label: str, text: str, style: str = "") -> None:
        """A label, and a text that wraps beside it."""
        self.wrapped(f" {label:<{LABEL - 2}} ", text, style)

    def wrapped(self, prefix: str, text: str, style: str = "", *, prefix_style: str = "dim") -> None:
        """A text that wraps under itself, behind a prefix that stands on its first line."""
        from rich.cells import cell_len

        prefix = clean(prefix)
        indent = cell_len(prefix)
        parts = fold(clean(text), max(self.width - indent, 10))
        for number, part in enumerate(parts):
            self.lines.append([(prefix if number == 0 else " " * indent, prefix_style), (part, style)])

    @property
    def text(self) -> Text:
        """The page, without a line end at its end."""
        from rich.text import Text

        page = Text()
        for number, parts in enumerate(self.lines):
            if number:
                page.append("\n")
            for part, style in _dimmed(_trimmed(parts)):
                page.append(part, style if self.color and style else None)
        return page


def _dimmed(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """With a quiet mark at the end of the line: it is there to be seen, not to drown the figures."""
    found = _MARKED.fullmatch(parts[-1][0]) if parts else None
    return parts if found is None else [*parts[:-1], (found[1], parts[-1][1]), (found[2], "dim")]


def _trimmed(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without spaces at the end of the line."""
    kept = list(parts)
    while kept:
        text, style = kept.pop()
        if text.rstrip():
            return [*kept, (text.rstrip(), style)]
    return []


def fold(text: str, cells: int) -> list[str]:
    """Cut a text into lines of at most that many terminal cells, between words where it can be done.

    Spaces inside a line stay as they are; those where it is cut go.
    """
    from rich.cells import cell_len, chop_cells

    lines = [""]
    for word in _WORD.findall(text):
        if cell_len(lines[-1]) + cell_len(word) <= cells:
            lines[-1] += word
            continue
        pieces = chop_cells(word.lstrip(" "), cells)
        lines = [*lines, *pieces] if lines[-1] else pieces
    return lines
