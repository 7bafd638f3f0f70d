"""From a dotted key to a value: the walk that all formats share, and the words where it ends early."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from optimizer.errors import UserError
from optimizer.readers.base import near

MAPPING = "mapping"
LIST = "list"
TEXT = "text"
DEEPEST = 200
"""Nesting that is read, at most."""
_INDEX = re.compile(r"\[(\d+)\]")
_SHOWN = 20


class Branch(Protocol):
    """A value of the file, as the walk sees it."""

    @property
    def kind(self) -> str:
        """`MAPPING`, `LIST`, or anything else for what has nothing below it."""
        ...

    @property
    def line(self) -> int:
        """Line on which it begins, from 1."""
        ...

    @property
    def entries(self) -> Sequence[tuple[str, Self]]:
        """Of a mapping: (key, value) in file order."""
        ...

    @property
    def items(self) -> Sequence[Self]:
        """Of a list."""
        ...


B = TypeVar("B", bound=Branch)


@dataclass(kw_only=True, slots=True)
class Node:
    """One value of a file whose format has no aliases."""

    kind: str
    """`MAPPING`, `LIST`, `TEXT`, or what else it is, as a message calls it: `a number`."""
    line: int
    """Line on which it begins, from 1."""
    path: tuple[str | int, ...] = ()
    """Where it stands in what the format's own reader makes of the file."""
    start: int = 0
    """Index of its first character."""
    end: int = 0
    """Index behind its last one."""
    inline: bool = False
    """True where a text of several lines would look out of place."""
    elsewhere: str = ""
    """Where keys that are not written in a mapping may come from; empty where that cannot be."""
    entries: list[tuple[str, Node]] = field(default_factory=list)
    """Of a mapping: (key, value) in file order."""
    items: list[Node] = field(default_factory=list)
    """Of a list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """The text value that a key leads to."""

    key: str
    """The key, as the file has it."""
    role: str
    """What the file calls it: the `role` that stands beside it, else the key's last part."""
    text: str
    """What the value is now."""
    put: Callable[[str], str]
    """The file with another text there. Raises UserError where the text cannot stand there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way(Generic[B]):
    """Where a key led."""

    node: B
    """The value."""
    path: tuple[str, ...]
    """Parts of the key, as the file has them."""
    role: B | None
    """The value of `role` beside it, if there is one."""

    @property
    def key(self) -> str:
        """The whole key."""
        return ".".join(self.path)


def allow(node: Branch, where: str) -> None:
    """A step that any value may be."""


def no_hint(node: Branch) -> str:
    """Where a key that is not there may come from: nowhere."""
    return ""


def walk(
    root: B, key: str, *, step: Callable[[B, str], None] = allow, elsewhere: Callable[[B], str] = no_hint
) -> Way[B]:
    """Follow a dotted key from the root. `prompts[0].content` is `prompts.0.content`.

    Args:
        root: the whole file.
        key: as the user wrote it; a key of the file may hold dots itself.
        step: called with each value on the way and its name; raises UserError where it may not be changed.
        elsewhere: of a mapping that lacks a key, where it may come from; empty where that cannot be.

    Raises UserError where the key leads nowhere, with the nearest key that there is.
    """
    parent, node = root, root
    path: list[str] = []
    parts = _INDEX.sub(r".\1", key).removeprefix(".").split(".")
    step(node, "the document")
    while parts:
        if node.kind == LIST:
            name, found, used = parts[0], _item(node, parts[0], path), 1
        elif node.kind == MAPPING:
            name, found, used = _member(node, parts, path, elsewhere)
        else:
            raise UserError(f"key {'.'.join(path)}: holds a value, and nothing below it (line {node.line})")
        parent, node, path, parts = node, found, [*path, name], parts[used:]
        step(node, f"key {'.'.join(path)}")
    if node.kind in {MAPPING, LIST}:
        choices = _listed(_choices(node)) or "nothing"
        raise UserError(f"key {'.'.join(path)}: a {node.kind}, not text (add one of: {choices})")
    roles = [value for name, value in parent.entries if name == "role"] if parent.kind == MAPPING else []
    beside = roles[0] if len(roles) == 1 and path[-1] != "role" else None
    return Way(node=node, path=tuple(path), role=beside)


def not_text(key: str, held: str, line: int) -> UserError:
    """The fault of a key that leads to something other than text."""
    return UserError(f'key {key}: holds {held} (line {line}; put text in quotes there first, "" will do)')


def _item(node: B, part: str, path: list[str]) -> B:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(node.items):
        last = len(node.items) - 1
        told = f"they are 0 to {last}" if node.items else "it is empty"
        raise UserError(f"key {'.'.join(path) or 'the document'}: a list, and {part!r} is none of its items ({told})")
    return node.items[int(part)]


def _member(node: B, parts: list[str], path: list[str], elsewhere: Callable[[B], str]) -> tuple[str, B, int]:
    """The value of the first key that the parts name."""
    for used in range(1, len(parts) + 1):
        name = ".".join(parts[:used])
        found = [value for key, value in node.entries if key == name]
        if len(found) > 1:
            lines = " and ".join(str(value.line) for value in found[:3])
            raise UserError(f"key {'.'.join([*path, name])}: stands there twice (lines {lines}; take one out)")
        if found:
            return name, found[0], used
    raise _missing(node, parts[0], path, elsewhere(node))


def _missing(node: Branch, part: str, path: list[str], elsewhere: str) -> UserError:
    where = f"under {'.'.join(path)}" if path else "at the top"
    if elsewhere:
        return UserError(f"key {'.'.join([*path, part])}: not written {where}; {elsewhere}")
    names = _choices(node)
    match = near(part, names)
    hint = f"did you mean {match!r}? " if match else ""
    return UserError(f"no key {part!r} {where} ({hint}there are: {_listed(names) or 'none'})")


def _choices(node: Branch) -> list[str]:
    if node.kind == LIST:
        return [str(index) for index in range(len(node.items))]
    return [key for key, _ in node.entries]


def _listed(names: list[str]) -> str:
    """The first names, each cut and on one line."""
    told = [name if name.isprintable() else repr(name) for name in names[:_SHOWN]]
    return ", ".join(name[:60] for name in told) + (", ..." if len(names) > _SHOWN else "")
