"""Values to JSON text and back to equal values.

Dataclasses, enums, tuples and mappings are read back by their annotations. Where a field is `Any`, tuples are
tagged, so that they come back as tuples. What JSON cannot hold at all is kept as its text.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

TUPLE = "$tuple"
"""Key that marks a tuple where no annotation tells it from a list."""
MAPPING = "$mapping"
"""Key that marks a mapping which has one of these keys itself."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Codec:
    """How values of one type become plain JSON values, and back."""

    encode: Callable[[Any], Any]
    """Value to plain JSON value."""
    decode: Callable[[Any], Any]
    """Plain JSON value to value."""


def dumps(hint: Any, value: object) -> str:
    """JSON text of a value whose type is `hint`."""
    return _ENCODER.encode(codec(hint).encode(value))


def loads(hint: Any, text: str) -> Any:
    """The value of type `hint` that `text` was made of.

    Raises ValueError, TypeError, KeyError or AttributeError where the text was made of something else.
    """
    return codec(hint).decode(json.loads(text))


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@functools.cache
def codec(hint: Any) -> Codec:
    """The codec of a type annotation. Raises TypeError for one that no value of this package has."""
    if hint is Any or hint is object:
        return Codec(encode=plain, decode=_tagged)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Codec(encode=lambda value: value.value, decode=hint)
    if hint in (str, int, float, bool, types.NoneType):
        return Codec(encode=_same, decode=_same)
    return _generic(typing.get_origin(hint), typing.get_args(hint), hint)


def _generic(origin: Any, args: tuple[Any, ...], hint: Any) -> Codec:
    if origin in (typing.Union, types.UnionType):
        (inner,) = (codec(arg) for arg in args if arg is not types.NoneType)
        return Codec(encode=_unless_none(inner.encode), decode=_unless_none(inner.decode))
    if origin is tuple and args[-1] is Ellipsis:
        item = codec(args[0])
        return Codec(
            encode=lambda value: [item.encode(part) for part in value],
            decode=lambda value: tuple(item.decode(part) for part in value),
        )
    if origin is tuple:
        items = tuple(codec(arg) for arg in args)
        return Codec(
            encode=lambda value: [item.encode(part) for item, part in zip(items, value, strict=True)],
            decode=lambda value: tuple(item.decode(part) for item, part in zip(items, value, strict=True)),
        )
    if origin is frozenset:
        return Codec(encode=sorted, decode=frozenset)
    if origin is not None and issubclass(origin, Mapping):
        item = codec(args[1])
        return Codec(
            encode=lambda value: {str(key): item.encode(part) for key, part in value.items()},
            decode=lambda value: {key: item.decode(part) for key, part in value.items()},
        )
    raise TypeError(f"no JSON form is known for {hint}")


def _dataclass(cls: type) -> Codec:
    hints = typing.get_type_hints(cls)
    fields = [(field.name, codec(hints[field.name])) for field in dataclasses.fields(cls) if field.init]
    # Most fields are JSON values as they are; every result of a run comes by here.
    changed = [(name, part.encode) for name, part in fields if part.encode is not _same]
    names = [name for name, _ in fields]
    values = operator.attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]

    def encode(value: Any) -> dict[str, Any]:
        found = dict(zip(names, values(value), strict=True))
        for name, convert in changed:
            found[name] = convert(found[name])
        return found

    def decode(value: Mapping[str, Any]) -> Any:
        return cls(**{name: part.decode(value[name]) for name, part in fields if name in value})

    return Codec(encode=encode, decode=decode)


def _same(value: Any) -> Any:
    return value


def _unless_none(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return function if function is _same else lambda value: None if value is None else function(value)


def plain(value: Any) -> Any:
    """A JSON value for anything: tuples tagged, unknown objects as their text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Mapping):
        found = {str(key): plain(part) for key, part in value.items()}
        return {MAPPING: found} if TUPLE in found or MAPPING in found else found
    if isinstance(value, tuple):
        return {TUPLE: [plain(part) for part in value]}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(part) for part in value), key=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    return str(value)


def _tagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_tagged(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {TUPLE}:
        return tuple(_tagged(part) for part in value[TUPLE])
    found = value[MAPPING] if value.keys() == {MAPPING} else value
    return {key: _tagged(part) for key, part in found.items()}
