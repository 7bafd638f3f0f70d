"""JSON: one list of objects. Each row has the line on which its object starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from optimizer.readers import strict_json
from optimizer.readers.base import Caps, Findings, RawRow, check_file, read_text

_MARGIN = 1000
"""Characters at the end of a window in which a fault may be that of the cut; longer than any number may be."""
_SPACE = re.compile(r"[ \t\r\n]*")


class Rows:
    """Reader of a JSON list."""

    def read(self, path: Path, caps: Caps, found: Findings) -> Iterator[RawRow]:
        """Rows in file order; a syntax error ends the reading, since no later row has a sure start."""
        check_file(path, caps.array_bytes)
        text = read_text(path, caps.array_bytes)
        if text.strip():
            for value, line in _elements(text, caps, found):
                if (row := strict_json.row(value, line, caps, found)) is not None:
                    yield row


def _elements(text: str, caps: Caps, found: Findings) -> Iterator[tuple[Any, int]]:
    """(value, line) of each element of the list."""
    at = _skip(text, 0)
    if text[at] != "[":
        found.add(1, "", *_no_list(text, at))
        return
    window = _Window(text, caps)
    line, counted = 1, 0
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, end = window.decode(at)
        except JSONDecodeError as error:
            found.add(*_place(text, error.pos, f"not JSON: {error.msg}"), "mend the syntax")
            return
        except RecursionError:
            flaw = strict_json.too_deep(caps)
            found.add(line, "", flaw.problem, flaw.fix)
            return
        if end - at > caps.line_bytes:
            found.add(line, "", f"a row of more than {caps.line_bytes:,} characters", "shorten it")
            return
        yield value, line
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            comma, at = at, _skip(text, at + 1)
            if text[at : at + 1] == "]":
                found.add(*_place(text, comma, "a comma behind the last row"), "take it out")
                return
        elif text[at : at + 1] != "]":
            found.add(*_place(text, at, "not JSON: neither `,` nor `]` behind a row"), "mend the syntax")
            return
    if (rest := _skip(text, at + 1)) != len(text):
        found.add(*_place(text, rest, "text behind the end of the list"), "take it out")


class _Window:
    """The part of a text in which the next row is looked for: a row of many values would else fill the memory."""

    def __init__(self, text: str, caps: Caps) -> None:
        self._text = text
        self._caps = caps
        self._decode = strict_json.decoder(caps).raw_decode
        self._start = 0
        self._part = text[: 2 * caps.line_bytes]

    def decode(self, at: int) -> tuple[Any, int]:
        """(value, where it ends); the end alone counts where the value is longer than the cap.

        Raises JSONDecodeError with its place in the whole text, and RecursionError.
        """
        cap = self._caps.line_bytes
        whole = self._start + len(self._part) == len(self._text)
        if not whole and self._start + len(self._part) - at <= cap:
            self._start, self._part = at, self._text[at : at + 2 * cap]
            whole = at + len(self._part) == len(self._text)
        try:
            value, end = self._decode(self._part, at - self._start)
        except JSONDecodeError as error:
            if not whole and (error.msg.startswith("Unterminated") or error.pos > len(self._part) - _MARGIN):
                return None, at + cap + 1  # cut off by the window's end
            raise JSONDecodeError(error.msg, self._text, self._start + error.pos) from None
        return value, self._start + end


def _place(text: str, at: int, problem: str) -> tuple[int, str, str]:
    column = at - text.rfind("\n", 0, at)
    return text.count("\n", 0, at) + 1, "", f"{problem} (column {column})"


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _no_list(text: str, at: int) -> tuple[str, str]:
    if text[at] == "{":
        lines = [line for line in text[at:].split("\n", 2)[:2] if line.strip()]
        if len(lines) == 2 and lines[0].rstrip().endswith("}") and lines[1].lstrip().startswith("{"):
            return "this is JSONL, not JSON", "name it .jsonl, or set `format: jsonl`"
        return "the file holds one object, not a list of rows", "write [{...}, {...}]"
    return f"not a list of rows: it starts with {text[at]!r}", "write [{...}, {...}]"
