"""JSON Schemas for promptfoo, whose validator knows draft 7, checks formats and refuses words that it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from optimizer.export.promptfoo.ecma import CannotSay, literal
from optimizer.wording import normal

ONE: Final = frozenset({"not", "if", "then", "else", "additionalProperties", "propertyNames", "contains"})
"""Keywords whose value is a schema."""
MANY: Final = frozenset({"allOf", "anyOf", "oneOf"})
"""Those whose value is a list of schemas."""
NAMED: Final = frozenset({"properties", "patternProperties", "definitions", "$defs"})
"""Those whose value maps names to schemas."""
PLAIN: Final = frozenset(
    ("type", "enum", "const", "required", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    + ("multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "$ref")
    + ("maxProperties",)
)
"""Those that mean the same in all drafts."""
SILENT: Final = frozenset(
    ("$schema", "$id", "$comment", "title", "description", "default", "examples", "format", "deprecated", "readOnly")
    + ("writeOnly",)
)
"""Those that decide nothing here, `format` among them."""


def carried_over(rules: Any) -> Any:
    """The schema with what both validators know. Raises CannotSay where that would be another schema."""
    if isinstance(rules, bool):
        return rules
    found = {}
    for word, value in rules.items():
        if word in SILENT:
            continue
        if word in PLAIN:
            found[word] = value
        elif word in ONE or (word == "items" and not isinstance(value, list)):
            found[word] = carried_over(value)
        elif word in MANY:
            found[word] = [carried_over(part) for part in value]
        elif word in NAMED:
            found[word] = {name: carried_over(part) for name, part in value.items()}
        else:
            raise CannotSay(f"its schema uses {word!r}, which draft 7 does not know or reads otherwise")
    return found


def looked_up(value: Any, path: str) -> Any:
    """The value at a name or dotted path; a whole name with dots in it comes first. Raises CannotSay."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for name in path.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise CannotSay("the row expects no such field")
    return value


def field_is(path: str, wanted: Any, *, ignore_case: bool) -> dict[str, Any]:
    """A schema for objects whose field has a value. Raises CannotSay."""
    names = path.split(".")
    inner = _value_is(wanted, ignore_case=ignore_case)
    for name in reversed(names):
        inner = _member_is(name, inner)
    if len(names) == 1:
        return inner
    # A whole name with dots in it comes first.
    whole = {"type": "object", "required": [path]}
    named = {**whole, "properties": {path: _value_is(wanted, ignore_case=ignore_case)}}
    return {"anyOf": [named, {"allOf": [{"not": whole}, inner]}]}


def _member_is(name: str, rules: dict[str, Any]) -> dict[str, Any]:
    there = {"type": "object", "required": [name], "properties": {name: rules}}
    if not name.isdecimal() or len(name) >= 4:
        return there
    place = int(name)
    items: list[Any] = [*[{} for _ in range(place)], rules]
    return {"anyOf": [there, {"type": "array", "minItems": place + 1, "items": items}]}


def _value_is(wanted: Any, *, ignore_case: bool) -> dict[str, Any]:
    if not ignore_case:
        return {"const": _normal(wanted)}
    if isinstance(wanted, str):
        return {"type": "string", "pattern": f"^{literal(normal(wanted), ignore_case=True)}$"}
    if isinstance(wanted, Mapping | list):
        raise CannotSay("it ignores case inside a list or an object")
    return {"const": wanted}


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        return normal(value)
    if isinstance(value, Mapping):
        return {name: _normal(part) for name, part in value.items()}
    return [_normal(part) for part in value] if isinstance(value, list) else value
