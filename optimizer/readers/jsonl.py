"""JSONL: one JSON object a line. Blank lines are left out."""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path

from optimizer.readers import strict_json
from optimizer.readers.base import Caps, Findings, RawRow, check_file, text_lines

_IS_JSON = ("this is JSON, not JSONL", "one object a line, or name it .json with a list of them")


class Rows:
    """Reader of JSONL."""

    def read(self, path: Path, caps: Caps, found: Findings) -> Iterator[RawRow]:
        """Rows in file order; a bad line is noted and the next one read."""
        check_file(path, caps.file_bytes)
        decode = strict_json.decoder(caps).decode
        first = True
        for number, text in text_lines(path, caps, found):
            text = text.strip(" \t\r\n")
            if not text:
                continue
            try:
                value = decode(text)
            except JSONDecodeError as error:
                if first and (text[0] == "[" or text == "{"):
                    found.add(number, "", *_IS_JSON)
                    return
                found.add(number, "", *_cut(error, text))
                first = False
                continue
            except RecursionError:
                flaw = strict_json.too_deep(caps)
                found.add(number, "", flaw.problem, flaw.fix)
                first = False
                continue
            if first and isinstance(value, list) and (not value or isinstance(value[0], dict)):
                found.add(number, "", *_IS_JSON)
                return
            first = False
            if (row := strict_json.row(value, number, caps, found)) is not None:
                yield row


def _cut(error: JSONDecodeError, text: str) -> tuple[str, str]:
    if error.msg == "Extra data" and text[error.pos :].strip() == ",":
        return f"not JSON: a comma behind the row (column {error.colno})", "take it out"
    return f"not JSON: {error.msg} (column {error.colno})", "write one whole object on the line"
