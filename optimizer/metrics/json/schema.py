"""JSON Schema on hostile output: nothing is fetched, all of it has a deadline, faults are told in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from optimizer.metrics.base import Finding
from optimizer.metrics.json.field import missing_field, wrong_value
from optimizer.metrics.pattern import MEMORY, SHORT_TEXT, found, is_short
from optimizer.metrics.process import OURS, ProcessFault, Refused, Task
from optimizer.wording import cut, quote, type_words

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

DEADLINE: Final = 0.1
"""Seconds that one pattern of a schema may take on one value."""
CHECKING: Final = 10.0
"""Seconds that one output may take, and that a schema may."""
INLINE: Final = 0.01
"""Seconds that a check may hold up the event loop."""
LEAST: Final = 0.001
"""Seconds that a pattern has where nearly none are left."""
FEW: Final = 100
"""Items that are compared with each other here."""
PLAIN: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose value is data, not a schema."""
LIMITS: Final[Mapping[str, str]] = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
}
SIZES: Final[Mapping[str, str]] = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} fields",
    "maxProperties": "at most {} fields",
}
WORDS: Final[Mapping[str, str]] = {"enum": "one of ", "pattern": "a match of the pattern "}


Rule = Callable[[Any, Any, Any, Any], "Iterable[ValidationError] | None"]
_until: ContextVar[float | None] = ContextVar("until", default=None)
"""When a check has to end, where it has a limit."""
_slow: set[str] = set()
"""Schemas that once took too long here."""


class SchemaFault(Exception):
    """The schema cannot be used."""


class Slow(Exception):
    """A check takes too long for here."""


def check_schema(schema: Any) -> None:
    """Raises SchemaFault for a schema that is not valid, a broken pattern included, or that refers to what it lacks."""
    import jsonschema
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise SchemaFault(f"{error.json_path}: {error.message}") from error
    registry: Registry[Any] = Registry().with_resource("", DRAFT202012.create_resource(schema))
    for part in subschemas(schema):
        for reference in references(part):
            if not reference.startswith("#"):
                raise SchemaFault(f"$ref {quote(reference)} leads out of the schema; nothing is fetched, so put it in")
            try:
                registry.resolver().lookup(reference)
            except Unresolvable as error:
                raise SchemaFault(f"$ref {quote(reference)} leads nowhere") from error


def subschemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of a schema that may be schemas."""
    if isinstance(schema, Mapping):
        yield schema
        for name, part in schema.items():
            if name not in PLAIN:
                yield from subschemas(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from subschemas(part)


def references(schema: Mapping[str, Any]) -> list[str]:
    """What one object of a schema refers to."""
    found = (schema.get(name) for name in ("$ref", "$dynamicRef", "$recursiveRef"))
    return [reference for reference in found if isinstance(reference, str)]


def first_fault(resolved: str, value: Any) -> Finding | None:
    """The fault that says most, in words; None where the value keeps the schema.

    Args:
        resolved: the schema as canonical JSON.
        value: what the output is.

    Raises:
        SchemaFault: a pattern overran its deadline.
        Slow: the check would take longer than it may, where it has a limit.
    """
    from jsonschema.exceptions import best_match

    error = best_match(_validator(resolved).iter_errors(value))
    return None if error is None else _finding(error)


async def fault_in(resolved: str, value: Any) -> Finding | None:
    """`first_fault`, here where it takes a moment, else in a process that can be killed. Raises SchemaFault."""
    if resolved not in _slow:
        token = _until.set(time.perf_counter() + INLINE)
        try:
            return first_fault(resolved, value)
        except Slow:
            _slow.add(resolved)
        finally:
            _until.reset(token)
    task = Task(
        function=f"{__name__}:fault_here",
        arguments={"resolved": resolved, "value": value},
        seconds=CHECKING,
        memory=MEMORY,
    )
    try:
        told = await OURS.do(task)
    except ProcessFault as fault:
        raise SchemaFault(str(fault)) from fault
    return None if told is None else Finding(**told)


def fault_here(resolved: str, value: Any) -> dict[str, Any] | None:
    """`first_fault`, on the side of the process. Raises Refused."""
    try:
        finding = first_fault(resolved, value)
    except SchemaFault as fault:
        raise Refused(str(fault)) from fault
    except RecursionError as error:
        raise Refused("the output is nested too deeply") from error
    return None if finding is None else asdict(finding)


@lru_cache(maxsize=64)
def _validator(resolved: str) -> Validator:
    import json

    import jsonschema
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    schema = json.loads(resolved)
    known = validator_for(schema, default=jsonschema.Draft202012Validator)
    own = {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional}
    rules = {name: _timed(name, rule) for name, rule in {**known.VALIDATORS, **own}.items()}
    kind: Any = extend(known, rules)  # type: ignore[no-untyped-call]
    # A registry of one's own: the default one fetches what a $ref names.
    validator: Validator = kind(schema, registry=Registry())
    return validator


def _timed(name: str, rule: Rule) -> Rule:
    """The same rule, which looks at the clock first: references may say a thing a million times."""

    def timed(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterable[ValidationError]:
        until = _until.get()
        if until is not None:
            many = name == "uniqueItems" and isinstance(instance, list) and len(instance) > FEW
            if many or time.perf_counter() > until:
                raise Slow
        return rule(validator, wanted, instance, schema) or ()

    return timed


def _search(pattern: str, text: str) -> bool:
    until = _until.get()
    if until is not None and not (is_short(pattern) and len(text) <= SHORT_TEXT):
        raise Slow
    left = DEADLINE if until is None else max(until - time.perf_counter(), LEAST)
    try:
        return found(pattern, 0, text, left) is not None
    except TimeoutError as error:
        if until is not None:
            raise Slow from error
        raise SchemaFault(f"the pattern {quote(pattern)} did not end within {DEADLINE:g} s") from error


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _search(pattern, instance):
        yield ValidationError(f"does not match {pattern}")


def _pattern_properties(validator: Any, rules: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, rule in rules.items():
            for name, value in instance.items():
                if _search(pattern, name):
                    yield from validator.descend(value, rule, path=name, schema_path=pattern)


def _additional(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    from jsonschema import ValidationError

    if not isinstance(instance, dict):
        return
    for name in extra_fields(instance, schema):
        if isinstance(rule, dict):
            yield from validator.descend(instance[name], rule, path=name)
        elif rule is False:
            yield ValidationError(f"{name} is not allowed")
            return


def extra_fields(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Names that neither `properties` nor `patternProperties` mentions."""
    named, shapes = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in instance:
        if name not in named and not any(_search(pattern, name) for pattern in shapes):
            yield name


def _finding(error: ValidationError) -> Finding:
    """One violated keyword in words."""
    keyword = str(error.validator)
    value: Any = error.instance
    rule: Any = error.validator_value
    schema: Any = error.schema
    path = ".".join(str(step) for step in error.absolute_path)
    # All items of a list are one place, else each index would be a cause of its own.
    place = "$" + "".join("[]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    if keyword == "required":
        name = next(name for name in rule if name not in value)
        return missing_field(f"{path}.{name}" if path else name, value, f"{place}.{name}")
    if keyword == "additionalProperties":
        name = next(extra_fields(value, schema))
        reason = f"field {quote(f'{path}.{name}' if path else name)} is not one that the schema allows"
        return Finding(reason=reason, place=f"{place}.{name}", got=name)
    if keyword == "const" and path:
        return wrong_value(path, value, rule, place)
    subject = f"field {quote(path)}" if path else "the output"
    wanted, got = _rule(keyword, rule, value)
    if wanted is None:
        return Finding(reason=f"{subject} breaks the rule {keyword} of the schema", place=place, got=cut(value))
    verb = "has" if keyword in SIZES else "is"
    shown = got if keyword in SIZES or keyword == "type" else quote(value)
    quoted = quote(wanted) if keyword in ("enum", "const", "pattern") else wanted
    reason = f"{subject} {verb} {shown}, expected {WORDS.get(keyword, '')}{quoted}"
    return Finding(reason=reason, place=place, wanted=cut(wanted), got=got)


def _rule(keyword: str, rule: Any, value: Any) -> tuple[str | None, str]:
    """(what the keyword wants, what is there); None for a keyword that has no words."""
    if keyword == "type":
        names = [rule] if isinstance(rule, str) else rule
        return " or ".join(map(_type_name, names)), _kind(value)
    if keyword == "enum":
        return ", ".join(map(cut, rule)), cut(value)
    if keyword in ("const", "pattern"):
        return cut(rule), cut(value)
    if keyword in LIMITS:
        return LIMITS[keyword].format(cut(rule)), cut(value)
    if keyword in SIZES:
        wanted = SIZES[keyword].format(rule)
        return wanted, f"{len(value)} {wanted.rsplit(' ', 1)[1]}"
    return None, cut(value)


def _type_name(name: str) -> str:
    return {
        "string": "text",
        "boolean": "a boolean",
        "number": "a number",
        "integer": "a whole number",
        "array": "a list",
        "object": "an object",
    }.get(name, name)


def _kind(value: Any) -> str:
    is_fraction = isinstance(value, float) and not value.is_integer()
    return "a number with a fraction" if is_fraction else type_words(value)
