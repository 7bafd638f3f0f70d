"""The one way out to a terminal: whatever models, rows and prompts say, it stays text.

Control characters, escape sequences, bidirectional overrides and invisible characters are written as escapes. Every
text that is not this package's own passes `clean`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

NARROWEST = 60
"""Columns that every screen is made for."""
WIDEST = 200
"""Columns beyond which lines are no longer made longer."""

_PLAIN = re.compile(r"[ -~\n]*")
_COMMAND = re.compile(r"^[^\S\n]*::|##\[", re.MULTILINE)
_JOINERS = "\u200c\u200d"
"""Parts of emoji, and of words in some scripts: invisible, and harmless."""
_ESCAPED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories: controls, formats (bidi, zero width, tags), surrogates, private use, line separators."""


def clean(text: str, *, lines: bool = False) -> str:
    """Text that shows as what it is, and moves nothing on the screen.

    Args:
        text: anything.
        lines: keep line ends; otherwise they are escaped too, and the text stays on one line.
    """
    if lines:
        text = text.replace("\r\n", "\n")
    if _PLAIN.fullmatch(text) and (lines or "\n" not in text):
        return text
    return "".join(_shown(char, lines) for char in text)


def _shown(char: str, lines: bool) -> str:
    if char == "\t":
        return "    " if lines else " "
    if char == "\n" and lines:
        return char
    if char in _JOINERS or unicodedata.category(char) not in _ESCAPED:
        return char
    return ascii(char)[1:-1]


def in_actions(environ: Mapping[str, str] | None = None) -> bool:
    """True where GitHub Actions reads what is printed, and obeys workflow commands in it."""
    return (os.environ if environ is None else environ).get("GITHUB_ACTIONS") == "true"


def defused(text: str) -> str:
    """Text that the runner of GitHub Actions takes for none of its commands.

    These are `::name::` at the start of a line, and `##[name]` anywhere in one.
    """
    return _COMMAND.sub(lambda found: found[0].replace("::", ": :").replace("##[", "## ["), text)


def clip(text: str, cells: int) -> str:
    """Clean text on one line, cut to a number of terminal cells; three dots say that it was cut."""
    from rich.cells import cell_len

    text = clean(text)
    if cell_len(text) <= cells:
        return text
    kept = ""
    room = max(cells - 3, 0)
    for char in text:
        if cell_len(kept + char) > room:
            break
        kept += char
    return kept.rstrip() + "..."[: max(cells, 0)]


def wants_color(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Colour on a terminal alone, and never with NO_COLOR or TERM=dumb."""
    known = os.environ if environ is None else environ
    if known.get("NO_COLOR") or known.get("TERM") == "dumb":
        return False
    return stream.isatty()


def console(stream: TextIO, *, width: int | None = None, color: bool | None = None) -> Console:
    """A rich console that writes plain text where colour is not wanted, and reads no markup out of any text.

    Args:
        stream: where it writes.
        width: columns; None asks the terminal, and takes 80 where there is none.
        color: None decides by `wants_color`.
    """
    from rich.console import Console

    colored = wants_color(stream) if color is None else color
    if width is None and not stream.isatty():
        width = int(os.environ.get("COLUMNS", "") or 80) if os.environ.get("COLUMNS", "80").isdigit() else 80
    return Console(
        file=stream,
        width=width,
        no_color=not colored,
        color_system="standard" if colored else None,
        force_terminal=colored,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )
