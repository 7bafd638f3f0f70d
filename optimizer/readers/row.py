"""One raw row taken apart: inputs, expected value, id, tags, group, split."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from optimizer.config import DataSpec
from optimizer.dataset import Split
from optimizer.readers.base import Findings, RawRow, nearest

_ID_CHARS = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MEDIA = frozenset({"image_url", "input_image", "image", "input_audio", "audio", "video_url", "file", "document"})
"""Types of the parts that chat messages have beside text."""
_SPLITS = ("train", "val", "test")


@dataclass(kw_only=True, slots=True)
class Row:
    """A row on its way to an example."""

    line: int
    inputs: dict[str, Any]
    has_expected: bool
    expected: Any
    id: str
    tags: tuple[str, ...]
    group: str | None
    split: Split | None
    fields: frozenset[str]
    content: str = ""


class Taking:
    """Takes raw rows one by one; what it needs of other rows comes later."""

    def __init__(self, spec: DataSpec, found: Findings) -> None:
        self._spec = spec
        self._found = found
        self._special = frozenset({"id", "tags", "group", spec.expected, spec.split})
        self.unused: Counter[str] = Counter()

    def row(self, raw: RawRow) -> Row | None:
        """The row, or None with its problems noted."""
        values = dict(raw.values)
        if raw.cells:
            # An empty cell of a field with a meaning of its own says that the row has none.
            for name in self._special & values.keys():
                values[name] = values[name] if values[name].strip() else None
        inputs = self._inputs(values, raw.line)
        tags = self._tags(values.get("tags"), raw.line)
        row_id = self._label(values.get("id"), "id", raw.line)
        group = self._label(values.get("group"), "group", raw.line)
        split, sound = self._split(values.get(self._spec.split), raw.line)
        if inputs is None or tags is None or row_id is None or group is None or not sound:
            return None
        return Row(
            line=raw.line,
            inputs=inputs,
            has_expected=self._spec.expected in values,
            expected=values.get(self._spec.expected),
            id=row_id,
            tags=tags,
            group=group or None,
            split=split,
            fields=frozenset(values),
        )

    def _inputs(self, values: dict[str, Any], line: int) -> dict[str, Any] | None:
        nested = values.get("inputs")
        wanted = self._spec.inputs
        if isinstance(nested, dict) and (wanted is None or "inputs" not in wanted):
            rest = set(values) - self._special - {"inputs"}
            self.unused.update(rest)
            inputs = nested
        else:
            inputs = {name: value for name, value in values.items() if name not in self._special}
        if wanted is not None:
            pool = {**values, **inputs}
            if lacking := [name for name in wanted if name not in pool]:
                for name in lacking:
                    fix = f"{nearest(name, list(pool))}fields here: {', '.join(sorted(pool))}"
                    self._found.add(line, name, "missing", fix)
                return None
            self.unused.update(set(inputs) - set(wanted))
            inputs = {name: pool[name] for name in wanted}
        if all(_blank(value) for value in inputs.values()):
            names = ", ".join(sorted(inputs))
            problem = "the input is blank" if inputs else "the row has no input"
            here = "" if inputs else f"; fields here: {', '.join(sorted(values)) or 'none'}"
            self._found.add(line, names, problem, f"give it a text, or take the row out{here}")
            return None
        if media := [(name, kind) for name, value in inputs.items() if (kind := _media(value))]:
            for name, kind in media:
                problem = f"a part of the type {kind!r}, and only text is sent"
                self._found.add(line, name, problem, "take the row out, or write the value as text")
            return None
        return inputs

    def _tags(self, value: Any, line: int) -> tuple[str, ...] | None:
        if value is None:
            return ()
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            self._found.add(line, "tags", "neither a list of texts nor comma text", 'write ["a", "b"]')
            return None
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def _label(self, value: Any, name: str, line: int) -> str | None:
        """An id or a group: text or a whole number; "" for none given, None for a bad one."""
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            self._found.add(line, name, f"must be text, not {kind_of(value)}", "write it in quotes")
            return None
        text = str(value)
        if not text.strip() or len(text) > _ID_CHARS or _CONTROL.search(text):
            problem = "is blank, too long, or holds control characters"
            self._found.add(line, name, problem, f"use at most {_ID_CHARS} plain characters, or leave it out")
            return None
        return text

    def _split(self, value: Any, line: int) -> tuple[Split | None, bool]:
        if value is None:
            return None, True
        if isinstance(value, str) and value in _SPLITS:
            return Split(value), True
        field_name = self._spec.split
        if isinstance(value, list):
            self._found.add(line, field_name, "one row in several splits", "choose one")
        else:
            meant = "did you mean 'val'? " if str(value).casefold() in {"dev", "valid"} else ""
            meant = meant or nearest(str(value)[:40], _SPLITS)
            self._found.add(line, field_name, f"no split {str(value)[:40]!r}", f"{meant}use train, val or test")
        return None, False


def _blank(value: Any) -> bool:
    """True for null and for text of white space alone."""
    return value is None or (isinstance(value, str) and not value.strip())


def _media(value: Any) -> str:
    """The type of the first part of a message that is no text: an image, a sound, a file; empty where there is none."""
    for part in value if isinstance(value, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _MEDIA and not {kind, "source"}.isdisjoint(part):
            return kind
    return ""


def kind_of(value: Any) -> str:
    """What a value is called in messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
