"""Ways to write a text where a YAML scalar stands: in the scalar's own style first, quoted last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.readers import emit

# What YAML 1.1 and 1.2 both print as it is, line ends other than \n left out.
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile(r"\r\n|\n|\r")
_HEADER = re.compile(r"[|>][-+0-9]*([^\r\n]*)")
_MARGIN = re.compile(r" *(?:- +)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Where a scalar stands in its file."""

    start: int
    """Index of its first character."""
    end: int
    """Index behind its last one, as the parser sees it."""
    style: str | None
    """`|`, `>`, `'`, `"`; None for a plain one."""
    column: int
    """Column of its first character, from 0."""
    flow: bool
    """True inside `{}` or `[]`, where no block scalar may stand."""
    old: str
    """The text it holds now."""


def ways(source: str, span: Span, text: str) -> Iterator[str]:
    """The whole file with `text` in place of the scalar, most like the old one first.

    Not every one must be right: the caller parses each and takes the first that holds the text. All of them leave
    every character outside of the scalar as it is.
    """
    if span.style in {"|", ">"}:
        start, end, margin, tail = _block(source, span)
        for new in _blocks(source, span, text, margin, tail):
            yield source[:start] + new + source[end:]
        yield source[:start] + quoted(text) + (f" {tail.strip()}" if tail.strip() else "") + source[end:]
        return
    for new in _inline(source, span, text):
        yield source[: span.start] + new + source[span.end :]


def _inline(source: str, span: Span, text: str) -> Iterator[str]:
    """In place of a plain or quoted scalar."""
    if not _UNPRINTABLE.search(text):
        if "\n" not in text and span.style is None and emit.scalar(text) == text:
            yield text
        if "\n" not in text and span.style == "'":
            yield "'" + text.replace("'", "''") + "'"
        alone = _LINE_END.match(source, span.end) or span.end == len(source)
        if "\n" in text and "\n" not in span.old and alone and not span.flow:
            yield from _blocks(source, span, text, _new_margin(source, span), "")
    yield quoted(text)


def quoted(text: str) -> str:
    """A double-quoted scalar on one line, in escapes that YAML and JSON share."""
    return _UNPRINTABLE.sub(lambda char: f"\\u{ord(char.group()):04x}", json.dumps(text, ensure_ascii=False))


def _blocks(source: str, span: Span, text: str, margin: int, tail: str) -> Iterator[str]:
    """Literal block scalars: header, what stood behind the old header, the lines."""
    if _UNPRINTABLE.search(text) or text.endswith("\n\n"):
        return
    chomp = "" if text.endswith("\n") else "-"
    newline = _newline(source, span)
    lines = [" " * margin + line if line else "" for line in text.removesuffix("\n").split("\n")]
    body = newline.join(["", *lines])
    yield f"|{chomp}{tail}{body}"
    # A first line that begins with a space needs to be told its margin, which counts from the parent's.
    for digit in range(1, 10):
        yield f"|{digit}{chomp}{tail}{body}"


def _block(source: str, span: Span) -> tuple[int, int, int, str]:
    """Of a block scalar: start, end without the blank lines behind it, margin, what stands behind its header."""
    header = _HEADER.match(source, span.start)
    assert header is not None, "the parser gave the mark of a block scalar"
    end, margin = header.end(), 0
    first = next((line for line in span.old.split("\n") if line.strip()), "")
    for line in _lines(source, header.end(), span.end):
        content = source[line[0] : line[1]]
        if content.strip() and not margin:
            margin = _leading(content) - _leading(first)
        if content.strip() or (margin and len(content) > margin):
            end = line[1]
    return span.start, end, margin or _new_margin(source, span), header.group(1)


def _lines(source: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each line behind the header's own, line ends left out."""
    found = _LINE_END.search(source, start, end)
    while found:
        begin = found.end()
        found = _LINE_END.search(source, begin, end)
        yield begin, found.start() if found else end


def _leading(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _new_margin(source: str, span: Span) -> int:
    """Margin of a block that was none before: a step in from its key, or where the text itself began."""
    begin = span.start - span.column
    found = _MARGIN.match(source, begin, span.start)
    base = len(found.group()) if found else 0
    return base if base == span.column and base else base + _step(source)


def _step(source: str) -> int:
    """Spaces of one level of the file; 2 where it shows none."""
    steps = {len(found) for found in re.findall(r"^( +)[^ #\r\n]", source, re.MULTILINE)}
    smallest = min(steps, default=2)
    return smallest if 2 <= smallest <= 8 else 2


def _newline(source: str, span: Span) -> str:
    """The line end used at the scalar, else behind it, else before it."""
    near = _LINE_END.search(source, span.start, span.end) or _LINE_END.search(source, span.end)
    near = near or _LINE_END.search(source)
    return near.group() if near else "\n"
