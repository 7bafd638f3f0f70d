"""Check a document against pydantic models, and tell what is wrong in plain words with its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from optimizer.errors import Problem
from optimizer.readers.base import nearest, shown
from optimizer.readers.document import Document, Place, dotted

_WANTED = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "none_required": "must be empty",
    "finite_number": "must be a finite number",
    "too_short": "must not be empty",
}
_FIXES = {
    "int_type": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
    "bool_type": "write true or false, without quotes",
    "string_type": "write one text",
    "list_type": "write a list: one `- item` a line",
    "dict_type": "write `key: value` under it, one a line",
    "model_type": "write `key: value` under it, one a line",
    "model_attributes_type": "write `key: value` under it, one a line",
    "too_short": "add one, or more",
    "greater_than": "write a larger number",
    "greater_than_equal": "write a larger number",
    "less_than": "write a smaller number",
    "less_than_equal": "write a smaller number",
    "finite_number": "write a plain number",
    "literal_error": "write one of these",
}


class Strict(BaseModel):
    """A part of a file: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False)


Shape = TypeVar("Shape", bound=BaseModel)


def check(
    shape: type[Shape], document: Document, problems: list[Problem], where: Callable[[Place], str] | None = None
) -> Shape | None:
    """The document as a model; None with every problem noted where it does not fit.

    Args:
        shape: the model.
        document: what was read.
        problems: takes what is wrong.
        where: place -> `file:line`, where the document's own lines are not the answer.
    """
    try:
        return shape.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=True, include_input=True):
            place = tuple(detail["loc"])
            at = where(place) if where else locate(document, place)
            problem, fix = _told(dict(detail), place, shape)
            name = dotted(place[:-1] if detail["type"] in {"missing", "extra_forbidden"} else place)
            problems.append(Problem(where=at, field=name, problem=problem, fix=fix))
        return None


def locate(document: Document, place: Place) -> str:
    """`file:line` of a place."""
    line = document.line(place)
    return f"{shown(document.path)}:{line}" if line else shown(document.path)


def _told(detail: dict[str, Any], place: Place, shape: type[BaseModel]) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "missing":
        return f"{place[-1]!r} is missing", "add it"
    if kind == "extra_forbidden":
        known = known_keys(shape, place[:-1])
        return f"unknown key {place[-1]!r}", f"{nearest(str(place[-1]), known)}known: {', '.join(known)}"
    if kind == "value_error":
        problem, _, fix = str(detail["ctx"]["error"]).partition("; ")
        return problem, fix or "mend it"
    problem = _WANTED.get(kind) or str(detail["msg"]).replace("Input should be", "must be")
    told = problem if kind == "too_short" else f"{problem}, not {_brief(detail['input'])}"
    return told, _fix(kind, detail["input"])


def _fix(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return "write it in quotes"
    return _FIXES.get(kind, "mend it")


def _brief(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    if type(value) in names:
        return names[type(value)]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def known_keys(shape: type[BaseModel], place: Place) -> list[str]:
    """Keys that a model knows at a place inside it."""
    current: Any = shape
    for step in place:
        if isinstance(step, int):
            continue
        field = current.model_fields.get(step)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        current = inner
    return list(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := _model_in(part):
            return found
    return None
