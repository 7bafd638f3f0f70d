"""A YAML document as plain values, with the line of each.

Stricter than YAML itself: no tags, no aliases, no duplicate keys, keys are text. A plain scalar is a number,
true, false or null only where it is written as JSON would write it; `no`, `012`, `1_000` and dates stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimizer.errors import DataError
from optimizer.readers.base import CAPS, Caps, fault

Place = tuple[str | int, ...]
"""Keys and indexes that lead to a value: `("metrics", 1)`."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BREAKS = "\x85\u2028\u2029"


@dataclass(kw_only=True, slots=True)
class Document:
    """A document's values."""

    path: Path
    """The file."""
    data: Any = None
    """Dicts, lists, text, numbers, booleans, None."""
    lines: dict[Place, int] = field(default_factory=dict)
    """Place -> line, from 1; a mapping's value has the line of its key."""
    written: dict[Place, str] = field(default_factory=dict)
    """Numbers that would read differently when written back: place -> text in the file."""

    def line(self, place: Place) -> int:
        """Line of a place, or of the nearest place around it; 0 where there is none."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def fault(self, place: Place, problem: str, fix: str) -> DataError:
        """A DataError that points at one place."""
        return fault(self.path, problem, fix, line=self.line(place), field=dotted(place))


def dotted(place: Place) -> str:
    """`metrics[1].weight`."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in place]
    return "".join(parts).lstrip(".")


@dataclass(kw_only=True, slots=True)
class _Open:
    """A list or mapping that is still being read."""

    value: dict[str, Any] | list[Any]
    place: Place
    key: str | None = None
    key_line: int = 0


def parse(text: str, path: Path, caps: Caps = CAPS) -> Document:
    """Read one YAML document. Raises DataError with the line of the first fault."""
    import yaml

    if len(text) > caps.document_bytes:
        raise fault(path, f"more than {caps.document_bytes:,} characters", "use a smaller file")
    hidden, shown_again = _hide_breaks(text, path)
    builder = _Builder(Document(path=path), caps, shown_again)
    try:
        for event in yaml.parse(hidden, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        tab = "'\\t' that cannot start" in str(error.problem)
        problem = "a tab where spaces are wanted" if tab else error.problem or error.context
        fix = "indent with spaces" if tab else "mend the syntax"
        raise fault(path, f"not YAML: {problem} (column {column})", fix, line=line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise fault(path, f"control character U+{ord(text[error.position]):04X}", "take it out", line=line) from None
    except (ValueError, OverflowError):
        # PyYAML lets these through for escapes and directives whose numbers no character has.
        raise fault(path, "not YAML: an escape or directive out of range", "mend the syntax") from None
    return builder.document


def _hide_breaks(text: str, path: Path) -> tuple[str, dict[int, str]]:
    """Put unused private characters for those that YAML 1.1 alone takes for line ends, and say how to undo it."""
    breaks = [char for char in _BREAKS if char in text]
    if not breaks:
        return text, {}
    free = [chr(code) for code in range(0xE000, 0xE400) if chr(code) not in text][: len(breaks)]
    if len(free) < len(breaks):
        raise fault(path, "no private-use character is free", "take the private-use characters out")
    hidden = text.translate({ord(char): stand_in for char, stand_in in zip(breaks, free, strict=True)})
    return hidden, {ord(stand_in): char for char, stand_in in zip(breaks, free, strict=True)}


class _Builder:
    """Makes values from parser events, without recursion."""

    def __init__(self, document: Document, caps: Caps, shown_again: Mapping[int, str]) -> None:
        self.document = document
        self._caps = caps
        self._shown_again = shown_again
        self._open: list[_Open] = []
        self._documents = 0
        self._nodes = 0

    def take(self, event: Any) -> None:
        """One event of the parser."""
        kind = type(event).__name__
        line = event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise self._fault(line, "a second document", "keep one document in a file")
        elif kind == "AliasEvent":
            raise self._fault(line, "an alias", "write the value out")
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            self._open.pop()
        elif kind in {"MappingStartEvent", "SequenceStartEvent", "ScalarEvent"}:
            if event.tag is not None:
                raise self._fault(line, f"the tag {event.tag!r}", "tags are not used here; write the plain value")
            self._node(event, kind, line)

    def _node(self, event: Any, kind: str, line: int) -> None:
        self._nodes += 1
        if self._nodes > self._caps.nodes:
            raise self._fault(line, f"more than {self._caps.nodes:,} values", "use a smaller file")
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._key(event, kind, line, parent, parent.value)
            return
        place = self._place(parent)
        self.document.lines[place] = parent.key_line if parent and parent.key is not None else line
        if kind == "ScalarEvent":
            self._put(parent, self._scalar(event, line, place))
            return
        value: dict[str, Any] | list[Any] = {} if kind == "MappingStartEvent" else []
        if len(self._open) >= self._caps.depth:
            raise self._fault(line, f"nested deeper than {self._caps.depth}", "flatten it")
        self._put(parent, value)
        self._open.append(_Open(value=value, place=place))

    def _key(self, event: Any, kind: str, line: int, parent: _Open, values: dict[str, Any]) -> None:
        if kind != "ScalarEvent":
            raise self._fault(line, "a key that is a list or mapping", "use text as the key")
        key = self._text(event, line)
        if key in values:
            raise self._fault(line, f"duplicate key {key!r}", "keep one of the two")
        if key == "<<" and event.style is None:
            raise self._fault(line, "a merge key", "write the values out")
        parent.key, parent.key_line = key, line

    @staticmethod
    def _place(parent: _Open | None) -> Place:
        if parent is None:
            return ()
        step = len(parent.value) if isinstance(parent.value, list) else parent.key
        return (*parent.place, step if step is not None else "")

    def _put(self, parent: _Open | None, value: Any) -> None:
        if parent is None:
            self.document.data = value
        elif isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None

    def _text(self, event: Any, line: int) -> str:
        text: str = event.value.translate(self._shown_again) if self._shown_again else event.value
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise self._fault(line, "half a surrogate pair", "write the whole character")
        return text

    def _scalar(self, event: Any, line: int, place: Place) -> Any:
        text = self._text(event, line)
        if event.style in {"|", ">"}:
            return text.removesuffix("\n")
        if event.style is not None:
            return text
        if text in _NULLS:
            return None
        if text in _WORDS:
            return _WORDS[text]
        return self._number(text, line, place)

    def _number(self, text: str, line: int, place: Place) -> Any:
        whole = _INT.fullmatch(text)
        if not whole and not _FLOAT.fullmatch(text) and not _NOT_FINITE.fullmatch(text):
            return text
        if len(text) > self._caps.digits:
            raise self._fault(line, f"a number of {len(text)} characters", "write it in quotes if it is text")
        if whole:
            value: int | float = int(text)
        elif _NOT_FINITE.fullmatch(text) or not math.isfinite(float(text)):
            raise self._fault(line, f"{text} is not a finite number", "write it in quotes if it is text")
        else:
            value = float(text)
        if str(value) != text and "e" not in text.lower():
            self.document.written[place] = text
        return value

    def _fault(self, line: int, problem: str, fix: str) -> DataError:
        return fault(self.document.path, problem, fix, line=line)
