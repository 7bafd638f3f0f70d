"""JSON without surprises: no duplicate keys, no NaN, no number or depth that breaks later code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from optimizer.readers.base import CAPS, Caps, Findings, RawRow
from optimizer.readers.document import Place, dotted

_LESS = "leave some of them out"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Stands where a value should be that JSON allows and we do not, until `flaws` reports its place."""

    problem: str
    """What is wrong."""
    fix: str
    """What to do."""
    ends: bool = False
    """Whether reading ends here: each further row could cost as much again."""


def decoder(caps: Caps = CAPS) -> json.JSONDecoder:
    """A decoder that puts a `Flaw` where a value cannot be taken.

    It raises JSONDecodeError for bad syntax, and RecursionError far beyond `caps.depth`.
    """

    def whole(text: str) -> int | Flaw:
        return int(text) if len(text) <= caps.digits else _too_long(text)

    def real(text: str) -> float | Flaw:
        if len(text) > caps.digits:
            return _too_long(text)
        value = float(text)
        return value if math.isfinite(value) else Flaw(f"{text} is not a finite number", "write it as text")

    def constant(text: str) -> Flaw:
        return Flaw(f"{text} is not a finite number", "use null, or leave the field out")

    return json.JSONDecoder(
        object_pairs_hook=_object, parse_int=whole, parse_float=real, parse_constant=constant, strict=True
    )


def _too_long(text: str) -> Flaw:
    return Flaw(f"not a finite number: {len(text)} characters long", "write it as text, in quotes")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                values[key] = Flaw("duplicate key", "keep one of the two")
            seen.add(key)
    return values


def flaws(value: Any, caps: Caps = CAPS) -> Iterator[tuple[str, Flaw]]:
    """(dotted place, flaw) of everything inside a value that cannot be taken, in the order of the text."""
    todo: list[Iterator[tuple[Place, Any]]] = [iter([((), value)])]
    seen = 0
    while todo:
        found = next(todo[-1], None)
        if found is None:
            todo.pop()
            continue
        place, inner = found
        seen += 1
        if seen > caps.values:
            yield dotted(place[:3]) + "...", Flaw(f"more than {caps.values:,} values", _LESS, ends=True)
            return
        if isinstance(inner, str):
            if not _encodable(inner):
                yield dotted(place), Flaw("half a surrogate pair, which is no character", "write the whole character")
        elif isinstance(inner, Flaw):
            yield dotted(place), inner
        elif isinstance(inner, dict | list):
            if len(place) > caps.depth:
                yield dotted(place[:3]) + "...", Flaw(f"nested deeper than {caps.depth}", "flatten it")
                return
            if isinstance(inner, dict) and not all(_encodable(key) for key in inner):
                yield dotted(place), Flaw("half a surrogate pair in a key", "write the whole character")
                return
            todo.append(_below(place, inner))


def _below(place: Place, value: dict[str, Any] | list[Any]) -> Iterator[tuple[Place, Any]]:
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*place, step), inner


def _encodable(text: str) -> bool:
    """False where the text holds half a surrogate pair: UTF-8 cannot say it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def too_deep(caps: Caps = CAPS) -> Flaw:
    """The flaw of a text whose nesting the decoder itself refused."""
    return Flaw(f"nested deeper than {caps.depth}", "flatten it")


def row(value: Any, line: int, caps: Caps, found: Findings) -> RawRow | None:
    """A decoded value as a row; None with the problems noted where it cannot be one."""
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
        kind = kinds.get(type(value), "a number")
        found.add(line, "", f"the row is {kind}, not an object", 'write {"field": value, ...}')
        return None
    flawed = False
    for place, flaw in flaws(value, caps):
        found.add(line, place, flaw.problem, flaw.fix)
        flawed = True
        if flaw.ends:
            found.check()
    return None if flawed else RawRow(values=value, line=line)
