"""Tells a prompt from the row that was put into it, by the messages alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from optimizer.models.offline.lines import read_line

LABELLED = re.compile(
    r"^\W*(?:the |customer |user |user's |customer's )?(?:question|input|review|text|query|message|feedback|comment|"
    r"passage|row|item|story|"
    r"content|document|q|case|sentence|line)(?: \d+| text)?\W{0,2}\s*[:=]\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
ENDING = re.compile(
    r"^\W*(?:your )?(?:answer|response|output|reply|json|a|result|sentiment|label|verdict)\W*$", re.IGNORECASE
)
FENCED = re.compile(
    r"<(?P<tag>[A-Za-z_][\w-]*)>\s*(?P<a>.*?)\s*</(?P=tag)>|\"\"\"\s*(?P<b>.*?)\s*\"\"\"|```\w*\n(?P<c>.*?)\n```",
    re.DOTALL,
)
INLINE = re.compile(
    r"^(?P<head>(?:please )?(?:answer|classify|read|summari[sz]e|label|analy[sz]e|judge|consider|reply|respond|tell|"
    r"say|what|here|this|extract|describe)\b[^:\n\"]{0,120}?):\s*(?P<row>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """A request, taken apart."""

    lines: tuple[str, ...]
    """Lines of the prompt, in order, without the row's text."""
    row: str
    """The row's text."""
    demos: tuple[tuple[str, str], ...]
    """(input, answer) of worked examples."""


def take_apart(messages: Sequence[tuple[str, str]]) -> Parts:
    """Split messages of (role, content) into prompt, demos and row."""
    last = max((i for i, (role, _) in enumerate(messages) if role == "user"), default=len(messages) - 1)
    lines: list[str] = []
    demos: list[tuple[str, str]] = []
    row = ""
    others = any(index != last and role in ("system", "developer") for index, (role, _) in enumerate(messages))
    for index, (role, content) in enumerate(messages):
        if index == last:
            around, row = split_user(content, alone=not others)
            lines += around
        elif role == "user" and index + 1 < len(messages) and messages[index + 1][0] == "assistant":
            around, asked = split_user(content, alone=not others)
            demos.append((asked, messages[index + 1][1]))
        elif role != "assistant":
            lines += content.splitlines()
    return Parts(lines=tuple(lines), row=row, demos=tuple(demos))


@lru_cache(maxsize=4096)
def split_user(content: str, *, alone: bool) -> tuple[tuple[str, ...], str]:
    """Instruction lines of a user message, and the row's text in it.

    Args:
        content: the message.
        alone: whether it is all there is, so that it must hold the instructions too.
    """
    for splitter in (_fenced, _labelled):
        found = splitter(content)
        if found:
            return found
    lines = content.splitlines()
    if sum(bool(line.strip()) for line in lines) > 1:
        return _loose(content, lines, alone=alone)
    inline = INLINE.match(content)
    if inline and (alone or len(inline.group("head").split()) > 1):
        return (inline.group("head"),), inline.group("row").strip()
    return (tuple(lines) if alone else ()), content.strip()


def _fenced(content: str) -> tuple[tuple[str, ...], str] | None:
    found = list(FENCED.finditer(content))
    if len(found) != 1:
        return None
    row = next((group for group in found[0].group("a", "b", "c") if group is not None), "")
    around = content[: found[0].start()] + "\n" + content[found[0].end() :]
    return tuple(around.splitlines()), row.strip()


def _labelled(content: str) -> tuple[tuple[str, ...], str] | None:
    lines = content.splitlines()
    heads = [index for index, line in enumerate(lines) if LABELLED.match(line)]
    if not heads:
        return None
    start = heads[0]
    match = LABELLED.match(lines[start])
    row = [match.group("rest") if match else ""]
    around = lines[:start]
    for line in lines[start + 1 :]:
        label = LABELLED.match(line)
        if ENDING.match(line) or _instructs(line):
            around.append(line)
        else:
            row.append(label.group("rest") if label else line)
    return tuple(around), "\n".join(row).strip()


def _instructs(line: str) -> bool:
    """Whether a line beside the row is an instruction: it must hold a rule."""
    return bool(line.strip()) and bool(read_line(line).rules)


def _loose(content: str, lines: list[str], *, alone: bool) -> tuple[tuple[str, ...], str]:
    paragraphs = [part for part in re.split(r"\n\s*\n", content) if part.strip()]
    if alone and len(paragraphs) > 1 and not all(_instructs(line) for line in paragraphs[-1].splitlines()):
        # A line added at the end of the message stands right behind the row's text.
        last = paragraphs[-1].splitlines()
        told = [line for line in last if _instructs(line)]
        rest = "\n".join(line for line in last if line not in told)
        inline = INLINE.match(rest)
        row = inline.group("row") if inline else rest
        return (*"\n".join(paragraphs[:-1]).splitlines(), *told), row.strip()
    ruled = [
        _instructs(line) or (alone and read_line(line).useful and index < len(lines) - 1)
        for index, line in enumerate(lines)
    ]
    if all(told or not line.strip() for told, line in zip(ruled, lines, strict=True)):
        ruled[-1] = False
    around = tuple(line for told, line in zip(ruled, lines, strict=True) if told)
    return around, "\n".join(line for told, line in zip(ruled, lines, strict=True) if not told).strip()
