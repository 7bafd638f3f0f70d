"""One field of a JSON output: `json-field`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from optimizer.dataset import Example, canonical_json
from optimizer.metrics.base import FLAG, TEXT, Check, Finding, MetricContext, argument, metric_error
from optimizer.metrics.json.read import NotJson, read_json
from optimizer.wording import cut, difference, nearest, normal, quote, type_words

MOST_FIELDS: Final = 10
"""Names of fields that a reason lists."""


def is_json(value: object) -> bool:
    """A value that JSON can write."""
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return value is not None


class MissingField(Exception):
    """A path leads nowhere; `holder` is the last value that it reaches."""

    def __init__(self, holder: Any) -> None:
        super().__init__("missing")
        self.holder = holder


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonField(Check):
    """One field of the output equals that field of the row's `expected`, or a given value.

    1 equals 1.0, true does not equal 1, texts are compared in Unicode NFC, lists in order, objects in any order.
    """

    name: ClassVar[str] = "json-field"
    short: ClassVar[str | None] = "field"
    version: ClassVar[str] = "2"

    field: str = dataclasses.field(metadata=TEXT)
    """Name of the field, or a dotted path: `order.items.0.price`."""
    equals: Any = dataclasses.field(default=None, metadata=argument("a value that JSON can write", is_json))
    """The value; None takes that field of the row's `expected`."""
    ignore_case: bool = dataclasses.field(default=False, metadata=FLAG)
    """Whether `Mixed` equals `mixed`."""
    lenient: bool = dataclasses.field(default=False, metadata=FLAG)
    """Whether JSON in a code fence is read too."""

    async def measure(self, context: MetricContext) -> Finding:
        """1 where the values are equal; else 0 with what the field is, or why there is none."""
        wanted = self._wanted(context)
        try:
            value = read_json(context.output, lenient=self.lenient)
            got = look_up(value, self.field)
        except NotJson as fault:
            return fault.finding()
        except MissingField as fault:
            return missing_field(self._path, fault.holder)
        place = f"$.{self._path}"
        if same(got, wanted, ignore_case=self.ignore_case):
            return Finding(value=1.0, place=place, wanted=cut(wanted), got=cut(got))
        return wrong_value(self._path, got, wanted)

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The field has the value that it must not have."""
        found = finding.got or ""
        reason = f"field {quote(self._path)} is {quote(found)}, which it must not be"
        return Finding(reason=reason, place=finding.place, got=found)

    def row_fault(self, example: Example) -> tuple[str, str] | None:
        """A row needs an object with the field, unless the metric has a value."""
        if self.equals is not None:
            return None
        expected = example.expected
        if expected is None:
            return f"is missing, and {self.key} compares with it", f'add {{"{self._path}": ...}}'
        if not isinstance(expected, Mapping):
            return f"is {type_words(expected)}, and {self.key} needs an object", f'write {{"{self._path}": ...}}'
        try:
            look_up(expected, self.field)
        except MissingField:
            found = quote(", ".join(map(str, expected)))
            return f"has no field {quote(self._path)} (fields there are: {found})", (
                nearest(self._path, map(str, expected)) or "add the field, or mend its name in the eval file"
            )
        return None

    @property
    def _path(self) -> str:
        return self.field.removeprefix("$.")

    def _wanted(self, context: MetricContext) -> Any:
        if self.equals is not None:
            return self.equals
        try:
            return look_up(context.example.expected, self.field)
        except MissingField as fault:
            raise metric_error(self.key, context, "needs an expected object with this field") from fault


def look_up(value: Any, path: str) -> Any:
    """The value at a name or dotted path; a whole name with dots in it comes first. Raises MissingField."""
    path = path.removeprefix("$.")
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for name in path.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and len(name) < 10 and int(name) < len(value):
            value = value[int(name)]
        else:
            raise MissingField(value)
    return value


def same(left: Any, right: Any, *, ignore_case: bool = False) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, true does not equal 1."""
    if isinstance(left, str) and isinstance(right, str):
        return normal(left, ignore_case=ignore_case) == normal(right, ignore_case=ignore_case)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            same(left[name], right[name], ignore_case=ignore_case) for name in left
        )
    # A list among the settings of a metric is kept as a tuple.
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(
            same(a, b, ignore_case=ignore_case) for a, b in zip(left, right, strict=True)
        )
    return bool(left == right)


def missing_field(path: str, holder: Any, place: str | None = None) -> Finding:
    """A field is not there; `holder` is where it should be."""
    there = f"it would stand in {type_words(holder)}"
    if isinstance(holder, Mapping):
        names = [str(name) for name in holder]
        more = ", …" if len(names) > MOST_FIELDS else ""
        there = f"fields there are: {quote(', '.join(names[:MOST_FIELDS]) + more)}"
    return Finding(reason=f"field {quote(path)} is missing ({there})", place=place or f"$.{path}")


def wrong_value(path: str, got: Any, wanted: Any, place: str | None = None) -> Finding:
    """A field has another value than the expected one."""
    kind = difference(got, wanted) if isinstance(got, str) and isinstance(wanted, str) else ""
    found, right = quote(got), quote(wanted)
    if type_words(got) != type_words(wanted):
        found, right = _typed(got), _typed(wanted)
    reason = f"field {quote(path)} is {found}, expected {right}{kind}"
    return Finding(reason=reason, place=place or f"$.{path}", wanted=cut(wanted), got=cut(got))


def _typed(value: Any) -> str:
    if value is None:
        return "null"
    return f"the {type_words(value).removeprefix('a ').removeprefix('an ')} {quote(value)}"
