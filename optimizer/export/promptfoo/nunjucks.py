"""Nunjucks source that says a text to the byte: Jinja2's, but that `#}` is an error outside a comment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from optimizer.export import jinja
from optimizer.export.base import Piece

CLOSING: Final = "#}"
QUOTED: Final = '{{ "#" }}'


def write(pieces: Sequence[Piece]) -> str:
    """The pieces as Nunjucks source."""
    return jinja.write(pieces).replace(CLOSING, QUOTED + "}")


def render(source: str, values: Mapping[str, str]) -> str:
    """What Nunjucks makes of source that `write` wrote. Raises ValueError for any other."""
    if CLOSING in source:
        raise ValueError("the end of a comment that has no beginning")
    return "#".join(jinja.render(part, values) for part in source.split(QUOTED))
