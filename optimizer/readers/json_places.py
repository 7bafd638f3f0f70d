"""On which line of a JSON text each of its values stands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from optimizer.readers.document import Place

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,\n]|[^\s{}\[\]:,"]+')


@dataclass(kw_only=True, slots=True)
class _Open:
    """A list or an object that is still being read."""

    place: Place
    index: int | None
    """Index of the next item; None in an object."""
    key: str | None = None
    """Key whose value comes next, in an object."""


def lines_of(text: str, root: Place = ()) -> dict[Place, int]:
    """Place -> line, from 1, for a text that is known to be JSON; an object's value has the line of its key.

    Args:
        text: the JSON.
        root: place of the outermost value.
    """
    lines: dict[Place, int] = {}
    inside: list[_Open] = []
    line = 1
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign == "\n":
            line += 1
        elif sign in {"}", "]"}:
            inside.pop()
        elif sign == ",":
            _next(inside[-1])
        elif sign != ":":
            _take(sign, line, root, inside, lines)
    return lines


def _next(parent: _Open) -> None:
    parent.key = None
    if parent.index is not None:
        parent.index += 1


def _take(sign: str, line: int, root: Place, inside: list[_Open], lines: dict[Place, int]) -> None:
    """A key, or the beginning of a value."""
    place = root
    if inside:
        parent = inside[-1]
        if parent.index is None and parent.key is None:
            parent.key = str(json.loads(sign))
            lines[(*parent.place, parent.key)] = line
            return
        place = (*parent.place, parent.key or "" if parent.index is None else parent.index)
    lines.setdefault(place, line)
    if sign in {"{", "["}:
        inside.append(_Open(place=place, index=0 if sign == "[" else None))
