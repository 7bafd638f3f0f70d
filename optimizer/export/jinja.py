"""Jinja2 source that says a text to the byte, and a small renderer that reads it as Jinja2 does.

Used where a format's templates are Jinja2: only expressions of a name or of a string are written, which every
implementation of the language knows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from optimizer.export.base import Piece, Variable

RESERVED = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "null", "True", "False", "None", "self")
)
"""Names that Jinja2 takes for something else, in one place or another."""
# A brace that would open a tag with what follows it: a sign of Jinja2's, or the tag of a variable or a carriage return.
_OPENING = re.compile(r"\{(?=[{%#\r])|\{\Z")
_QUOTED = {"{": '{{ "{" }}', "\r": '{{ "\\r" }}'}
_TAG = re.compile(r'\{\{ (?:"(\{|\\r)"|([A-Za-z_][A-Za-z0-9_]*)) \}\}')
_NEWLINE = re.compile(r"\r\n?")


def write(pieces: Sequence[Piece]) -> str:
    """The pieces as Jinja2 source. A final newline is the caller's: most loaders drop it."""
    return "".join(f"{{{{ {piece.name} }}}}" if isinstance(piece, Variable) else _literal(piece) for piece in pieces)


def _literal(text: str) -> str:
    return _OPENING.sub(_QUOTED["{"], text).replace("\r", _QUOTED["\r"])


def reserved(names: Collection[str]) -> list[str]:
    """Those of the names that no Jinja2 variable can have."""
    return sorted(RESERVED & set(names))


def render(source: str, values: Mapping[str, str]) -> str:
    """What Jinja2 makes of source that `write` wrote. Raises ValueError for a tag that it would not write."""
    found, done = [], 0
    source = _NEWLINE.sub("\n", source)
    while (at := _next_tag(source, done)) is not None:
        tag = _TAG.match(source, at)
        if tag is None:
            raise ValueError(f"a tag that was not meant to be one: {source[at : at + 20]!r}")
        sign, name = tag.groups()
        found += [source[done:at], values[name] if name else {"{": "{", "\\r": "\r"}[sign]]
        done = tag.end()
    return "".join(found) + source[done:]


def _next_tag(source: str, start: int) -> int | None:
    found = re.compile(r"\{[{%#]").search(source, start)
    return found.start() if found else None
