"""Reading an output as JSON, and saying what it is where it is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from optimizer.metrics.base import Finding

DEEPEST: Final = 100
"""Levels of nesting that an output may have; deeper ones are refused, since what reads them later is recursive."""
FENCE: Final = "```"
STARTS: Final = 20
"""Opening braces in prose that are tried as the beginning of an object."""

FENCED: Final = "JSON wrapped in a code fence"
AROUND: Final = "JSON with text around it"
SEVERAL: Final = "several JSON values"


class NotJson(Exception):
    """The output is not one JSON value; `what` says what it is instead."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def finding(self) -> Finding:
        """The same for every check that needs JSON: it is one cause."""
        alone = " alone" if self.what in (FENCED, AROUND) else ""
        reason = f"the output is not JSON{alone}: it is {self.what}"
        return Finding(reason=reason, place="format", got=self.what)


def read_json(output: str, *, lenient: bool = False) -> Any:
    """The output as one JSON value. Raises NotJson.

    Args:
        output: hostile text of any length.
        lenient: whether an output that is one fenced block is read too.
    """
    try:
        return _parse(output)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        body = _fenced(output.strip())
        if lenient and body is not None and _parses(body):
            return _parse(body)
        raise NotJson(_what(output.strip(), body)) from error


def _parse(text: str) -> Any:
    """Raises ValueError, RecursionError, and NotJson for what is JSON by its grammar but refused."""
    value = json.loads(text, parse_constant=_refuse)
    # Fewer brackets than that cannot nest deeper; most outputs are done here.
    if text.count("{") + text.count("[") > DEEPEST and _too_deep(value):
        raise NotJson(f"JSON nested deeper than {DEEPEST} levels")
    return value


def _refuse(name: str) -> None:
    raise NotJson("JSON with NaN or Infinity in it")


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for part in level
            if isinstance(part, dict | list)
            for child in (part.values() if isinstance(part, dict) else part)
        ]
        if not level:
            return False
    return True


def _parses(text: str) -> bool:
    try:
        _parse(text)
    except (ValueError, RecursionError, NotJson):
        return False
    return True


def _fenced(text: str) -> str | None:
    """What stands in the code fence that the text begins with, closed or not; None where it begins with none."""
    if not text.startswith(FENCE) or "\n" not in text:
        return None
    body = text.split("\n", 1)[1]
    return body[: -len(FENCE)] if body.endswith(FENCE) else body


def _what(text: str, body: str | None) -> str:
    """What a text that does not parse is, in words."""
    if not text:
        return "blank"
    if body is not None and text.endswith(FENCE) and _parses(body):
        return FENCED
    if _several(text):
        return SEVERAL
    if _object_inside(text):
        return AROUND
    broken = (text if body is None else body).strip()
    if not broken.startswith(("{", "[")):
        return "prose" if body is None else "a code fence without JSON in it"
    return _broken(broken) + ("" if body is None else " in a code fence")


def _several(text: str) -> bool:
    """Whether the text is two objects or lists or more, one behind the other."""
    decoder, at, count = json.JSONDecoder(), 0, 0
    while at < len(text):
        if text[at] not in "{[":
            return False
        try:
            _, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return False
        count += 1
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
    return count > 1


def _object_inside(text: str) -> bool:
    """Whether an object stands whole in the text, or a list at its beginning."""
    decoder = json.JSONDecoder()
    at = 0 if text.startswith("[") else text.find("{")
    for _ in range(STARTS):
        if at < 0:
            return False
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            # Inside an object that does not parse, whole objects are its parts.
            if at == 0:
                return False
        else:
            if isinstance(value, Mapping | list) and (at > 0 or text[end:].strip()):
                return True
        at = text.find("{", at + 1)
    return False


def _broken(text: str) -> str:
    """The kind of fault in a text that begins as an object or a list."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _kind(text, error)
    except RecursionError:
        return f"JSON nested deeper than {DEEPEST} levels"
    except ValueError:
        return "JSON with a number that is too long"
    return "broken JSON"


def _kind(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
        return "cut-off JSON"
    if "'" in text[error.pos : error.pos + 1]:
        return "JSON-like text with single quotes"
    # Python 3.13 points at the comma, earlier ones behind it.
    around = text[: error.pos + 1].rstrip("}]").rstrip()
    behind = text[error.pos :].lstrip(", \n\t\r")
    if around.endswith(",") and behind[:1] in ("}", "]"):
        return "JSON with a trailing comma"
    if "//" in text or "/*" in text:
        return "broken JSON, perhaps with comments"
    return "broken JSON"
