"""JSON: one list of objects. Each row has the line on which its object starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from optimizer.readers import strict_json
from optimizer.readers.base import Caps, Findings, RawRow, check_file, read_text

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
    decode = strict_json.decoder(caps).raw_decode
    line, counted = 1, 0
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, end = decode(text, at)
        except JSONDecodeError as error:
            found.add(error.lineno, "", f"not JSON: {error.msg} (column {error.colno})", "mend the syntax")
            return
        except RecursionError:
            flaw = strict_json.too_deep(caps)
            found.add(line, "", flaw.problem, flaw.fix)
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
    if _skip(text, at + 1) != len(text):
        found.add(*_place(text, at + 1, "text behind the end of the list"), "take it out")


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
