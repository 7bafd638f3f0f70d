"""Where in its file each line of a prompt stands, for whoever points at it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from optimizer.prompt import Line, Prompt
from optimizer.readers import document
from optimizer.readers.base import CAPS, read_text
from optimizer.readers.prompts import parse_prompt

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_YAML_BREAKS = str.maketrans(dict.fromkeys("\x85\u2028\u2029", "\ue000"))
"""YAML 1.1 alone takes these for line ends; an editor, git and GitHub do not."""


def places(path: Path, wanted: Iterable[tuple[str, str | None]]) -> dict[str, int]:
    """Line or demo id -> its line in the file, from 1; what is not found is left out.

    Args:
        path: a prompt file.
        wanted: (id, text) of lines and demos. A line is found by its id where it has that text, else by its text
            alone; text None takes the id's word for it.

    Raises DataError where the file is no prompt.
    """
    text = read_text(path, CAPS.document_bytes)
    prompt = parse_prompt(text, path).prompt
    find = _finder(path, text)
    found = {}
    for unit, content in wanted:
        at = _position(prompt, unit, content)
        line = find.demo(at[1]) if at and at[0] < 0 else find.line(*at) if at else None
        if line:
            found[unit] = line
    return found


def _position(prompt: Prompt, unit: str, content: str | None) -> tuple[int, int] | None:
    """(message, line) of a unit, or (-1, demo); None where the prompt does not have it."""
    every = [((i, k), line) for i, message in enumerate(prompt.messages) for k, line in enumerate(message.lines)]
    every += [((-1, number), demo.line) for number, demo in enumerate(prompt.demos)]
    same = [(at, line) for at, line in every if content is None or line.content == Line(id="", text=content).content]
    by_id = [at for at, line in same if line.id == unit]
    return by_id[0] if by_id else same[0][0] if same and content else None


class _Text:
    """A text file: one message, line by line."""

    def line(self, message: int, number: int) -> int | None:
        return number + 1 if message == 0 else None

    def demo(self, number: int) -> int | None:
        return None


class _Json:
    """A chat JSON file: a string is one line of the file, however many it says."""

    def __init__(self, text: str) -> None:
        self._lines = [text.count("\n", 0, start) + 1 for start in _json_contents(text)]

    def line(self, message: int, number: int) -> int | None:
        return self._lines[message] if message < len(self._lines) else None

    def demo(self, number: int) -> int | None:
        return None


class _Yaml:
    """A YAML file: block, quoted and plain scalars, by what the parser makes of the file up to each line.

    A folded or quoted scalar says other lines than its file has. The file is cut behind each of the scalar's lines,
    and the first cut in which the wanted line has begun ends in the line that it begins on.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._document = document.parse(text, path)
        self._text = text.translate(_YAML_BREAKS)
        self._spans = list(_yaml_contents(self._text))

    def line(self, message: int, number: int) -> int | None:
        if message >= len(self._spans):
            return None
        start, end, style = self._spans[message]
        ends = [found.start() for found in re.finditer("\n", self._text[:end]) if found.start() >= start]
        first = bisect_left(ends, True, key=lambda cut: self._begun(start, cut, style, number))
        return self._text.count("\n", 0, start) + 1 + min(first, len(ends))

    def demo(self, number: int) -> int | None:
        return self._document.lines.get(("demos", number))

    def _begun(self, start: int, cut: int, style: str, number: int) -> bool:
        lines = _value(self._text[:cut].removesuffix("\r"), start, style).split("\n")
        return len(lines) > number and bool(lines[number].strip())


def _finder(path: Path, text: str) -> _Text | _Json | _Yaml:
    ending = path.suffix.lower()
    if ending in {".txt", ".md"}:
        return _Text()
    return _Json(text) if ending == ".json" else _Yaml(path, text)


def _json_contents(text: str) -> Iterator[int]:
    """Where the value of each message's `content` starts, in a file that is known to be a list of messages."""
    depth, before, key = 0, "", ""
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
        elif sign == ":":
            key = before
        elif sign == ",":
            key = ""
        elif depth == 2 and key == '"content"':
            yield token.start()
            key = ""
        before = sign


def _yaml_contents(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, style) of the scalar of each message's `content`, in a file that is known to be a prompt."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for message in _member(root, "messages").value:
        content = _member(message, "content")
        yield content.start_mark.index, content.end_mark.index, content.style or ""


def _member(node: Any, name: str) -> Any:
    return next(value for key, value in node.value if key.value == name)


def _value(text: str, start: int, style: str) -> str:
    """What the scalar at `start` says in a file that is cut off inside it."""
    import yaml

    if style == '"' and (len(text) - len(text.rstrip("\\"))) % 2:
        text = text[:-1]  # An escaped line end, cut in two.
    try:
        for event in yaml.parse(text + (style if style in {"'", '"'} else ""), Loader=yaml.SafeLoader):
            mark = event.start_mark
            if isinstance(event, yaml.ScalarEvent) and mark is not None and mark.index == start:
                return str(event.value)
    except yaml.YAMLError:
        return ""
    return ""
