"""What a request for edits shows: prompt lines, failing rows, passing rows, earlier attempts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BLOCK = re.compile(
    r"<(?P<name>prompt|failures|passing|attempts)(?P<nonce>-[0-9A-Za-z]+)?>\n?(?P<body>.*?)\n?</(?P=name)(?P=nonce)>",
    re.DOTALL,
)
OPEN_BLOCK = re.compile(r"<(?P<name>prompt|failures|passing|attempts)>\n?(?P<body>.*?)\n?</(?P=name)>", re.DOTALL)
NUMBERED = re.compile(r"^(?P<id>[\w./-]{1,60})\|[ \t]?(?P<text>.*)$")
LOCKED = re.compile(r"\s*\(locked\)\s*$")
EXAMPLE = re.compile(r"^##\s*example\s+(?P<id>.*)$", re.IGNORECASE)
FIELD = re.compile(r"^(?P<name>input|output|expected|reasons?)\s*:\s?(?P<value>.*)$", re.IGNORECASE)
MENDED = re.compile(r"\bmended\s+(?P<n>\d+)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptLine:
    """One line of the shown prompt."""

    id: str
    """Its id."""
    text: str
    """Its text."""
    locked: bool
    """Whether it may not be changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One shown row."""

    input: str
    """All its inputs as one text."""
    output: str
    """What the task model said."""
    expected: Any
    """What was wanted: text, an object, or nothing."""
    reasons: tuple[str, ...]
    """Why it failed; empty for a passing row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A request, read."""

    lines: tuple[PromptLine, ...]
    """Of the prompt, in order."""
    failures: tuple[Row, ...]
    """Members of the cluster."""
    passing: tuple[Row, ...]
    """Near misses."""
    tried: frozenset[str]
    """Texts that were tried before."""


def read_request(text: str) -> Shown:
    """Read the user message of a request for edits. Anything that cannot be read is left out."""
    blocks: dict[str, str] = {}
    for pattern in (BLOCK, OPEN_BLOCK):
        for match in pattern.finditer(text):
            blocks.setdefault(match.group("name"), match.group("body"))
    return Shown(
        lines=tuple(_lines(blocks.get("prompt", ""))),
        failures=tuple(_rows(blocks.get("failures", ""))),
        passing=tuple(_rows(blocks.get("passing", ""))),
        tried=frozenset(_tried(blocks.get("attempts", ""))),
    )


def _lines(body: str) -> Iterable[PromptLine]:
    for line in body.split("\n"):
        match = NUMBERED.match(line)
        if match:
            text = match.group("text")
            yield PromptLine(id=match.group("id"), text=LOCKED.sub("", text), locked=LOCKED.search(text) is not None)


def _rows(body: str) -> Iterable[Row]:
    objects = [value for value in map(_object, body.split("\n")) if value]
    for value in objects or _sections(body):
        reasons = value.get("reasons", value.get("reason"))
        yield Row(
            input=_flat(value.get("input", "")),
            output=_flat(value.get("output", "")),
            expected=_parsed(value.get("expected")),
            reasons=tuple(map(_flat, reasons)) if isinstance(reasons, list) else (_flat(reasons),) if reasons else (),
        )


def _object(line: str) -> dict[str, Any] | None:
    value = _parsed(line.strip()) if line.strip().startswith("{") else None
    return value if isinstance(value, dict) and ("output" in value or "edit" in value) else None


def _sections(body: str) -> Iterable[dict[str, Any]]:
    """Rows as `## example ID` with `input:`, `output:`, `expected:` and `reason:` lines."""
    current: dict[str, str] = {}
    field = ""
    for line in [*body.split("\n"), "## example end"]:
        named = FIELD.match(line)
        if EXAMPLE.match(line):
            if "output" in current:
                yield {name: _parsed(value.strip()) for name, value in current.items()}
            current, field = {}, ""
        elif named:
            field = named.group("name").lower()
            current[field] = named.group("value")
        elif field:
            current[field] += "\n" + line


def _tried(body: str) -> Iterable[str]:
    for line in body.split("\n"):
        value = _object(line)
        edit = value.get("edit") if value else None
        if isinstance(edit, Mapping) and isinstance(edit.get("text"), str):
            yield edit["text"]


def _parsed(value: Any) -> Any:
    """A value, unpacked where it is JSON text of an object, a list or a quoted string."""
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(_flat(item) for item in value.values())
    return json.dumps(value, ensure_ascii=False, default=str)
